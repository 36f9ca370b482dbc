"""The records of what the paper prints (results/numbers.json.gz), the search for what a reader copied from the page, and texts and
tables as people read them in a terminal."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from polychromic.base.errors import DataError
from polychromic.base.io import read_json
from polychromic.report.records import Number, unique

MACROS = "paper/numbers.tex"
WIDEST = 60  # characters of a value


def load_records(place: Path) -> dict[str, Number]:
    """The records of a file by key, sorted.

    Raises:
        PolychromicError: the file is not there, or a key stands twice.
        DataError: it is not a list of records.
    """
    try:
        records = [Number(**row | {"seeds": tuple(row["seeds"])}) for row in read_json(place)]
    except (KeyError, TypeError) as error:
        fields = ", ".join(Number.__dataclass_fields__)
        raise DataError(str(place), f"no record ({error})", f"objects with {fields}", "Make it again with `dvc repro`.") from None
    return unique(sorted(records, key=lambda record: record.key))


def sources(record: Number) -> list[tuple[str, str]]:
    """(file, row) pairs that the value was read from; the row is "" where the whole file is meant."""
    return [(file, row) for part in record.source.split("; ") if part for file, _, row in [part.partition("#")]]


def definitions(text: str) -> dict[str, str]:
    r"""The macros of paper/numbers.tex: key -> what \num{key} prints."""
    return dict(re.findall(r"^\\definenumber\{([^{}]+)\}\{(.*)\}%$", text, flags=re.MULTILINE))


def interval_key(record: Number, records: Mapping[str, Number]) -> str:
    """The record that prints this one's interval: its own ".ci", or that of its group; "" where there is none."""
    names = (f"{record.key}.ci", f"{record.key.rpartition('.')[0]}.ci") if record.low is not None else ()
    ends = lambda one: (one.low, one.high)
    return next((name for name in names if name != record.key and name in records and ends(records[name]) == ends(record)), "")


SPELLINGS = {"\u2212": "-", "\u2013": "-", "--": "-", "\u2009": " ", "\u202f": " ", "\u00a0": " ", "~": " ", r"\,": " ", "\u03bb": "lambda"}
# In this order: the arguments of commands, escapes, signs, names of what remains, braces, spaces.
CLEANED = (
    (r"\\(?:emph|textbf|texttt|mathrm|text)\{([^{}]*)\}", r"\1"), (r"\\([%&$#_{}])", r"\1"), (r"\\times", "x"), (r"\\pm", "+-"),
    (r"\\([A-Za-z]+)\b", r"\1"), (r"[${}]", ""), (r"\s+", " "), (r"\s+(?=%)", ""),
)  # fmt: skip


def plain(text: str) -> str:
    r"""A printed value as people type it: "\ensuremath{-}0.01" is "-0.01", "24.2\,\%" is "24.2%", "$p$ \ensuremath{<.001}" is "p <.001"."""
    text = re.sub(r"\\ensuremath\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}", r"\1", text)
    for written, typed in SPELLINGS.items():
        text = text.replace(written, typed)
    for pattern, typed in CLEANED:
        text = re.sub(pattern, typed, text)
    return text.strip()


def printed_as(records: Iterable[Number], text: str, used: Collection[str] = ()) -> list[Number]:
    """The records that print exactly `text`, in any spelling of minus, spaces and per cent, and the longer ones in `used` that hold it;
    where there are none, all that hold it. Those in `used` come first, then by key."""
    if not (wanted := plain(text)):
        return []
    within = re.compile(rf"(?<![\w.]){re.escape(wanted)}(?![\w]|\.\d)")
    holding = [(record, printed) for record in records if within.search(printed := plain(record.text)) or printed == wanted]
    found = [record for record, printed in holding if printed == wanted or record.key in used]
    return sorted(found or [record for record, _ in holding], key=lambda record: (record.key not in used, record.key))


def count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def shortened(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}…"


def listed(names: Sequence[str], shown: int = 6) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def grid(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A table of texts, which are taken literally."""
    table = Table(title=title and Text(title))
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(one if isinstance(one, Text) else Text(one) for one in row))
    return table
