"""A reply schema is valid JSON Schema, of keywords by which engines guide a reply; replies are verified by it."""

import datetime
import math
import pickle
from typing import Any

import pytest

from oasis_ray.stage.reply_schema import KEYWORDS, TYPES, ReplySchema, reply_schema

PAIR = {
    "type": "object",
    "properties": {"question": {"type": "string", "maxLength": 9}, "answer": {"type": "string"}},
    "required": ["question", "answer"],
    "additionalProperties": False,
}
PAIRS = {"type": "array", "items": PAIR, "minItems": 1, "maxItems": 2}
SELF: dict[str, Any] = {"type": "array"}
SELF["items"] = SELF
POSSIBLE = f"engines guide no reply by this keyword (possible: {', '.join(KEYWORDS)})."
OF_TYPE = f"(possible: {', '.join(TYPES)})."
NOWHERE = "is nowhere in the schema; refer to the whole schema as `#`, or to a part of it, such as `#/$defs/NAME`"
BESIDE, LENGTH = "engines guide no reply by it beside", "put the length into a `pattern`"
ITSELF = "refers to itself, so that no reply can satisfy it; refer to a schema with a `type`"
MAPPING = "give the JSON schema as a mapping, such as {type: object, …}, not "


def test_a_schema_is_kept_as_text_with_its_keys_in_order() -> None:
    assert reply_schema({"type": "object", "properties": {"b": {"const": "ü"}, "a": True}}) == ReplySchema(
        '{"type": "object", "properties": {"b": {"const": "ü"}, "a": true}}'
    )
    assert pickle.loads(pickle.dumps(reply_schema(PAIRS))) == reply_schema(PAIRS)


