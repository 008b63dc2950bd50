"""Let vLLM start on a machine without a GPU, where torchvision's compiled operators can't be loaded.

The registry's torchvision is built for CUDA. Beside a CPU build of torch its shared library fails to load, and its
Python part then stops at the first operator that it wants to describe. Nothing here uses these operators (they are
for detection boxes), so naming their signatures is enough, just before torchvision is first imported. vLLM imports it
in processes of its own before its plugins are loaded, so the cure must sit where every process of the environment
finds it: a .pth file, which Python reads at every start. `install` writes it, and `make setup` calls that on a CPU
machine. This module imports nothing heavy, for the same reason.
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
    """Declare torchvision's operators if its own library can't be loaded here."""
    global _library  # torch forgets the definitions when the object is collected
    if _library is not None:
        return
    import torch

    found = find_spec("torchvision")
    if found is None or found.origin is None or torch.version.cuda:
        return
    for library in Path(found.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            continue
        return
    _library = torch.library.Library("torchvision", "DEF")
    for signature in SIGNATURES:
        _library.define(signature)


_library: Any = None


class Watch(MetaPathFinder):
    """Wait for the first import of torchvision, and define the operators before it happens."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Find nothing: the import goes on to the ordinary finders."""
        if name == "torchvision" and self in sys.meta_path:
            sys.meta_path.remove(self)
            define_missing_operators()


def watch() -> None:
    """Put one `Watch` before the ordinary finders of this process."""
    if not any(isinstance(finder, Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, Watch())


def install() -> None:
    """Write the .pth file that makes every process of this environment call `watch`."""
    pth = Path(sysconfig.get_path("purelib")) / "oasis_ray_torchvision.pth"
    pth.write_text("import oasis_ray.torchvision; oasis_ray.torchvision.watch()\n")
