"""An image as the scripts beside this file print it; they run where the project is not imported."""

import base64
from typing import Any


def printed(image: Any) -> dict[str, Any]:
    """Size, mode and pixels of an image of Pillow's, for JSON."""
    return {"size": image.size, "mode": image.mode, "pixels": base64.b64encode(image.tobytes()).decode()}
