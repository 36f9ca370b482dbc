r"""paper/main.tex as data: the records it prints, its figures and tables, its sentences, and digits that somebody typed. No LaTeX runs.

It knows the manuscript's own habits alone: values as \num{key}, figures by \includegraphics{figures/...}, tables by
\input{tables/...}, whose caption is \caption, \captionof{table} (in a center) or \renewcommand{\tablecaption}.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from polychromic.base.errors import DataError
from polychromic.provenance.records import plain
from polychromic.report import records
from polychromic.report.records import Use

MAIN = "paper/main.tex"
NUM = re.compile(r"\\num\{([^{}]+)\}")


@dataclass(frozen=True)
class Float:
    """A figure or table: its label, the number that LaTeX gives it, and the files it shows, relative to the workspace."""

    kind: str  # "figure" or "table"
    label: str
    number: int
    files: tuple[str, ...]
    line: int

    @property
    def name(self) -> str:
        return f"{self.kind.capitalize()} {self.number}"


@dataclass(frozen=True)
class Sentence:
    """A sentence as written, where it begins, and the records it prints, in order."""

    source: str
    line: int
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Manuscript:
    """text: main.tex without its comments. uses: every \\num of it and of the tables it reads that are here; of a table that no stage
    has made yet LaTeX and the appendix complain, not who follows another value."""

    text: str
    uses: tuple[Use, ...] = ()

    @classmethod
    def load(cls, folder: Path = Path(".")) -> Manuscript:
        """folder/paper/main.tex. Raises PolychromicError when it is missing."""
        uses = (Use(use.key, Path(use.file).relative_to(folder).as_posix(), use.line) for use in records.uses(folder / "paper"))
        return cls(re.sub(r"(?<!\\)%.*", "", (folder / MAIN).read_text(encoding="utf-8")), tuple(uses))

    @cached_property
    def keys(self) -> list[str]:
        """The records that are printed, sorted."""
        return sorted({use.key for use in self.uses})

    @cached_property
    def floats(self) -> list[Float]:
        """Figures and tables in the order of the source, which is that of their numbers. Raises DataError: one of them has no label."""
        found: list[Float] = []
        for block in _FLOAT.finditer(self.text):
            kind, line = block["kind"] or block["of"] or "table", _line(self.text, block.start())
            shown = [(name, suffix) for suffix, pattern in _SHOWN.items() for name in re.findall(pattern, block[0])]
            files = tuple(f"paper/{name.removesuffix(suffix)}{suffix}" for name, suffix in shown)
            label = re.search(r"\\label\{((?:fig|tab):[^{}]+)\}", block[0])
            if files and not label:
                raise DataError(f"{MAIN}:{line}", f"a {kind} without a label", "a figure or table with \\label", "Add the label.")
            if files:
                found.append(Float(kind, label[1], 1 + sum(one.kind == kind for one in found), files, line))
        return found

    @cached_property
    def sentences(self) -> list[Sentence]:
        """The sentences of text and captions that print a record, in order."""
        found, place = [], max(self.text.find(r"\begin{document}"), 0)
        for block in re.split(_BREAK, self.text[place:]):
            for piece in re.split(_END, block or ""):
                if keys := tuple(NUM.findall(piece)):
                    begin = place + len(piece) - len(piece.lstrip())
                    found.append(Sentence(piece.strip(), _line(self.text, begin), keys))
                place += len(piece)
        return found

    def render(self, sentence: Sentence, texts: Mapping[str, str], mark: Callable[[str, str], str] = lambda key, text: text) -> str:
        """The sentence as a reader sees it: values filled in, references numbered, markup gone.

        Args:
            texts: key -> what the record prints (LaTeX); a missing key shows as "[key]".
            mark: (key, plain value) -> what stands in its place.
        """
        numbers = {one.label: str(one.number) for one in self.floats}
        text = re.sub(r"\\(?:eq)?ref\{([^{}]+)\}", lambda found: numbers.get(found[1], f"[{found[1]}]"), sentence.source)
        for pattern, shown in _MARKUP:
            text = re.sub(pattern, shown, text)
        value = lambda found: mark(found[1], plain(texts[found[1]])) if found[1] in texts else f"[{found[1]}]"
        # values last, behind marks that the clean-up leaves alone
        return re.sub("\x00([^\x00]+)\x00", value, plain(NUM.sub("\x00\\1\x00", text)))

    def typed_digits(self, confidence: float) -> list[tuple[int, str]]:
        r"""(line, the digits and the words around them) of each number in the body that is no record.

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
            before, after = self.text[: digits.start()].rpartition("\n")[2], self.text[digits.end() :].partition("\n")[0]
            found.append((_line(text, digits.start()), " ".join(f"{before[-40:]}{digits[0]}{after[:40]}".split())))
        return found


_FLOAT = re.compile(
    r"\\(?:begin\{(?P<kind>figure|table)\}.*?\\end\{(?P=kind)\}|captionof\{(?P<of>figure|table)\}.*?\\end\{center\}"
    r"|renewcommand\{\\tablecaption\}.*?\\input\{tables/[^{}]+\})",
    re.DOTALL,
)
_SHOWN = {".pdf": r"\\includegraphics(?:\[[^\]]*\])?\{([^{}]+)\}", ".tex": r"\\input\{(tables/[^{}]+)\}"}
# Records of whole sentences end one, too.
_END = r"(?<=[.!?])(?=[}'\")]*\s)|(?<=[.!?][}'\")])(?=\s)|(?<=sentence\})(?=\s)|(?<=notice\})(?=\s)"
# Capturing, so that the parts add up to the text and places can be counted.
_BREAK = (
    r"(\n[ \t]*\n|\\begin\{[^{}]*\}(?:\[[^\]]*\])?|\\end\{[^{}]*\}|\\(?:(?:sub)*section|paragraph)\*?\{(?:[^{}]|\{[^{}]*\})*\}|"
    r"\\item\b|\\caption(?:of\{[^{}]*\}|\b)|\\renewcommand\{\\[a-z]+\}|\\input\{[^{}]*\}|\\includegraphics(?:\[[^\]]*\])?\{[^{}]*\}|\\setlength\S*)"
)
_MARKUP = (
    (r"\\cite[a-z]*\{([^{}]+)\}", r"[\1]"),
    (r"\\(?:(?:sub)*section|paragraph)\*?(?=\{)", ""),
    (r"\\(?:label|vspace|hspace)\{[^{}]*\}|\\(?:centering|noindent|maketitle)\b|\\\\(?:\[[^\]]*\])?", ""),
)
_ARGUMENT = r"\{(?:[^{}]|\{[^{}]*\})*\}"
_HIDDEN = re.compile(
    r"\\num\{[^{}]*\}"
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
