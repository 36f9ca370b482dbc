r"""What a printed number is: a typed record and a LaTeX macro \num{key}; what a sentence claims of one, \assertnum{key}{words}{other}; and
which of them the manuscript asks for. paper/numbers.sty defines the macros."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.report import labels

RELATIONS = ("higher than", "lower than", "not distinguishable from", "at least", "at most", "equal to")
ASSERT = re.compile(r"\\assertnum(\*?)\{([^{}]+)\}\{([^{}]+)\}\{([^{}]+)\}")


@dataclass(frozen=True)
class Number:
    """One printed value.

    Attributes:
        key: what the text writes in \\num{...}, e.g. "listqa.test.polychromic.pass@1".
        value: the unrounded value, None where the record is words or a list.
        text: what LaTeX prints.
        unit: "%", "points" (value, low and high are shares then, and printed times 100) or "".
        low, high: ends of the 95 % interval, None where there is none.
        n: prompts behind the value, None for a parameter.
        seeds: the training or sampling seeds averaged.
        split: "dev" or "test", None for a parameter.
        source: the file and the row it comes from, "results/listqa/dev/compare.json#contrasts/<id>"; several are joined by "; ".
    """

    key: str
    value: float | int | None
    text: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    seeds: tuple[int, ...] = ()
    split: str | None = None
    source: str = ""

    @property
    def scale(self) -> int:
        """From the value to what is printed."""
        return 100 if self.unit in ("%", "points") else 1


@dataclass(frozen=True)
class Use:
    """A \\num{key} of the manuscript at file:line, or what is claimed there: `claim` is (words, other), other a key or a number."""

    key: str
    file: str
    line: int
    claim: tuple[str, str] | None = None


def uses(paper: Path) -> list[Use]:
    r"""Every \num and \assertnum of paper/main.tex and of the tables that it reads and that are here, comments aside, in order; of a claim
    against another record a use of that one, too.

    Raises:
        PolychromicError: main.tex is missing, or a claim has other words than RELATIONS.
    """
    main, found = paper / "main.tex", []
    if not main.exists():
        raise PolychromicError(f"{main}: file not found. Run in the folder that holds params.yaml and paper/.")
    text = lambda path: re.sub(r"(?<!\\)%.*", "", path.read_text(encoding="utf-8"))
    inputs = re.findall(r"\\input\{(tables/[^{}]+)\}", text(main))
    for path in (main, *(paper / f"{name}.tex" for name in dict.fromkeys(inputs))):
        for number, line in enumerate(text(path).splitlines() if path.exists() else (), start=1):
            found += [Use(key, path.as_posix(), number) for key in re.findall(r"\\num\{([^{}]+)\}", line)]
            for _, key, words, other in ASSERT.findall(line):
                if words not in RELATIONS:
                    raise PolychromicError(f"{path}:{number}: \\assertnum says {words!r}. Allowed: {', '.join(RELATIONS)}. Correct it.")
                found.append(Use(key, path.as_posix(), number, (words, other)))
                found += [] if number_of(other) is not None else [Use(other, path.as_posix(), number)]
    return found


def number_of(text: str) -> float | None:
    """A number as the text writes it, None where it is a key."""
    return float(text) if re.fullmatch(r"[+-]?\d+(?:\.\d+)?", text) else None


def unsupported(key: str, words: str, other: str, records: Mapping[str, Number]) -> str:
    """Why `records` do not support that `key` is `words` `other`; "" where they do. Numbers are in the unit that is printed.

    "higher than" and "lower than" are claims of a test: the record's whole interval, where it has one, lies beyond the other's (or the
    number), and where the record is a difference, its adjusted p is below ALPHA. "not distinguishable from": neither holds. The others
    compare values alone.
    """
    record, against, limit = records[key], records.get(other), number_of(other)
    if limit is None and (against is None or against.value is None):
        return f"{other} has no value"
    if record.value is None:
        return f"{key} has no value"  # words, or a contrast without a match
    ends = lambda r: tuple(r.scale * (r.value if end is None else end) for end in (r.value, r.low, r.high))
    value, low, high = ends(record)
    that, that_low, that_high = (limit,) * 3 if limit is not None else ends(against)
    tested = records.get(f"{key.rpartition('.')[0]}.p_adjusted") if key.endswith((".gap", ".delta")) else None
    sure = tested is None or (tested.value is not None and tested.value < labels.ALPHA)
    above, below = sure and low > that_high, sure and high < that_low
    holds = {"higher than": above, "lower than": below, "not distinguishable from": not above and not below, "at least": value >= that,
             "at most": value <= that, "equal to": value == that}[words]  # fmt: skip
    if holds:
        return ""
    p = f", adjusted p {tested.value:.3g}" if tested is not None and tested.value is not None else ""
    interval = "" if record.low is None else f" [{low:.4g}, {high:.4g}]"
    return f"{key} is {value:.4g}{interval}{p}, and {other} is {that:.4g}" if limit is None else f"{key} is {value:.4g}{interval}{p}"


def unique(records: Iterable[Number]) -> dict[str, Number]:
    """Records by key; PolychromicError when a key occurs twice (two values for one macro)."""
    by_key: dict[str, Number] = {}
    for record in records:
        if record.key in by_key:
            places = f"{by_key[record.key].source}, {record.source}"
            raise PolychromicError(f"the number {record.key!r} is defined twice ({places}). Rename one of them.")
        by_key[record.key] = record
    return by_key
