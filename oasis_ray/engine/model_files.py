"""Model files: a local folder, an id on the Hugging Face hub, or the URL of a folder in a store.

A run first pins each model, to a commit of the hub or to a digest of the store's listing, so that all its engines and
sessions use the same files. Each machine then downloads them once, atomically, before an engine starts. Files that may
contain code are not downloaded.
"""

import os
import re
import shutil
from collections.abc import Mapping
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path
from typing import Any

import filelock

from oasis_ray.errors import JobError, RunError
from oasis_ray.job.pool import Pool
from oasis_ray.job.security import refuse_pickles
from oasis_ray.storage import from_client, locate, store_errors

FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")
COMMIT = re.compile(r"[0-9a-f]{40}")
TAGS = ("ETag", "etag", "md5Hash", "md5", "crc32c")  # names of a file's checksum in the listings of stores
OFFLINE = "HF_HUB_OFFLINE is set: download it while online (hf download {}), or use a folder or a URL"


def pin_revisions(pools: Mapping[str, Pool], earlier: Mapping[str, Any]) -> dict[str, Pool]:
    """Return the pools with the revision of each vLLM model pinned. `earlier` is the manifest of the run, or empty.

    A hub model that is unchanged in the job stays at its recorded commit, even if its branch has moved.
    Raises JobError with all models that can't be found.
    """
    pinned, problems = dict[str, Pool](), list[str]()
    for name, pool in pools.items():
        before = earlier.get("job", {}).get("pools", {}).get(name, {})
        same = (before.get("model"), before.get("revision")) == (pool.model, pool.revision)
        recorded = earlier.get("pools", {}).get(name, {}).get("revision") if same else None
        try:
            pinned[name] = pool if pool.backend != "vllm" else pool.model_copy(update=_pin(name, pool, recorded))
        except JobError as error:
            problems.extend(error.problems)
    if problems:
        raise JobError(problems)
    return pinned


def _pin(name: str, pool: Pool, recorded: str | None) -> dict[str, str | None]:
    if Path(pool.folder).is_dir():
        return {}
    where = f"pools.{name}.model"
    if "://" not in pool.model:
        return {"revision": recorded or _commit(where, pool.model, pool.revision)}
    with store_errors(where, pool.model, JobError):
        listed = _listed(pool.model)
    if "config.json" not in listed or not any(file.endswith(".safetensors") for file in listed):
        raise JobError([f"{where}: there is no model at {pool.model} (a folder with config.json and *.safetensors)"])
    if pool.revision not in (None, _digest(listed)):
        raise JobError(
            [f"{where}: {pool.model} is at revision {_digest(listed)}, not {pool.revision}; its files have changed"]
        )
    return {"revision": _digest(listed)}


def _commit(where: str, model: str, revision: str | None) -> str:
    """Return the current commit of a revision of a hub model."""
    from huggingface_hub import HfApi, is_offline_mode
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if revision and COMMIT.fullmatch(revision):
        return revision
    at = f"{model}@{revision or 'main'}"
    if is_offline_mode():
        cached = _cached(model, revision)
        if cached is None:
            raise JobError([f"{where}: {at} is not on this machine, and {OFFLINE.format(model)}"])
        return cached.name
    try:
        return str(HfApi().model_info(model, revision=revision).sha)
    except HFValidationError as error:
        raise JobError([f"{where}: {error}"]) from None
    except HfHubHTTPError as error:
        message = (error.server_message or str(error)).strip().splitlines()[0]
        hint = "are id and revision right, and is HF_TOKEN set for a gated model?"
        raise JobError([f"{where}: the hub has no {at}: {message}; {hint}"]) from None
    except Exception as error:
        if not from_client(error):
            raise
        raise JobError(
            [f"{where}: the hub can't be reached for {at}: {error}; HF_HUB_OFFLINE=1 uses the files on this machine"]
        ) from None


def local_folder(model: str, revision: str | None) -> Path | None:
    """Return the local folder of a model, without network access; None if it is not downloaded."""
    if "://" in model:
        folder = _place(model, revision or "")
        return folder if folder.is_dir() else None
    local = Path(model).expanduser()
    return local.resolve() if local.is_dir() else _cached(model, revision)


