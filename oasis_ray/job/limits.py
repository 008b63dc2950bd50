"""Limits on the images of the input."""

import PIL.Image
from pydantic import BaseModel, ConfigDict, Field, field_validator

from oasis_ray.errors import nearest


class Limits(BaseModel):
    """Limits on images. A row whose image exceeds one ends in `failed`, with the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bytes: int = Field(50_000_000, ge=1, description="Maximum encoded size. Reason: `image_too_many_bytes`.")
    max_pixels: int = Field(
        89_478_485, ge=1, description="Maximum width times height. Reason: `image_too_many_pixels`."
    )
    max_frames: int = Field(1, ge=1, description="Maximum frames; models see the first. `image_animated`.")
    min_side_px: int = Field(4, ge=1, description="Minimum of the shorter side. Reason: `image_too_small`.")
    max_aspect: float = Field(200, ge=1, description="Maximum ratio of the sides; Qwen2-VL's limit. `image_too_long`.")
    formats: tuple[str, ...] = Field(
        ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"), description="Accepted formats. Reason: `image_format`."
    )

    @field_validator("formats")
    @classmethod
    def _pillow_knows_them(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        PIL.Image.init()
        for name in value:
            if name not in PIL.Image.OPEN:
                raise ValueError(f"there is no format {name!r}.{nearest(name, PIL.Image.OPEN)}")
        return value
