"""Validation: documents as pydantic models, and their errors as sentences (where, what, what is possible, a hint)."""

import logging
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo

from oasis_ray.errors import JobError, nearest
from oasis_ray.text_files import read_text, read_yaml_text


def explain(error: ValidationError, model: type[BaseModel], where: str) -> list[str]:
    """Return one sentence per problem, each beginning with `where` and the path of the key."""
    return [_sentence(problem, model, where) for problem in error.errors()]


def _sentence(problem: Any, model: type[BaseModel], where: str) -> str:
    path = [str(part) for part in problem["loc"]]
    at = f"{where}: {'.'.join(path)}" if path else where
    given = f", not {problem['input']!r}" if isinstance(problem["input"], str | int | float | bool) else ""
    match problem["type"]:
        case "extra_forbidden":
            keys = _keys(model, path[:-1])
            return f"{at}: unknown key (known: {', '.join(keys)}).{nearest(path[-1], keys)}"
        case "missing":
            return f"{at}: this key is required"
        case "value_error":
            return f"{at}: {problem['ctx']['error']}"
        case _:
            text = problem["msg"][0].lower() + problem["msg"][1:]
            return f"{at}: {text}{given}"


def _keys(kind: Any, path: list[str]) -> list[str]:
    """Return the keys of the model at `path`, as they are written in YAML."""
    for part in path:
        kind = _step(kind, part)
    models = [k for k in _alternatives(kind) if isinstance(k, type) and issubclass(k, BaseModel)]
    return [field.alias or name for k in models for name, field in k.model_fields.items()]


def _step(kind: Any, part: str) -> Any:
    for option in _alternatives(kind):
        if isinstance(option, type) and issubclass(option, BaseModel):
            for name, field in option.model_fields.items():
                if part in (name, field.alias, *_old_names(field)):
                    return field.annotation
        if get_origin(option) in (dict, tuple, list):
            args = get_args(option)
            return args[1] if get_origin(option) is dict else args[0]
    return None


def _alternatives(kind: Any) -> tuple[Any, ...]:
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def patch(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `document` with `changes` merged into it, mapping by mapping."""
    merged = {**document}
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = patch(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


M = TypeVar("M", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML file. Raises JobError if the file is missing or holds no mapping."""
    if path.is_dir():
        raise JobError([f"{path} is a folder; name a file in it"])
    if not path.is_file():
        near = sorted(file.name for file in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        shown = f" (in that folder: {', '.join(near)})" if near else ""
        raise JobError([f"there is no file {path}{shown}.{nearest(path.name, near)}"])
    document = read_yaml_text(read_text(path), str(path))
    if not isinstance(document, dict):
        raise JobError([f"{path} is not a mapping of keys to values"])
    return document


def validated(model: type[M], document: Mapping[str, Any], where: str, problems: list[str]) -> M | None:
    """Return the document as a model, or None if it is invalid; then its problems are appended to `problems`."""
    try:
        value = model.model_validate(document)
    except ValidationError as error:
        problems.extend(explain(error, model, where))
        return None
    for old, new in _renamed(model, document):
        _note_deprecated(where, old, new)
    return value


def _old_names(field: FieldInfo) -> list[str]:
    """Return the deprecated names of a key: all `AliasChoices` of its field but the first."""
    alias = field.validation_alias
    return [str(name) for name in alias.choices[1:]] if isinstance(alias, AliasChoices) else []


def _renamed(kind: Any, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the deprecated keys in a valid document, each with its current name."""
    for option in _alternatives(kind):
        if isinstance(value, Mapping) and isinstance(option, type) and issubclass(option, BaseModel):
            for name, field in option.model_fields.items():
                old_names = _old_names(field)
                yield from ((old, name) for old in old_names if old in value)
                for key in {name, field.alias, *old_names} & value.keys():
                    yield from _renamed(field.annotation, value[key])
        elif isinstance(value, Mapping) and get_origin(option) is dict:
            for inner in value.values():
                yield from _renamed(get_args(option)[1], inner)
        elif isinstance(value, list | tuple) and get_origin(option) in (list, tuple):
            for inner in value:
                yield from _renamed(get_args(option)[0], inner)


@cache  # one note per file and key
def _note_deprecated(where: str, old: str, new: str) -> None:
    logging.getLogger(__name__).warning("%s: the key `%s` is deprecated; use `%s`", where, old, new)
