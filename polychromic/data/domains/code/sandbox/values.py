"""Plain data as tagged JSON: what goes into a program's process, and what comes out of it and is compared with what was expected.

A value that comes out is never built outside: a thousand chosen ints make a set take minutes. Its text is compared, by exact type at any
depth. serve.py uses this file as a module by its source: standard library alone.
"""

import json
import math

DEPTH, SIZE = 24, 20_000  # nesting and number of parts of a value that is still data
SERIES = {list: "l", tuple: "t", set: "S", frozenset: "F"}
# Type: (tag, how it is written, how it is read).
SCALARS = {
    type(None): ("n", lambda value: None, lambda body: None),
    bool: ("b", int, bool),
    int: ("i", hex, lambda body: int(body, 16)),
    float: ("f", float.hex, float.fromhex),
    str: ("s", lambda text: text.encode("utf-8", "surrogatepass").hex(), lambda body: bytes.fromhex(body).decode("utf-8", "surrogatepass")),
    bytes: ("y", bytes.hex, bytes.fromhex),
}
READERS = {tag: read for tag, _, read in SCALARS.values()} | {
    **{tag: lambda body, kind=kind: kind(map(decode, body)) for kind, tag in SERIES.items()},
    "d": lambda body: {decode(key): decode(part) for key, part in body},
}


def encode(value: object, depth: int = 0) -> list:
    """Plain data as tagged JSON, by exact type: an object that says it equals everything is not data. TypeError for anything else."""
    kind = type(value)
    if kind in SCALARS:
        tag, write, _ = SCALARS[kind]
        return [tag, write(value)]
    if kind not in (dict, *SERIES) or depth >= DEPTH or len(value) > SIZE:
        raise TypeError(f"{kind.__name__} is no plain data, or too much of it")
    if kind is dict:
        return ["d", [[encode(key, depth + 1), encode(part, depth + 1)] for key, part in value.items()]]
    parts = [encode(part, depth + 1) for part in value]
    return [SERIES[kind], parts if kind in (list, tuple) else sorted(parts, key=text)]


def decode(tagged: list) -> object:
    """The value of `encode`; some Exception for what it never returns. Only for what our own side wrote."""
    tag, body = tagged
    return READERS[tag](body)


def text(tagged: object) -> str:
    """One text for all that Python holds for one part of a set; 0.0 and -0.0 are one."""
    return json.dumps(tagged).replace('"-0x0.0p+0"', '"0x0.0p+0"')


def same(found: object, expected: list) -> bool:
    """Whether two tagged values are equal in type and value; an int may stand for a float of the same value, and floats agree to 1e-9 of
    their size, but in sets and in keys of dicts all is exact.

    Args: found, of a program: anything that JSON holds; expected, of `encode`.
    Raises: Exceptions of any kind for a `found` that `encode` never returns, or an int too large for a float: it is not the same.
    Time: n log n in the characters of `found`, whatever it holds.
    """
    (tag, body), (kind, wanted) = found, expected
    if kind == "f" and tag in ("f", "i"):
        value, aim = READERS[tag](body), float.fromhex(wanted)
        return value == aim or math.isclose(value, aim, rel_tol=1e-9, abs_tol=1e-12) or value != value and aim != aim
    if tag != kind:
        return False
    if kind in ("l", "t"):
        return len(body) == len(wanted) and all(map(same, body, wanted))
    if kind == "d":
        ours, theirs = (sorted(((text(key), part) for key, part in pairs), key=lambda pair: pair[0]) for pairs in (body, wanted))
        return len(ours) == len(theirs) and all(a[0] == b[0] and same(a[1], b[1]) for a, b in zip(ours, theirs, strict=True))
    if kind in ("S", "F"):
        return sorted(map(text, body)) == sorted(map(text, wanted))
    return body == wanted