@pytest.mark.parametrize(
    "schema",
    [
        PAIRS,
        {"type": ["string", "null"], "format": "email"},
        {"enum": ["Yes", "No", 1, None]},
        {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "none"}], "description": "A number."},
        {"items": {"$ref": "#/$defs/a~1b"}, "$defs": {"a/b": {"type": "string", "pattern": "^[a-z]+$"}}},
        {"type": "object", "properties": {"not": {"type": "string"}, "if": {"type": "array", "items": {"$ref": "#"}}}},
        {"type": "object", "properties": {"type": {"enum": ["objekt"]}}, "examples": [{"kind": 1}]},
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": False},
    ],
    ids=str,
)  # fmt: skip
def test_schemas_of_these_keywords_are_accepted(schema: dict[str, Any]) -> None:
    assert reply_schema(reply_schema(schema)) == reply_schema(schema)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ("qa_pairs", f"{MAPPING}'qa_pairs'"),
        ([PAIR], f"{MAPPING}[{PAIR!r}]"),
        (True, f"{MAPPING}True"),
        ({}, "the schema is empty, so that any JSON would satisfy it; give a `type`, or remove the key"),
        ({"type": "objekt"}, f"type: there is no type 'objekt' {OF_TYPE} Did you mean 'object'?"),
        ({"type": "text"}, f"type: there is no type 'text' {OF_TYPE}"),
        ({"type": ["string", "nul"]}, f"type.1: 'nul' is not one of {list(TYPES)}"),
        ({"items": {"type": "str"}}, f"items.type: there is no type 'str' {OF_TYPE} Did you mean 'string'?"),
        ({"type": None}, "type: None is not valid under any of the given schemas"),
        ({"type": "string", "maxlength": 3}, f"maxlength: {POSSIBLE} Did you mean 'maxLength'?"),
        ({"properties": {"a": {"not": {}}}}, f"properties.a.not: {POSSIBLE}"),
        ({"anyOf": [{}, {"multipleOf": 3}]}, f"anyOf.1.multipleOf: {POSSIBLE}"),
        ({"$defs": {"a": {"uniqueItems": True}}}, f"$defs.a.uniqueItems: {POSSIBLE}"),
        ({"items": {"pattern": "a+", "maxLength": 3}}, f"items.maxLength: {BESIDE} `pattern`; {LENGTH}"),
        ({"minLength": 1, "maxLength": 3, "format": "date"}, f"minLength: {BESIDE} `format`; {LENGTH}"),
        ({"question": {"type": "string"}}, f"question: {POSSIBLE}"),
        ({"properties": ["a"]}, "properties: ['a'] is not of type 'object'"),
        ({"properties": {"a": "string"}}, "properties.a: 'string' is not of type 'object', 'boolean'"),
        ({"required": "a"}, "required: 'a' is not of type 'array'"),
        ({"items": [{"type": "string"}]}, "items: [{'type': 'string'}] is not of type 'object', 'boolean'"),
        ({"maxItems": "3"}, "maxItems: '3' is not of type 'integer'"),
        ({"maxLength": -1}, "maxLength: -1 is less than the minimum of 0"),
        ({"pattern": "("}, "pattern: '(' is not a 'regex'"),
        ({"anyOf": []}, "anyOf: [] should be non-empty"),
        ({"$ref": "#/$defs/a"}, f"$ref: '#/$defs/a' {NOWHERE}"),
        ({"items": {"$ref": "https://example.org/a.json"}}, f"items.$ref: 'https://example.org/a.json' {NOWHERE}"),
        ({"$ref": "#"}, f"$ref: '#' {ITSELF}"),
        ({"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
         f"items.$ref: '#/$defs/a' {ITSELF}"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}}}, f"$ref: '#/$defs/b' {NOWHERE}"),
        ({"$ref": "file:///etc/passwd"}, f"$ref: 'file:///etc/passwd' {NOWHERE}"),
        ({"$ref": 3}, "$ref: 3 is not of type 'string'"),
        ({"minimum": math.nan}, "the schema can't be written as JSON: Out of range float values are not JSON"),
        ({"const": datetime.date(2026, 1, 1)}, "the schema can't be written as JSON: Object of type date is not JSON"),
        (SELF, "the schema can't be written as JSON: Circular reference detected"),
    ],
)  # fmt: skip
def test_a_schema_that_can_guide_no_reply_is_refused_with_the_place(schema: Any, problem: str) -> None:
    with pytest.raises(ValueError) as error:
        reply_schema(schema)
    assert str(error.value)[: len(problem)] == problem


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(20_000):
        schema = {"items": schema}
    with pytest.raises(ValueError, match="the schema is nested too deeply"):
        reply_schema(schema)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ('[{"question": "Is it?", "answer": "Yes."}]', None),
        (' [ {\n"answer": "", "question": "图中有猫吗？"} ]\n', None),
        ("[]", "$: [] should be non-empty"),
        ("{}", "$: {} is not of type 'array'"),
        ('[{"question": "Is it?"}]', "$[0]: 'answer' is a required property"),
        ('[{"question": "Is it large?", "answer": ""}]', "$[0].question: 'Is it large?' is too long"),
        ('[{"question": 1, "answer": ""}]', "$[0].question: 1 is not of type 'string'"),
        ('[{"question": "", "answer": NaN}]', "it is not JSON: NaN is no number of JSON"),
        ("", "it is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("Sure! []", "it is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("```json\n[]\n```", "it is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[] []", "it is not JSON: Extra data: line 1 column 4 (char 3)"),
        ('[{"question": "Is', "it is not JSON: Unterminated string starting at: line 1 column 15 (char 14)"),
        pytest.param("[" * 500_000, "it is nested too deeply", id="half a million lists"),
    ],
)
def test_a_reply_is_json_of_the_schema_or_the_problem_says_why_not(reply: str, problem: str | None) -> None:
    assert reply_schema(PAIRS).problem(reply) == problem


def test_a_schema_that_refers_to_itself_is_verified_to_any_depth() -> None:
    tree = reply_schema({"type": "array", "items": {"$ref": "#"}})
    assert tree.problem("[[], [[]]]") is None
    assert tree.problem("[[], [1]]") == "$[1][0]: 1 is not of type 'array'"
    assert tree.problem("[" * 900 + "]" * 900) == "it is nested too deeply"
