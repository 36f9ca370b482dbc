r"""paper/main.tex as data: the records it prints, its figures and tables, its sentences, and digits that somebody typed. No LaTeX runs.

It knows the manuscript's own habits alone: values as \num{key}, figures by \includegraphics{figures/...}, tables by
\input{tables/...}, whose caption is \caption, \captionof{table} or \renewcommand{\tablecaption}.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance.records import plain
from polychromic.report.records import Use

MAIN = "paper/main.tex"
NUM = re.compile(r"\\num\{([^{}]+)\}")
KINDS = {"figure": "Figure", "table": "Table"}
SUFFIXES = {"figure": ".pdf", "table": ".tex"}


@dataclass(frozen=True)
class Float:
    """A figure or table: its label, the number that LaTeX gives it, and the files it shows, relative to the workspace."""

    kind: str  # of KINDS
    label: str
    number: int
    files: tuple[str, ...]
    line: int

    @property
    def name(self) -> str:
        return f"{KINDS[self.kind]} {self.number}"


@dataclass(frozen=True)
class Sentence:
    """A sentence as written, where it begins, and the records it prints, in order."""

    source: str
    line: int
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Manuscript:
    """main.tex without its comments.

    Attributes:
        text: comments are blanked out, so that places are those of the file.
        inputs: the files of tables/ that it reads and that are here, by path relative to the workspace. One that no stage has made yet
            is missing to LaTeX and to the appendix, not to whoever follows another value.
    """

    text: str
    inputs: Mapping[str, str]

    @classmethod
    def load(cls, folder: Path = Path(".")) -> Manuscript:
        """folder/paper/main.tex and the tables it reads. Raises PolychromicError when main.tex is missing."""
        if not (folder / MAIN).is_file():
            raise PolychromicError(f"{folder / MAIN}: file not found. Run in the folder that holds params.yaml and paper/.")
        read = lambda name: re.sub(r"(?<!\\)%[^\n]*", lambda found: " " * len(found[0]), (folder / name).read_text(encoding="utf-8"))
        text = read(MAIN)
        names = dict.fromkeys(_path(name, ".tex") for name in re.findall(r"\\input\{(tables/[^{}]+)\}", text))
        return cls(text, {name: read(name) for name in names if "/provenance" not in name and (folder / name).is_file()})

    @cached_property
    def uses(self) -> list[Use]:
        """Every \\num, first those of main.tex, in order."""
        texts = {MAIN: self.text, **self.inputs}.items()
        return [Use(found[1], name, _line(text, found.start())) for name, text in texts for found in NUM.finditer(text)]

    @cached_property
    def keys(self) -> list[str]:
        """The records that are printed, sorted."""
        return sorted({use.key for use in self.uses})

    @cached_property
    def floats(self) -> list[Float]:
        """Figures and tables in the order of the source, which is that of their numbers. Raises DataError: one of them has no label."""
        found: list[Float] = []
        kind, label, files, line, long = "", "", [], 0, False
        for event in _FLOATS.finditer(self.text):
            if opened := event["begin"] or event["captionof"] or ("table" if event["long"] else ""):
                kind, label, files, line, long = opened, "", [], _line(self.text, event.start()), bool(event["long"])
            if kind:
                label = event["label"] or label
                files += [_path(event[one], SUFFIXES[one]) for one in KINDS if event[one]]
            if event["end"] or (long and event["table"]):
                if kind and files:
                    if not label:
                        raise DataError(f"{MAIN}:{line}", f"a {kind} without a label", "a figure or table with \\label", "Add the label.")
                    found.append(Float(kind, label, 1 + sum(one.kind == kind for one in found), tuple(files), line))
                kind, files, long = "", [], False
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
        maths = [span.span() for span in _MATH.finditer(self.text)]
        # Blanked at their length, so that places stay those of the file; a begin that opens mathematics was looked at above.
        text = _HIDDEN.sub(lambda found: " " * len(found[0]), self.text)
        found = []
        for digits in re.compile(r"(?<![A-Za-z@\d])\d+(?:\.\d+)?").finditer(text, max(self.text.find(r"\begin{document}"), 0)):
            begin, end = digits.span()
            before, after = text[max(begin - 40, 0) : begin], text[end : end + 40]
            in_math = any(first <= begin < last for first, last in maths)
            if not _may_stand(digits[0], before, after, in_math, rf"{100 * confidence:g}\,\%"):
                words = f"{before.rpartition(chr(10))[2]}{digits[0]}{after.partition(chr(10))[0]}"
                found.append((_line(self.text, begin), " ".join(words.split())))
        return found


_FLOATS = re.compile(
    r"\\begin\{(?P<begin>figure|table)\}|\\captionof\{(?P<captionof>figure|table)\}|(?P<long>\\renewcommand\{\\tablecaption\})"
    r"|\\label\{(?P<label>(?:fig|tab):[^{}]+)\}|\\includegraphics(?:\[[^\]]*\])?\{(?P<figure>[^{}]+)\}"
    r"|\\input\{(?P<table>tables/[^{}]+)\}|(?P<end>\\end\{(?:figure|table|center)\})"
)
# Records of whole sentences end one, too.
_END = r"(?<=[.!?])(?=[}'\")]*\s)|(?<=[.!?][}'\")])(?=\s)|(?<=sentence\})(?=\s)|(?<=notice\})(?=\s)"
# Capturing, so that the parts add up to the text and places can be counted.
_BREAK = (
    r"(\n[ \t]*\n|\\begin\{[^{}]*\}(?:\[[^\]]*\])?|\\end\{[^{}]*\}|\\(?:(?:sub)*section|paragraph)\*?\{(?:[^{}]|\{[^{}]*\})*\}|"
    r"\\item\b|\\caption\b|"
    r"\\captionof\{[^{}]*\}|\\renewcommand\{\\[a-z]+\}|\\input\{[^{}]*\}|\\includegraphics(?:\[[^\]]*\])?\{[^{}]*\}|\\setlength\S*)"
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
_YEAR = re.compile(r"\((?:[^()\d]*\b)?(?:19|20)\d\d\)$")


def _may_stand(digits: str, before: str, after: str, in_math: bool, level: str) -> bool:
    if in_math:
        of_formula = re.search(r"[_^]\{?$", before) or re.match(r"\\[a-z]|[a-zA-Z(]", after.removeprefix("\\,"))
        return digits in ("0", "1") or (of_formula is not None and len(digits) == 1)
    is_level = re.match(r"\s+intervals?\b", after.removeprefix(r"\,\%")) and f"{digits}{after}".startswith(level)
    is_policy = digits == "1" and re.search(r"\btemperature[\s~]+$", before)
    return bool(is_level or is_policy or _YEAR.search(before[-30:] + digits + after[:1]))


def _path(name: str, suffix: str) -> str:
    """Of a file that main.tex names, relative to the workspace."""
    return f"paper/{name}" if Path(name).suffix == suffix else f"paper/{name}{suffix}"


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
