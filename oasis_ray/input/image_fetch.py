"""Image files referenced by path: read below a root folder, and through links into allowed folders."""

import errno
import os
import stat
from collections.abc import Iterable

from oasis_ray.errors import RowError
from oasis_ray.storage import expand, leads_out, locate, on_disk, store_errors

# Errors of a path that is no file: absent, a folder, too long, a loop of links.
NO_SUCH_FILE = {errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
ROOT = "input.root"
ALLOW = "add its target folder to input.links"


def fetch(
    root: str, path: str, max_bytes: int, links: Iterable[str] = (), *, root_is: str = ROOT, allow: str = ALLOW
) -> bytes:
    """Read the image file `path` below `root`, up to `max_bytes` + 1 bytes.

    links: further folders that links below the root may point into, as in the hub's cache. root_is, allow: how messages
    name the root, and how to allow a link. Raises RowError: `image_path` if the path leads out of these folders,
    `image_missing` if there is no such file.
    """
    if leads_out(path):
        raise RowError("image_path", f"{path!r} is not a path below {root_is}")
    with store_errors(root_is, root):
        fs, base = locate(root)
        location = f"{base.rstrip('/')}/{path}"
        local = on_disk(fs)
        if local:  # file names are UTF-8 bytes, whatever the locale
            location = os.fsdecode(location.encode("utf-8", "surrogateescape"))
        if local and not leads_into(location, [base, *links]):
            raise RowError("image_path", f"{path!r} is a link that leads out of {root_is} ({allow})")
        try:
            if local and not stat.S_ISREG(os.stat(location).st_mode):  # noqa: PTH116
                raise FileNotFoundError(location)  # a pipe would block forever, a socket can't be opened
            with fs.open(location, "rb") as stream:
                data: bytes = stream.read(max_bytes + 1)
        except OSError as error:
            if error.errno not in NO_SUCH_FILE and not isinstance(error, FileNotFoundError):
                raise
            raise RowError("image_missing", f"there is no file {path!r} below {root_is}") from None
    return data


def leads_into(location: str, roots: Iterable[str]) -> bool:
    """Whether a local path, with links resolved, is one of these folders or below one."""
    real = os.path.realpath(location) + os.sep
    return any(real.startswith(os.path.realpath(expand(root)).rstrip(os.sep) + os.sep) for root in roots)
