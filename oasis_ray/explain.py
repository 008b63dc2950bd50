"""Turn pydantic's errors into sentences: where, what, what was possible, what may have been meant."""

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from oasis_ray.errors import nearest


def explain(error: ValidationError, model: type[BaseModel], where: str) -> list[str]:
    """One sentence a problem, each beginning with `where` and the path of the key inside it."""
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
            return f"{at}: this key is needed"
        case "value_error":
            return f"{at}: {problem['ctx']['error']}"
        case _:
            text = problem["msg"][0].lower() + problem["msg"][1:]
            return f"{at}: {text}{given}"


def _keys(kind: Any, path: list[str]) -> list[str]:
    """The keys that the model at `path` knows, as they are written in YAML."""
    for part in path:
        kind = _step(kind, part)
    models = [k for k in _alternatives(kind) if isinstance(k, type) and issubclass(k, BaseModel)]
    return [field.alias or name for k in models for name, field in k.model_fields.items()]


def _step(kind: Any, part: str) -> Any:
    for option in _alternatives(kind):
        if isinstance(option, type) and issubclass(option, BaseModel):
            for name, field in option.model_fields.items():
                if part in (name, field.alias):
                    return field.annotation
        if get_origin(option) in (dict, tuple, list):
            args = get_args(option)
            return args[1] if get_origin(option) is dict else args[0]
    return None


def _alternatives(kind: Any) -> tuple[Any, ...]:
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
