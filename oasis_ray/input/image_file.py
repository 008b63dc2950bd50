"""Image files that a row or a list names by path: read below a root, and through links into roots that are named."""

import errno
import os
import stat
from collections.abc import Iterable

from oasis_ray.errors import RowError
from oasis_ray.storage import expand, leads_out, locate, on_disk, store_errors

# What an operating system answers to a path that leads to no file: absent, a folder, too long, links in a circle.
NO_SUCH_FILE = {errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
ROOT = "input.root"
ALLOW = "input.links names further folders that links may lead into"


def fetch(
    root: str, path: str, max_bytes: int, links: Iterable[str] = (), *, root_is: str = ROOT, allow: str = ALLOW
) -> bytes:
    """The image file at `path` below `root`, one byte more than allowed at most.

    links: further folders that links below the root may lead into, as in the hub's cache. root_is, allow: how a message
    names the root, and the way to allow a link. Raises RowError: `image_path` where the path leads out of all of them,
    `image_missing` where there is no such file.
    """
    if leads_out(path):
        raise RowError("image_path", f"{path!r} is not a path below {root_is}")
    with store_errors(root_is, root):
        fs, base = locate(root)
        place = f"{base.rstrip('/')}/{path}"
        local = on_disk(fs)
        if local:  # a file is called by its bytes in UTF-8, whatever the locale says
            place = os.fsdecode(place.encode("utf-8", "surrogateescape"))
        if local and not leads_into(place, [base, *links]):
            raise RowError("image_path", f"{path!r} is a link that leads out of {root_is} ({allow})")
        try:
            if local and not stat.S_ISREG(os.stat(place).st_mode):  # noqa: PTH116
                raise FileNotFoundError(place)  # a pipe would be waited for without end, a socket can't be opened
            with fs.open(place, "rb") as stream:
                data: bytes = stream.read(max_bytes + 1)
        except OSError as error:
            if error.errno not in NO_SUCH_FILE and not isinstance(error, FileNotFoundError):
                raise
            raise RowError("image_missing", f"there is no file {path!r} below {root_is}") from None
    return data


def leads_into(place: str, roots: Iterable[str]) -> bool:
    """Whether a path of this machine's disk, once its links are followed, is one of these folders or below it."""
    real = os.path.realpath(place) + os.sep
    return any(real.startswith(os.path.realpath(expand(root)).rstrip(os.sep) + os.sep) for root in roots)
