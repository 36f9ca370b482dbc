"""Texts of others as values, JSON, YAML and addresses: within bounds, and with one sentence for all that can be wrong.

A text that is nested without end, or an integer of thousands of digits, is refused here: further on it would be a RecursionError or an
OverflowError of whatever touches it first. NaN and infinity pass, as columns that nobody reads may hold them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from polychromic.base.errors import UsageError

DEEPEST = 100  # of lists and objects within each other; what is read here has five
MOST = 1_000_000  # values of a YAML document, aliases written out
LONGEST = 14_000  # bits of an integer, which can still be printed
TOO_DEEP, TOO_LONG = f"nested more than {DEEPEST} deep", "an integer of more than 4300 digits"  # the interpreter's bound


def parse_json(raw: bytes) -> Any:
    """Raises ValueError: not UTF-8, not JSON, or beyond the bounds; it says which."""
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"invalid UTF-8 ({error.reason} at byte {error.start})") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column" if error.lineno > 1 else "column"
        raise ValueError(f"not JSON ({error.msg} at {place} {error.colno})") from None
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    except ValueError:
        raise ValueError(TOO_LONG) from None
    if raw.count(b"[") + raw.count(b"{") > DEEPEST:
        _check_depth(value)
    return value


def parse_yaml(text: str, where: str, lines: bool = False) -> Any:
    """YAML 1.2 of plain values. Raises ValueError: not YAML, or beyond the bounds; it begins with the place, "rules.yaml:3:7: ...".

    Args:
        where: the file that the text is of.
        lines: take the slower parser, which names a line for every mistake.
    """
    from ruamel.yaml import YAML, YAMLError
    from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

    depth = 0
    try:
        with suppress(YAMLError):  # which is said below
            for event in YAML(typ="safe").parse(text):  # a flat stream: building the values would recurse
                depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
                if depth > DEEPEST:
                    raise _BoundError(TOO_DEEP)
        value = YAML(typ="safe", pure=lines).load(text)
        _check_depth(value)  # aliases may hold each other
        if _count(value, {}) > MOST:
            raise _BoundError(f"aliases that stand for more than {MOST:,} values")
    except _BoundError as error:
        raise ValueError(f"{where}: {error}") from None
    except YAMLError as error:
        mark, said = getattr(error, "problem_mark", None), " ".join(str(getattr(error, "problem", None) or error).split())
        raise ValueError(f"{where}{f':{mark.line + 1}:{mark.column + 1}' if mark else ''}: not YAML ({said})") from None
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError, NotImplementedError) as error:
        # what the parser makes of dates that do not exist, endless integers, keys that are lists
        said = TOO_LONG if "digits" in str(error) else " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{where}: not YAML ({said})") from None
    return value


def split_url(url: str, option: str) -> SplitResult:
    """The parts of an address. Raises UsageError, which names the option, where it cannot be taken apart."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        allowed = "https://HOST[:PORT][/PATH]"
        raise UsageError(f"{option} {url[:200]!r} is no address ({error}). Allowed: {allowed}. Correct it.") from None
    return parts


class _BoundError(ValueError):
    """Beyond the bounds."""


def _inner(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple | set):
        yield from value


def _check_depth(value: Any) -> None:
    """Level by level, each container once a level: neither depth nor aliases make it recurse or take long."""
    level = {id(value): value}
    for _ in range(DEEPEST):
        inner = (one for outer in level.values() for one in _inner(outer))
        level = {id(one): one for one in inner if isinstance(one, Mapping | list | tuple | set)}
        if not level:
            return
    raise _BoundError(TOO_DEEP)


def _count(value: Any, known: dict[int, int]) -> int:
    """Values in a document, those behind an alias once per alias. It is DEEPEST deep at most; a hexadecimal integer may be endless."""
    if isinstance(value, int) and value.bit_length() > LONGEST:
        raise _BoundError(TOO_LONG)
    if id(value) not in known:
        known[id(value)] = MOST  # of one that holds itself
        known[id(value)] = 1 + sum(_count(one, known) for one in _inner(value))
    return known[id(value)]
