r"""What the paper prints: its records (results/numbers.json.gz), and paper/main.tex as data. No LaTeX runs.

It knows the manuscript's own habits alone: values as \num{key}, claims as \assertnum, figures by \includegraphics{figures/...}, tables by
\input{tables/...}, whose caption is \caption, \captionof{table} (in a center) or \renewcommand{\tablecaption}.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rich.text import Text

from polychromic.base.errors import DataError
from polychromic.base.io import dumps, read_json
from polychromic.provenance.lock import SHORT
from polychromic.report.records import ASSERT, Number, Use, unique, uses

MAIN, MACROS = "paper/main.tex", "paper/numbers.tex"
NUM = re.compile(r"\\num\{([^{}]+)\}")
PRINTING = re.compile(rf"{NUM.pattern}|{ASSERT.pattern}")
WIDEST, SOME = 60, 10  # that people are shown of the characters of a value, and of what it holds


def load_records(place: Path) -> dict[str, Number]:
    """The records of a file by key, sorted. Raises PolychromicError (it is not there, a key stands twice), DataError (malformed)."""
    try:
        records = [Number(**row | {"seeds": tuple(row["seeds"])}) for row in read_json(place)]
    except (KeyError, TypeError) as error:
        raise DataError(str(place), f"no record ({error})", "fields of report.records.Number", "Run `dvc repro numbers`.") from None
    return unique(sorted(records, key=lambda record: record.key))


def sources(record: Number) -> list[tuple[str, str]]:
    """(file, row) pairs that the value was read from; the row is "" where the whole file is meant."""
    return [(file, row) for part in record.source.split("; ") if part for file, _, row in [part.partition("#")]]


def definitions(text: str) -> dict[str, str]:
    r"""The macros of paper/numbers.tex: key -> what \num{key} prints."""
    return dict(re.findall(r"^\\definenumber\{([^{}]+)\}\{(.*)\}%$", text, flags=re.MULTILINE))


def unsupported_claims(text: str) -> dict[str, str]:
    r"""The claims of paper/numbers.tex, "key words other", that its records do not support -> why."""
    found = re.findall(r"^\\defineclaim\{([^{}]+)\}\{([^{}]+)\}\{([^{}]+)\}\{(.*)\}%$", text, flags=re.MULTILINE)
    return {f"{key} {words} {other}:": why for key, words, other, why in found if why}


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
    """The records that print exactly `text`, however it is spelled, and the longer ones in `used` that hold it; where there are none, all
    that hold it. Those in `used` come first, then by key."""
    if not (wanted := plain(text)):
        return []
    within = re.compile(rf"(?<![\w.]){re.escape(wanted)}(?![\w]|\.\d)")
    holding = [(record, printed) for record in records if within.search(printed := plain(record.text)) or printed == wanted]
    found = [record for record, printed in holding if printed == wanted or record.key in used]
    return sorted(found or [record for record, _ in holding], key=lambda record: (record.key not in used, record.key))


class Float(NamedTuple):
    """A figure or table by its label and the number that LaTeX gives it ("Figure 3"), with the files it shows."""

    name: str
    label: str
    files: tuple[str, ...]  # relative to the workspace
    line: int


@dataclass(frozen=True)
class Manuscript:
    """text: main.tex without its comments. uses: every \\num of it and of the tables it reads that are here."""

    text: str
    uses: Sequence[Use] = ()

    @classmethod
    def load(cls, folder: Path = Path(".")) -> Manuscript:
        """folder/paper/main.tex. Raises PolychromicError when it is missing."""
        found = [Use(use.key, Path(use.file).relative_to(folder).as_posix(), use.line) for use in uses(folder / "paper")]
        return cls(re.sub(r"(?<!\\)%.*", "", (folder / MAIN).read_text(encoding="utf-8")), found)

    @cached_property
    def keys(self) -> list[str]:
        """The records that are printed, sorted."""
        return sorted({use.key for use in self.uses})

    @cached_property
    def floats(self) -> list[Float]:
        """Figures and tables, in order. Raises DataError: one of them has no label."""
        found: list[Float] = []
        for block in _FLOAT.finditer(self.text):
            kind, line = (block["kind"] or block["of"] or "table").capitalize(), _line(self.text, block.start())
            shown = [(name, suffix) for suffix, pattern in _SHOWN.items() for name in re.findall(pattern, block[0])]
            label = re.search(r"\\label\{((?:fig|tab):[^{}]+)\}", block[0])
            if shown and not label:
                raise DataError(f"{MAIN}:{line}", f"a {kind} without a label", "a figure or table with \\label", "Add the label.")
            if shown:
                files = tuple(f"paper/{name.removesuffix(suffix)}{suffix}" for name, suffix in shown)
                found.append(Float(f"{kind} {1 + sum(one.name.startswith(kind) for one in found)}", label[1], files, line))
        return found

    @cached_property
    def sentences(self) -> list[tuple[int, str, list[str]]]:
        """The sentences of text and captions that print a record, in order: the line, what is written, and the records."""
        found, place = [], max(self.text.find(r"\begin{document}"), 0)
        for block in re.split(_BREAK, self.text[place:]):
            for piece in re.split(_END, block or ""):
                if keys := [one[1] or one[3] for one in PRINTING.finditer(piece)]:
                    found.append((_line(self.text, place + len(piece) - len(piece.lstrip())), piece.strip(), keys))
                place += len(piece)
        return found

    def render(self, written: str, texts: Mapping[str, str], mark: Callable[[str, str], str] = lambda key, text: text) -> str:
        """A sentence as a reader sees it: references numbered, markup gone, and for a key what `mark` makes of it and of its plain value in
        `texts` (LaTeX), or "[key]" where it is not in there."""
        numbers = {one.label: one.name.partition(" ")[2] for one in self.floats}
        text = re.sub(r"\\(?:eq)?ref\{([^{}]+)\}", lambda found: numbers.get(found[1], f"[{found[1]}]"), written)
        for pattern, shown in _MARKUP:
            text = re.sub(pattern, shown, text)
        value = lambda found: mark(found[1], plain(texts[found[1]])) if found[1] in texts else f"[{found[1]}]"
        # values last, behind marks that the clean-up leaves alone
        return re.sub("\x00([^\x00]+)\x00", value, plain(NUM.sub("\x00\\1\x00", text)))

    def typed_digits(self, confidence: float) -> list[tuple[int, str]]:
        r"""(line, the digits and what stands there) of each number in the body that is no record.

        What may stand there: lengths and arguments that are not printed, citations, references, names (md5, SmolLM2, pass@1), years in
        parentheses, zero and one in mathematics and single digits as its indices, powers and coefficients, "temperature 1" (the policy
        itself), and the level of the intervals (`confidence`, in (0, 1)). A value that is written as a word ("ten") is not seen.
        """
        blank = lambda found: " " * len(found[0])  # so that places stay those of the text
        text = _MATH.sub(lambda span: _FORMULA.sub(blank, span[0]), self.text)
        for allowed in (_HIDDEN, re.escape(rf"{100 * confidence:g}\,\%") + r"(?=\s+intervals?\b)", _POLICY, _YEAR):
            text = re.sub(allowed, blank, text)
        found = []
        for digits in _DIGITS.finditer(text, max(self.text.find(r"\begin{document}"), 0)):
            line = _line(self.text, digits.start())
            found.append((line, f"{digits[0]} in “{self.text.splitlines()[line - 1].strip()}”"))
        return found


_FLOAT = re.compile(
    r"\\(?:begin\{(?P<kind>figure|table)\}.*?\\end\{(?P=kind)\}|captionof\{(?P<of>figure|table)\}.*?\\end\{center\}"
    r"|renewcommand\{\\tablecaption\}.*?\\input\{tables/[^{}]+\})",
    re.DOTALL,
)
_SHOWN = {".pdf": r"\\includegraphics(?:\[[^\]]*\])?\{([^{}]+)\}", ".tex": r"\\input\{(tables/[^{}]+)\}"}
_END = r"(?<=[.!?])(?=[}'\")]*\s)|(?<=[.!?][}'\")])(?=\s)"
# Capturing, so that the parts add up to the text and places can be counted.
_BREAK = (
    r"(\n[ \t]*\n|\\begin\{[^{}]*\}(?:\[[^\]]*\])?|\\end\{[^{}]*\}|\\(?:(?:sub)*section|paragraph)\*?\{(?:[^{}]|\{[^{}]*\})*\}|"
    r"\\item\b|\\caption(?:of\{[^{}]*\}|\b)|\\renewcommand\{\\[a-z]+\}|\\input\{[^{}]*\}|\\includegraphics(?:\[[^\]]*\])?\{[^{}]*\}|\\setlength\S*)"
)
_MARKUP = (
    (r"\\assertnum\*\{[^{}]+\}\{[^{}]+\}\{[^{}]+\}", ""),
    (r"\\assertnum\{[^{}]+\}\{([^{}]+)\}\{[^{}]+\}", r"\1"),
    (r"\\cite[a-z]*\{([^{}]+)\}", r"[\1]"),
    (r"\\(?:(?:sub)*section|paragraph)\*?(?=\{)", ""),
    (r"\\(?:label|vspace|hspace)\{[^{}]*\}|\\(?:centering|noindent|maketitle)\b|\\\\(?:\[[^\]]*\])?", ""),
)
_ARGUMENT = r"\{(?:[^{}]|\{[^{}]*\})*\}"
_HIDDEN = re.compile(
    r"\\num\{[^{}]*\}|\\assertnum\*?\{[^{}]*\}\{[^{}]*\}\{[^{}]*\}"
    rf"|\\(?:cite[a-z]*|ref|eqref|pageref|label|input|includegraphics|end|bibliographystyle|bibliography|url)\*?(?:\[[^\]]*\])*{_ARGUMENT}"
    rf"|\\(?:begin|setlength|setcounter|addtolength|hspace|vspace|fontsize|newgeometry|cmidrule|multicolumn)\*?(?:\[[^\]]*\])?(?:{_ARGUMENT})+"
    r"|\\\\(?:\[[^\]]*\])?"
)
_MATH = re.compile(r"\$[^$]*\$|\\\[.*?\\\]|\\begin\{(equation|align|gather|multline)(\*?)\}.*?\\end\{\1\2\}", re.DOTALL)
_DIGITS = re.compile(r"(?<![A-Za-z@\d])\d+(?:\.\d+)?")
_FORMULA = re.compile(  # zero and one; a digit after _ or ^, or before a letter, a command or a parenthesis
    r"(?<![A-Za-z@\d])(?:[01]|(?:(?<=[_^])|(?<=[_^]\{))\d|\d(?=(?:\\,)?(?:\\[a-z]|[a-zA-Z(])))(?!\.?\d)"
)
_POLICY = r"\btemperature[\s~]+1(?!\.?\d)"
_YEAR = r"\((?:[^()\d]{0,26}\b)?(?:19|20)\d\d\)"


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def shortened(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}…"


def brief(document: Any) -> Text:
    """What --json prints as people read it: YAML without what is empty, the first of many, eight digits of a hash."""

    def cut(value: Any, depth: int = 0) -> Any:
        if isinstance(value, Mapping | list) and depth > 3:
            return shortened(dumps(value))
        if isinstance(value, Mapping):
            full = {key: one for key, one in value.items() if one not in (None, "", [], {})}
            said = [(key, plain(one) if key == "text" else cut(one, depth + 1)) for key, one in full.items()]
            return dict(said[: SOME if depth else None]) | ({"…": f"{len(said) - SOME} more"} if depth and len(said) > SOME else {})
        if isinstance(value, list):
            few = [row["name"] for row in value] if len(value) > 4 and isinstance(value[0], Mapping) and "name" in value[0] else value
            shown = len(few) if few and isinstance(few[0], Mapping) else SOME
            return [*(cut(one, depth) for one in few[:shown]), *([f"and {len(few) - shown} more"] if len(few) > shown else [])]
        return value[:SHORT] if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32,40}(\.dir)?", value) else value

    return Text(yaml.safe_dump(cut(document), sort_keys=False, allow_unicode=True, default_flow_style=None, width=100).rstrip())
