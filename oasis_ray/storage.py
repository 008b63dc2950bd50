"""Storage: paths on the local disk, or URLs of a store that fsspec supports (s3, gs, abfs, hf, …).

All paths of a job are opened here. Listings are not cached, because other processes of the run write into the same
folders. Each client library has its own exceptions; `store_errors` translates them into errors of this project.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from oasis_ray.errors import JobError, OasisError, RunError

# The packages whose exceptions mean a storage error, besides Python's own OSError.
CLIENTS = {
    "botocore", "aiobotocore", "s3fs", "gcsfs", "google", "adlfs", "azure", "huggingface_hub", "httpx", "httpx2",
}  # fmt: skip
# Stores without real folders. There, s3fs would create a bucket for a misspelt name.
WITHOUT_FOLDERS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hf", "http", "https"}
LOGIN = re.compile(r"://[^/\s@]*@")


def locate(path: str) -> tuple[Any, str]:
    """Return the file system of a path, and the path in it."""
    fs, place = fsspec.core.url_to_fs(expand(path), use_listings_cache=False)
    return fs, str(place)


def on_disk(fs: Any) -> bool:
    """Whether this is the local file system."""
    return isinstance(fs, fsspec.get_filesystem_class("file"))


def make_folder(fs: Any, place: str) -> None:
    """Create a folder, if the file system has folders."""
    if not WITHOUT_FOLDERS.intersection([fs.protocol] if isinstance(fs.protocol, str) else fs.protocol):
        fs.makedirs(place, exist_ok=True)


def check_target(where: str, folder: str) -> None:
    """Check that a local folder exists or can be created. Raises JobError with the reason if not."""
    if "://" in folder:
        return
    place = Path(expand(folder)).absolute()
    try:
        os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # the name is too long, or contains a null character
        raise JobError([f"{where}: {folder} can't be created: {getattr(error, 'strerror', None) or error}"]) from None
    existing = next(path for path in (place, *place.parents) if path.exists())
    if not existing.is_dir():
        raise JobError([f"{where}: {folder} can't be created: {existing} is a file"])
    if not os.access(existing, os.W_OK | os.X_OK) or str(existing).startswith(("/proc", "/sys")):
        raise JobError([f"{where}: {folder} can't be created: {existing} is not writable"])


def is_folder(where: str, path: str) -> bool:
    """Whether a path is a folder; assumed for http URLs, which have none. Raises JobError if it can't be read."""
    with store_errors(where, path, JobError):
        fs, place = locate(path)
        return path.startswith(("http://", "https://")) or bool(fs.isdir(place))


@contextmanager
def store_errors(where: str, path: str, kind: type[JobError] | type[RunError] = RunError) -> Iterator[None]:
    """Translate the errors of a store: the message says where in the job, which path, why, and what to do.

    Errors of this project and of the local disk pass through; callers report the latter themselves.
    """
    try:
        yield
    except OasisError:
        raise
    except Exception as error:
        if "://" not in path or not (from_client(error) or isinstance(error, ImportError | ValueError)):
            raise
        text = f"{where}: {path}: {_first_line(error)}; {_advice(error)}"
        raise kind([text]) if kind is JobError else kind(text) from None


def from_client(error: Exception) -> bool:
    """Whether an error comes from a store or the network, and not from a bug."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in CLIENTS


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return LOGIN.sub("://…@", lines[0])


def _advice(error: Exception) -> str:
    """Return what the user can do. The names below are exception classes of several libraries."""
    name = type(error).__name__
    if isinstance(error, ImportError):
        return "install the client for this kind of URL (pip install 'oasis_ray[cloud]' for s3 and gs)"
    if isinstance(error, FileNotFoundError):
        return "is the name right, and does the bucket exist at this endpoint?"
    if isinstance(error, PermissionError) or "Credential" in name or "Token" in name:
        return "check the credentials in the environment and their permissions (docs/storage.md)"
    if "Connect" in name or "Timeout" in name or isinstance(error, ConnectionError | TimeoutError):
        return "can this machine reach the store, and is the endpoint right (AWS_ENDPOINT_URL)?"
    return "see docs/storage.md"


@contextmanager
def local_texts(folder: str) -> Iterator[Path]:
    """Provide a folder of text files as a local folder: itself, or a temporary copy of its .txt files.

    Raises JobError if the store can't be read.
    """
    if "://" not in folder:
        yield Path(expand(folder))
        return
    with tempfile.TemporaryDirectory() as copy:
        with store_errors("prompts", folder, JobError):
            fs, base = locate(folder)
            base = base.rstrip("/")
            files = [file for file in fs.find(base, maxdepth=2) if file.endswith(".txt")]
            if not files:
                raise JobError([f"prompts: there are no .txt files at {folder}"])
            for file in files:
                parts = file.removeprefix(base).strip("/").split("/")
                if ".." in parts or "\\" in file:
                    continue  # a store allows any name; this one would be a path outside the copy
                place = Path(copy).joinpath(*parts)
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(fs.cat_file(file))
        yield Path(copy)


def leads_out(path: str) -> bool:
    """Whether a path in the data leads, or may lead, out of its base folder."""
    return path.startswith("/") or ".." in path.split("/") or "\\" in path or "\0" in path or "://" in path


def expand(text: str) -> str:
    """Expand `~` and environment variables in a path; URLs stay as they are."""
    return text if "://" in text else os.path.expandvars(str(Path(text).expanduser()))


def write_atomically(folder: str, name: str, text: str) -> None:
    """Write the file `folder/name` atomically."""
    fs, base = locate(folder)
    place = f"{base.rstrip('/')}/{name}"
    make_folder(fs, place.rpartition("/")[0])
    if not on_disk(fs):
        fs.pipe_file(place, text.encode())
        return
    with fs.open(f"{place}.new", "wb") as stream:
        stream.write(text.encode())
    os.replace(f"{place}.new", place)  # noqa: PTH105
