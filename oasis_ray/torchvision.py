"""Torchvision on machines without a GPU: lets vLLM start where torchvision's compiled operators can't be loaded.

PyPI's torchvision is built for CUDA. With a CPU build of torch its shared library fails to load, and its Python code
then raises at the first operator that it registers a fake kernel for. This project uses none of these operators (they
are for detection boxes), so it is enough to declare their signatures just before torchvision is first imported. vLLM
imports torchvision in subprocesses before its plugins are loaded, so the fix must be a .pth file, which every Python
process of the environment reads at start. `install` writes it; `make setup` calls that on a machine without a GPU.
For the same reason this module imports nothing heavy.
"""

import sys
import sysconfig
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SIGNATURES = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def define_missing_operators() -> None:
    """Declare torchvision's operators if its compiled library can't be loaded."""
    global _library  # torch drops the definitions when this object is garbage-collected
    if _library is not None:
        return
    import torch

    spec = find_spec("torchvision")
    if spec is None or spec.origin is None or torch.version.cuda:
        return
    for library in Path(spec.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            continue
        return
    _library = torch.library.Library("torchvision", "DEF")
    for signature in SIGNATURES:
        _library.define(signature)


_library: Any = None


class ImportHook(MetaPathFinder):
    """Import hook: declares the operators just before the first import of torchvision."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Return None, so that the ordinary finders handle the import."""
        if name == "torchvision" and self in sys.meta_path:
            sys.meta_path.remove(self)
            define_missing_operators()


def watch() -> None:
    """Install one import hook before the ordinary finders of this process."""
    if not any(isinstance(finder, ImportHook) for finder in sys.meta_path):
        sys.meta_path.insert(0, ImportHook())


def install() -> None:
    """Write the .pth file that makes every process of this environment call `watch`."""
    pth = Path(sysconfig.get_path("purelib")) / "oasis_ray_torchvision.pth"
    pth.write_text("import oasis_ray.torchvision; oasis_ray.torchvision.watch()\n")