def download(model: str, revision: str | None) -> Path:
    """Return the local folder of a pinned model, downloading it if necessary.

    Raises RunError if the download fails, or if the weights are pickles.
    """
    if "://" in model:
        folder = _from_store(model, revision or "")
    elif Path(model).expanduser().is_dir():
        folder = Path(model).expanduser().resolve()
    else:
        folder = _from_hub(model, revision)
    try:
        refuse_pickles(folder)
    except ValueError as error:
        raise RunError(str(error)) from None
    return folder


def _from_hub(model: str, revision: str | None) -> Path:
    from huggingface_hub import is_offline_mode

    if is_offline_mode():
        cached = _cached(model, revision)
        if cached is None:
            raise RunError(f"model {model}@{revision or 'main'} is not on this machine, and {OFFLINE.format(model)}")
        return cached
    try:
        return _snapshot(model, revision, offline=False)
    except Exception as error:
        if not from_client(error):
            raise
        raise RunError(f"model {model}@{revision or 'main'} can't be downloaded: {error}") from None


def _cached(model: str, revision: str | None) -> Path | None:
    """Return the folder of a model in the local cache of the hub; None if it is missing or incomplete."""
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return _snapshot(model, revision, offline=True)
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _snapshot(model: str, revision: str | None, *, offline: bool) -> Path:
    """Return the folder of a model in the hub's cache, which several processes may fill concurrently."""
    from huggingface_hub import snapshot_download

    patterns = {"allow_patterns": list(FILES), "ignore_patterns": ["*/*"]}
    return Path(snapshot_download(model, revision=revision, local_files_only=offline, **patterns))


def _from_store(url: str, revision: str) -> Path:
    folder = _place(url, revision)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return folder
        partial = Path(f"{folder}.part")  # complete files of an earlier attempt are kept
        partial.mkdir(exist_ok=True)
        with store_errors("model", url):
            listed = _listed(url)
            fs, base = locate(url)
            for name, (size, _) in listed.items() if _digest(listed) == revision else ():
                _get(fs, f"{base.rstrip('/')}/{name}", partial / name, size)
            if _digest(_listed(url)) != revision:
                shutil.rmtree(partial)
                raise RunError(f"model {url} is no longer at revision {revision}: its files have changed")
        partial.rename(folder)
    return folder


def _get(fs: Any, source: str, target: Path, size: int) -> None:
    if target.exists():
        return
    incomplete = f"{target}.begun"
    fs.get_file(source, incomplete)
    if os.stat(incomplete).st_size != size:  # noqa: PTH116
        raise RunError(f"model: {source} has {size} bytes, {os.stat(incomplete).st_size} arrived")  # noqa: PTH116
    os.replace(incomplete, target)  # noqa: PTH105


def _place(url: str, revision: str) -> Path:
    """Return the local folder for a model of a store: a readable name, and a digest of URL and revision."""
    root = Path(os.environ.get("OASIS_MODELS") or "~/.cache/oasis_ray/models").expanduser()
    name = re.sub(r"[^\w.-]", "_", url.rstrip("/").rpartition("/")[2]).lstrip(".")
    return root / f"{name}-{sha256(f'{url}@{revision}'.encode()).hexdigest()[:16]}"


def _listed(url: str) -> dict[str, tuple[int, str]]:
    """Return size and checksum, by name, of the downloadable files directly in a folder of a store."""
    fs, base = locate(url)
    files = {}
    for file in fs.ls(base.rstrip("/"), detail=True):
        name = file["name"].rpartition("/")[2]
        if file["type"] == "file" and "\\" not in name and any(fnmatch(name, pattern) for pattern in FILES):
            files[name] = (int(file["size"]), next((str(file[tag]) for tag in TAGS if file.get(tag)), ""))
    return dict(sorted(files.items()))


def _digest(listed: Mapping[str, tuple[int, str]]) -> str:
    """Return a digest of the state of a folder in a store."""
    return sha256(repr(sorted(listed.items())).encode()).hexdigest()[:16]
