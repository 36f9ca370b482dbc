"""JSON that a schema allows. The part of JSON Schema (draft 2020-12) that says what one document may be; other keywords are refused.

It is written here because it is small: no keyword that it does not know is passed over in silence.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import regex

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import dumps, read_bytes
from polychromic.base.parse import parse_json

TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict), "array": lambda v: isinstance(v, list), "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool), "null": lambda v: v is None,
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "integer": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and float(v).is_integer(),
}  # fmt: skip
SILENT = {"$schema", "$id", "title", "description", "default", "examples", "$comment"}
# keyword -> (type that it is about, whether a value of that type keeps it, what the keyword itself must be)
LIMITS: dict[str, tuple[str, Callable[[Any, Any], bool], str]] = {
    "minimum": ("number", lambda v, x: v >= x, "number"), "maximum": ("number", lambda v, x: v <= x, "number"),
    "exclusiveMinimum": ("number", lambda v, x: v > x, "number"), "exclusiveMaximum": ("number", lambda v, x: v < x, "number"),
    "multipleOf": ("number", lambda v, x: math.isclose(v / x, round(v / x), abs_tol=1e-9), "number"),
    "minLength": ("string", lambda v, x: len(v) >= x, "integer"), "maxLength": ("string", lambda v, x: len(v) <= x, "integer"),
    "pattern": ("string", lambda v, x: regex.search(x, v, timeout=1.0) is not None, "string"),
    "minItems": ("array", lambda v, x: len(v) >= x, "integer"), "maxItems": ("array", lambda v, x: len(v) <= x, "integer"),
    "uniqueItems": ("array", lambda v, x: not x or len({dumps(one) for one in v}) == len(v), "boolean"),
    "minProperties": ("object", lambda v, x: len(v) >= x, "integer"), "maxProperties": ("object", lambda v, x: len(v) <= x, "integer"),
    "required": ("object", lambda v, x: set(x) <= v.keys(), "array"),
}  # fmt: skip
STRUCTURE = {"type", "enum", "const", "properties", "additionalProperties", "items", "anyOf", "allOf", "oneOf", "not"}


class Schema:
    """1 for a reply that is one JSON document which the schema allows, else 0; without a schema any object or list that is not empty.

    The whole reply must be JSON as the standard has it: no text or fence around it, no NaN, no key twice (where readers differ). Raises
    UsageError: the schema cannot be read, has a keyword that is not known here, or allows the empty object, list or text.
    """

    def __init__(self, path: str = ""):
        self.schema: Any = {"anyOf": [{"type": "object", "minProperties": 1}, {"type": "array", "minItems": 1}]}
        if path:
            try:
                self.schema = parse_json(read_bytes(path))
            except (PolychromicError, ValueError) as error:
                said = str(error).partition(". Allowed")[0]
                raise UsageError(
                    f"--quality json:{path}: no schema ({said}). Allowed: a file with a JSON Schema. Check the path."
                ) from None
        try:
            check_schema(self.schema)
        except ValueError as error:
            raise UsageError(f"--quality json:{path}: {error}. Correct the schema.") from None
        if empty := [dumps(value) for value in ({}, [], "") if keeps(value, self.schema)]:
            allowed = "one that asks for something, with `required` or `minItems`"
            raise UsageError(f"--quality json:{path}: it allows {', '.join(empty)}, which any model learns at once. Allowed: {allowed}.")

    def __call__(self, row: dict[str, Any], replies: Sequence[str]) -> list[float]:
        return [float(self._holds(reply)) for reply in replies]

    def _holds(self, reply: str) -> bool:
        try:
            return keeps(json.loads(reply, object_pairs_hook=_once, parse_constant=_never), self.schema)
        except (ValueError, RecursionError):
            return False


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _never(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def check_schema(schema: Any, where: str = "schema") -> None:
    """Raises ValueError: a keyword that is not known here, or that holds what it may not."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise ValueError(f"{where} is a {type(schema).__name__}. Allowed: an object, true or false")
    for key, value in schema.items():
        at = f"{where}.{key}"
        if key in LIMITS:
            if not TYPES[LIMITS[key][2]](value) or key == "multipleOf" and value <= 0:
                raise ValueError(f"{at} is {value!r}. Allowed: a {LIMITS[key][2]}")
        elif key == "type":
            if not (names := value if isinstance(value, list) else [value]) or not all(name in TYPES for name in names):
                raise ValueError(f"{at} is {value!r}. Allowed: {', '.join(TYPES)}, or a list of them")
        elif key == "properties":
            for name, inner in value.items() if isinstance(value, dict) else [("", value)]:
                check_schema(inner, f"{at}.{name}")
        elif key in ("items", "additionalProperties", "not"):
            check_schema(value, at)
        elif key in ("anyOf", "allOf", "oneOf"):
            for number, inner in enumerate(value if isinstance(value, list) and value else [None]):
                check_schema(inner, f"{at}[{number}]")
        elif key not in SILENT | STRUCTURE:
            raise ValueError(f"{where} has {key!r}, which is not known here. Allowed: {', '.join(sorted(STRUCTURE | LIMITS.keys()))}")


def keeps(value: Any, schema: Any) -> bool:
    """Whether the schema, checked, allows the value."""
    if isinstance(schema, bool):
        return schema
    kinds = schema.get("type", list(TYPES))
    ok = any(TYPES[kind](value) for kind in ([kinds] if isinstance(kinds, str) else kinds))
    ok = ok and ("enum" not in schema or dumps(value) in map(dumps, schema["enum"]))
    ok = ok and ("const" not in schema or dumps(value) == dumps(schema["const"]))
    ok = ok and all(test(value, schema[key]) for key, (kind, test, _) in LIMITS.items() if key in schema and TYPES[kind](value))
    if ok and isinstance(value, dict):
        known = schema.get("properties", {})
        rest = schema.get("additionalProperties", True)
        ok = all(keeps(inner, known.get(name, rest)) for name, inner in value.items())
    if ok and isinstance(value, list) and "items" in schema:
        ok = all(keeps(inner, schema["items"]) for inner in value)
    ok = ok and ("anyOf" not in schema or any(keeps(value, inner) for inner in schema["anyOf"]))
    ok = ok and ("oneOf" not in schema or sum(keeps(value, inner) for inner in schema["oneOf"]) == 1)
    ok = ok and all(keeps(value, inner) for inner in schema.get("allOf", ()))
    return ok and ("not" not in schema or not keeps(value, schema["not"]))
