"""Reply schemas: JSON schemas that replies must satisfy, checked when a recipe is loaded.

Engines guide a reply by some keywords of JSON Schema only, and pass over others in silence; those are refused here. A
server may pass over the whole schema, so each reply is verified too.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import BeforeValidator, PlainSerializer

from oasis_ray.errors import nearest

OF_ONE = ("items", "additionalProperties")  # keywords whose value is a schema
OF_LIST = ("anyOf", "oneOf", "prefixItems")  # ... a list of schemas
OF_NAMES = ("properties", "$defs", "definitions")  # ... schemas by name
KEYWORDS = (
    "type", "enum", "const", *OF_NAMES, "required", *OF_ONE, "minProperties", "maxProperties", *OF_LIST, "minItems",
    "maxItems", "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "$ref", "title", "description", "default", "examples", "$schema", "$comment",
)  # fmt: skip
ADVICE = "simplify `schema` under the node's `with`, for example by a keyword less, or remove it"
TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


@dataclass(frozen=True, slots=True)
class ReplySchema:
    """A JSON schema as text. Its keys are in the order of the recipe: models write properties in that order."""

    text: str

    def problem(self, reply: str) -> str | None:
        """Return why a reply is not JSON of this schema; None if it is."""
        try:
            value = json.loads(reply, parse_constant=_not_json)
            error = best_match(_validator(self.text).iter_errors(value))
        except ValueError as invalid:
            return f"it is not JSON: {invalid}"
        except RecursionError:
            return "it is nested too deeply"
        return None if error is None else f"{error.json_path}: {error.message}"


def reply_schema(value: Any) -> ReplySchema:
    """Return a schema of a recipe. Raises ValueError, which says where in the schema the problem is."""
    if isinstance(value, ReplySchema):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(f"give the JSON schema as a mapping, such as {{type: object, …}}, not {value!r}")
    if not value:
        raise ValueError("the schema is empty, so that any JSON would satisfy it; give a `type`, or remove the key")
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        schema = json.loads(text)
        problem = next(_problems(schema, schema, ()), None) or _invalid(schema)
    except (TypeError, ValueError) as error:  # a date, not-a-number, an alias that contains itself
        raise ValueError(f"the schema can't be written as JSON: {error}") from None
    except RecursionError:
        raise ValueError("the schema is nested too deeply") from None
    if problem:
        raise ValueError(problem)
    return ReplySchema(text)


def _problems(schema: Any, root: Any, path: tuple[str | int, ...]) -> Iterator[str]:
    """Yield problems that JSON Schema itself allows: unknown keywords, types and references."""
    if not isinstance(schema, dict):
        return
    for key in schema:
        if key not in KEYWORDS:
            hint = nearest(key, KEYWORDS)
            yield f"{_at((*path, key))}engines guide no reply by this keyword (possible: {', '.join(KEYWORDS)}).{hint}"
    kind = schema.get("type")
    for name in [kind] if isinstance(kind, str) else []:
        if name not in TYPES:
            hint = nearest(name, TYPES)
            yield f"{_at((*path, 'type'))}there is no type {name!r} (possible: {', '.join(TYPES)}).{hint}"
    form = next((key for key in ("pattern", "format") if key in schema), None)
    length = next((key for key in ("minLength", "maxLength") if key in schema), None)
    if form and length:
        yield f"{_at((*path, length))}engines guide no reply by it beside `{form}`; put the length into a `pattern`"
    reference = schema.get("$ref")
    if isinstance(reference, str) and (problem := _reference_problem(reference, root)):
        yield f"{_at((*path, '$ref'))}{problem}"
    for place, inner in _within(schema):
        yield from _problems(inner, root, (*path, *place))


def _within(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the schemas directly within a schema, each with its path."""
    for key, value in schema.items():
        if key in OF_ONE:
            yield (key,), value
        elif key in OF_LIST and isinstance(value, list):
            yield from (((key, place), one) for place, one in enumerate(value))
        elif key in OF_NAMES and isinstance(value, dict):
            yield from (((key, name), one) for name, one in value.items())


def _reference_problem(reference: Any, root: Any) -> str | None:
    """Return what is wrong with a reference, which may lead to another one; None if nothing is."""
    followed: list[str] = []
    while isinstance(reference, str):
        if reference in followed:
            return f"{reference!r} refers to itself, so that no reply can satisfy it; refer to a schema with a `type`"
        followed.append(reference)
        schema = _target(reference, root)
        if not isinstance(schema, dict | bool):
            return (
                f"{reference!r} is nowhere in the schema; refer to the whole schema as `#`, or to a part of it, such "
                "as `#/$defs/NAME`"
            )
        reference = schema.get("$ref") if isinstance(schema, dict) else None
    return None


def _target(reference: str, root: Any) -> Any:
    """Return the part of the schema that a reference leads to, or None. No address is ever fetched."""
    if not reference.startswith("#/"):
        return root if reference == "#" else None
    for name in reference[2:].split("/"):
        root = root.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(root, dict) else None
    return root


def _invalid(schema: Any) -> str | None:
    """Return why a schema is not valid JSON Schema; None if it is."""
    rules = Draft202012Validator(Draft202012Validator.META_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
    error = best_match(rules.iter_errors(schema))
    return None if error is None else f"{_at(tuple(error.absolute_path))}{error.message}"


def _at(path: tuple[str | int, ...]) -> str:
    return f"{'.'.join(map(str, path))}: " if path else ""


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


@cache
def _validator(text: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(text))


def _text(schema: ReplySchema) -> str:
    return schema.text


# Field type for stages: a mapping in YAML; in a manifest and in digests its text, which keeps the order of the keys.
SchemaField = Annotated[ReplySchema, BeforeValidator(reply_schema), PlainSerializer(_text)]
