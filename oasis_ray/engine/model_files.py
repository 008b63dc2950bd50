"""Models: a folder of this machine, an id on the Hugging Face hub, or the URL of a folder in a store.

A run pins each model first, to a commit of the hub or to what a store lists, so that all its engines and all its
sessions take the same files. Each machine then brings them once, whole or not at all, before an engine starts. Only
what holds no code is brought.
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
TAGS = ("ETag", "etag", "md5Hash", "md5", "crc32c")  # what stores call the fingerprint of a file in a listing
OFFLINE = "HF_HUB_OFFLINE is set: bring it while there is a network (hf download {}), or name its folder or a URL"


def pin_revisions(pools: Mapping[str, Pool], earlier: Mapping[str, Any]) -> dict[str, Pool]:
    """The pools with each vLLM model's revision fixed; `earlier` is the run's manifest so far, or empty.

    A model of the hub that the job names as it did stays at its recorded commit, wherever its branch has moved since.
    Raises JobError with every model that can't be found.
    """
    found, problems = dict[str, Pool](), list[str]()
    for name, pool in pools.items():
        asked = earlier.get("job", {}).get("pools", {}).get(name, {})
        same = (asked.get("model"), asked.get("revision")) == (pool.model, pool.revision)
        recorded = earlier.get("pools", {}).get(name, {}).get("revision") if same else None
        try:
            found[name] = pool if pool.backend != "vllm" else pool.model_copy(update=_pin(name, pool, recorded))
        except JobError as error:
            problems.extend(error.problems)
    if problems:
        raise JobError(problems)
    return found


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
            [f"{where}: {pool.model} is at revision {_digest(listed)}, not {pool.revision}; its files were exchanged"]
        )
    return {"revision": _digest(listed)}


def _commit(where: str, model: str, revision: str | None) -> str:
    """The commit that a revision of a hub's model stands for now."""
    from huggingface_hub import HfApi, is_offline_mode
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if revision and COMMIT.fullmatch(revision):
        return revision
    at = f"{model}@{revision or 'main'}"
    if is_offline_mode():
        held = _held(model, revision)
        if held is None:
            raise JobError([f"{where}: {at} is not on this machine, and {OFFLINE.format(model)}"])
        return held.name
    try:
        return str(HfApi().model_info(model, revision=revision).sha)
    except HFValidationError as error:
        raise JobError([f"{where}: {error}"]) from None
    except HfHubHTTPError as error:
        said = (error.server_message or str(error)).strip().splitlines()[0]
        hint = "are id and revision right, and is HF_TOKEN set, if it is gated?"
        raise JobError([f"{where}: the hub does not give {at}: {said}; {hint}"]) from None
    except Exception as error:
        if not from_client(error):
            raise
        raise JobError(
            [f"{where}: the hub can't be asked for {at}: {error}; HF_HUB_OFFLINE=1 takes what this machine holds"]
        ) from None


def local_folder(model: str, revision: str | None) -> Path | None:
    """The folder of a model on this machine, without asking any network; None where it was not brought."""
    if "://" in model:
        place = _place(model, revision or "")
        return place if place.is_dir() else None
    local = Path(model).expanduser()
    return local.resolve() if local.is_dir() else _held(model, revision)


def download(model: str, revision: str | None) -> Path:
    """The folder of a pinned model on this machine, brought if it is not there.

    Raises RunError where it can't be, and where its weights are pickles.
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
        held = _held(model, revision)
        if held is None:
            raise RunError(f"model {model}@{revision or 'main'} is not on this machine, and {OFFLINE.format(model)}")
        return held
    try:
        return _snapshot(model, revision, offline=False)
    except Exception as error:
        if not from_client(error):
            raise
        raise RunError(f"model {model}@{revision or 'main'} can't be brought: {error}") from None


def _held(model: str, revision: str | None) -> Path | None:
    """A model's folder in the hub's cache on this machine; None where it is not there, or not whole."""
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return _snapshot(model, revision, offline=True)
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _snapshot(model: str, revision: str | None, *, offline: bool) -> Path:
    """A model's folder in the hub's own cache, which several processes may fill at once."""
    from huggingface_hub import snapshot_download

    wanted = {"allow_patterns": list(FILES), "ignore_patterns": ["*/*"]}
    return Path(snapshot_download(model, revision=revision, local_files_only=offline, **wanted))


def _from_store(url: str, revision: str) -> Path:
    place = _place(url, revision)
    place.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{place}.lock"):
        if place.is_dir():
            return place
        half = Path(f"{place}.part")  # what an earlier try has brought whole is kept
        half.mkdir(exist_ok=True)
        with store_errors("model", url):
            listed = _listed(url)
            fs, base = locate(url)
            for name, (size, _) in listed.items() if _digest(listed) == revision else ():
                _get(fs, f"{base.rstrip('/')}/{name}", half / name, size)
            if _digest(_listed(url)) != revision:
                shutil.rmtree(half)
                raise RunError(f"model {url} is no longer at revision {revision}: its files were exchanged meanwhile")
        half.rename(place)
    return place


def _get(fs: Any, source: str, target: Path, size: int) -> None:
    if target.exists():
        return
    begun = f"{target}.begun"
    fs.get_file(source, begun)
    if os.stat(begun).st_size != size:  # noqa: PTH116
        raise RunError(f"model: {source} came with {os.stat(begun).st_size} bytes of {size}")  # noqa: PTH116
    os.replace(begun, target)  # noqa: PTH105


def _place(url: str, revision: str) -> Path:
    """Where a model of a store lies: its last name, to be recognised, and a digest of the URL and the revision."""
    root = Path(os.environ.get("OASIS_MODELS") or "~/.cache/oasis_ray/models").expanduser()
    name = re.sub(r"[^\w.-]", "_", url.rstrip("/").rpartition("/")[2]).lstrip(".")
    return root / f"{name}-{sha256(f'{url}@{revision}'.encode()).hexdigest()[:16]}"


def _listed(url: str) -> dict[str, tuple[int, str]]:
    """Size and fingerprint of the files directly in a folder of a store that may be brought, by name."""
    fs, base = locate(url)
    found = {}
    for file in fs.ls(base.rstrip("/"), detail=True):
        name = file["name"].rpartition("/")[2]
        if file["type"] == "file" and "\\" not in name and any(fnmatch(name, pattern) for pattern in FILES):
            found[name] = (int(file["size"]), next((str(file[tag]) for tag in TAGS if file.get(tag)), ""))
    return dict(sorted(found.items()))


def _digest(listed: Mapping[str, tuple[int, str]]) -> str:
    """What tells one state of a folder in a store from another."""
    return sha256(repr(sorted(listed.items())).encode()).hexdigest()[:16]
