"""Content: the shipped stages and prompts, imported as `oasis_ray.content.stages` and `oasis_ray.content.prompts`.

A wheel has them in this folder. In a checkout they are the folders `stages` and `prompts` beside the package, which are
found here too. Folders of the same names elsewhere never take their place.
"""

from pathlib import Path

if not (Path(__file__).parent / "stages").is_dir():
    __path__.append(str(Path(__file__).resolve().parents[2]))
