"""Where a path leads: this machine's disk, or a store that fsspec knows by the URL (s3, gs, abfs, hf, …).

All paths of a job are opened here. No listing is kept: other processes of the run write into the same folders. What a
store refuses, each client library says in its own classes and words; `told` makes one of our errors of it.
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

# The packages whose exceptions tell of a store, besides Python's own OSError.
CLIENTS = {
    "botocore", "aiobotocore", "s3fs", "gcsfs", "google", "adlfs", "azure", "huggingface_hub", "httpx", "httpx2",
}  # fmt: skip
# Where folders are but parts of names. Asked for one, s3fs would make a bucket that the job only misspelt.
WITHOUT_FOLDERS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hf", "http", "https"}
LOGIN = re.compile(r"://[^/\s@]*@")


def locate(path: str) -> tuple[Any, str]:
    """The file system of a path, and the path in it."""
    fs, place = fsspec.core.url_to_fs(expand(path), use_listings_cache=False)
    return fs, str(place)


def on_disk(fs: Any) -> bool:
    """Whether it is this machine's own file system."""
    return isinstance(fs, fsspec.get_filesystem_class("file"))


def make_folder(fs: Any, place: str) -> None:
    """Make a folder where the file system has folders."""
    if not WITHOUT_FOLDERS.intersection([fs.protocol] if isinstance(fs.protocol, str) else fs.protocol):
        fs.makedirs(place, exist_ok=True)


def check_target(where: str, folder: str) -> None:
    """Return if a folder is there or can be made on this machine's disk. Raises JobError with what is in the way."""
    if "://" in folder:
        return
    place = Path(expand(folder)).absolute()
    try:
        os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # a name that is too long, or holds a null
        raise JobError([f"{where}: {folder} can't be made: {getattr(error, 'strerror', None) or error}"]) from None
    there = next(path for path in (place, *place.parents) if path.exists())
    if not there.is_dir():
        raise JobError([f"{where}: {folder} can't be made: {there} is a file"])
    if not os.access(there, os.W_OK | os.X_OK) or str(there).startswith(("/proc", "/sys")):
        raise JobError([f"{where}: {folder} can't be made: {there} can't be written to"])


def is_folder(where: str, path: str) -> bool:
    """Whether there is a folder at a path; of the web, which has none, it is believed. Raises JobError."""
    with store_errors(where, path, JobError):
        fs, place = locate(path)
        return path.startswith(("http://", "https://")) or bool(fs.isdir(place))


@contextmanager
def store_errors(where: str, path: str, kind: type[JobError] | type[RunError] = RunError) -> Iterator[None]:
    """Tell what a store refuses as an error of ours: `where` in the job, which path, why, and what to do.

    Errors of ours pass, and so does what this machine's disk says, which callers tell in their own words.
    """
    try:
        yield
    except OasisError:
        raise
    except Exception as error:
        if "://" not in path or not (from_client(error) or isinstance(error, ImportError | ValueError)):
            raise
        text = f"{where}: {path}: {_said(error)}; {_advice(error)}"
        raise kind([text]) if kind is JobError else kind(text) from None


def from_client(error: Exception) -> bool:
    """Whether an error tells of a store or of the way to it, and not of a fault in a program."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in CLIENTS


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return LOGIN.sub("://…@", lines[0])


def _advice(error: Exception) -> str:
    """What to do. The names are those of several libraries' classes."""
    name = type(error).__name__
    if isinstance(error, ImportError):
        return "install what reads this kind of URL (pip install 'oasis_ray[cloud]' for s3 and gs)"
    if isinstance(error, FileNotFoundError):
        return "is the name right, and is there such a bucket at this endpoint?"
    if isinstance(error, PermissionError) or "Credential" in name or "Token" in name:
        return "see which credentials the environment gives, and what they may do (docs/storage.md)"
    if "Connect" in name or "Timeout" in name or isinstance(error, ConnectionError | TimeoutError):
        return "can this machine reach the store, and is the endpoint right (AWS_ENDPOINT_URL)?"
    return "see docs/storage.md"


@contextmanager
def texts_here(folder: str) -> Iterator[Path]:
    """A folder of texts as a local one while the context lasts: itself, or a copy of the .txt files in it.

    Raises JobError where the store does not give them.
    """
    if "://" not in folder:
        yield Path(expand(folder))
        return
    with tempfile.TemporaryDirectory() as made:
        with store_errors("prompts", folder, JobError):
            fs, base = locate(folder)
            base = base.rstrip("/")
            files = [file for file in fs.find(base, maxdepth=2) if file.endswith(".txt")]
            if not files:
                raise JobError([f"prompts: there are no .txt files at {folder}"])
            for file in files:
                parts = file.removeprefix(base).strip("/").split("/")
                if ".." in parts or "\\" in file:
                    continue  # a store takes any name; this would be a path out of the copy
                place = Path(made).joinpath(*parts)
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(fs.cat_file(file))
        yield Path(made)


def leads_out(path: str) -> bool:
    """Whether a path that came with data leads, or may lead, out of the folder that it is read below."""
    return path.startswith("/") or ".." in path.split("/") or "\\" in path or "\0" in path or "://" in path


def expand(text: str) -> str:
    """A path with `~` and environment variables filled in; URLs stay as they are."""
    return text if "://" in text else os.path.expandvars(str(Path(text).expanduser()))


def write_whole(folder: str, name: str, text: str) -> None:
    """Write the file `folder/name`, whole or not at all."""
    fs, base = locate(folder)
    place = f"{base.rstrip('/')}/{name}"
    make_folder(fs, place.rpartition("/")[0])
    if not on_disk(fs):
        fs.pipe_file(place, text.encode())
        return
    with fs.open(f"{place}.new", "wb") as stream:
        stream.write(text.encode())
    os.replace(f"{place}.new", place)  # noqa: PTH105
