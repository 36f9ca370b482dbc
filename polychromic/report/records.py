r"""What a printed number is: a typed record and a LaTeX macro \num{key}; and which of them the manuscript asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from polychromic.base.errors import PolychromicError


@dataclass(frozen=True)
class Number:
    """One printed value.

    Attributes:
        key: what the text writes in \\num{...}, e.g. "listqa.polychromic.pass@1".
        value: the unrounded value, None where the record is words or a list.
        text: what LaTeX prints.
        unit: "%", "points" or "".
        low, high: ends of the 95 % interval over prompts, None where there is none.
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


@dataclass(frozen=True)
class Use:
    """A \\num{key} of the manuscript at file:line."""

    key: str
    file: str
    line: int


def uses(paper: Path) -> list[Use]:
    r"""Every \num of paper/main.tex and of the tables that it reads and that are here, comments aside, in order.

    Raises:
        PolychromicError: main.tex is missing.
    """
    main, found = paper / "main.tex", []
    if not main.exists():
        raise PolychromicError(f"{main}: file not found. Run in the folder that holds params.yaml and paper/.")
    text = lambda path: re.sub(r"(?<!\\)%.*", "", path.read_text(encoding="utf-8"))
    inputs = re.findall(r"\\input\{(tables/[^{}]+)\}", text(main))
    for path in (main, *(paper / f"{name}.tex" for name in dict.fromkeys(inputs))):
        for number, line in enumerate(text(path).splitlines() if path.exists() else (), start=1):
            found += [Use(key, path.as_posix(), number) for key in re.findall(r"\\num\{([^{}]+)\}", line)]
    return found


def unique(records: Iterable[Number]) -> dict[str, Number]:
    """Records by key; PolychromicError when a key occurs twice (two values for one macro)."""
    by_key: dict[str, Number] = {}
    for record in records:
        if record.key in by_key:
            places = f"{by_key[record.key].source}, {record.source}"
            raise PolychromicError(f"the number {record.key!r} is defined twice ({places}). Rename one of them.")
        by_key[record.key] = record
    return by_key
