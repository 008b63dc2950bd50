"""Content: the shipped stages and prompts, imported as `oasis_ray.content.stages` and `oasis_ray.content.prompts`.

A wheel contains them in this folder. In a checkout they are the folders `stages` and `prompts` beside the package,
which this module adds to its path. Folders with the same names elsewhere on `sys.path` are never imported in
their place.
"""

from pathlib import Path

if not (Path(__file__).parent / "stages").is_dir():
    __path__.append(str(Path(__file__).resolve().parents[2]))
