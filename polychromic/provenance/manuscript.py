r"""paper/main.tex as data: which records it prints and where, which figures and tables it has, and its sentences. No LaTeX runs.

It knows the manuscript's own habits and no more: values as \num{key}, figures by \includegraphics{figures/...}, tables by
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

NUM = re.compile(r"\\num\{([^{}]+)\}")
KINDS = {"figure": "Figure", "table": "Table"}


@dataclass(frozen=True)
class Use:
    """A \\num{key} at file:line, paths relative to the workspace."""

    key: str
    file: str
    line: int


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

    path: str
    text: str
    inputs: Mapping[str, str]

    @classmethod
    def load(cls, folder: Path = Path(".")) -> Manuscript:
        """folder/paper/main.tex and the tables it reads. Raises PolychromicError when main.tex is missing."""
        path = "paper/main.tex"
        text = _without_comments(_read(folder / path))
        names = [f"paper/{_with_suffix(name, '.tex')}" for name in re.findall(r"\\input\{(tables/[^{}]+)\}", text)]
        here = [name for name in dict.fromkeys(names) if "/provenance" not in name and (folder / name).is_file()]
        return cls(path, text, {name: _without_comments(_read(folder / name)) for name in here})

    @cached_property
    def uses(self) -> list[Use]:
        """Every \\num, first those of main.tex, in order."""
        texts = {self.path: self.text, **self.inputs}
        return [Use(found[1], name, _line(text, found.start())) for name, text in texts.items() for found in NUM.finditer(text)]

    @cached_property
    def keys(self) -> list[str]:
        """The records that are printed, sorted."""
        return sorted({use.key for use in self.uses})

    @cached_property
    def floats(self) -> list[Float]:
        """Figures and tables in the order of the source, which is that of their numbers.

        Raises:
            DataError: one of them has no label, by which the appendix refers to it.
        """
        events = re.compile(
            r"\\begin\{(?P<begin>figure|table)\}|\\captionof\{(?P<captionof>figure|table)\}|(?P<long>\\renewcommand\{\\tablecaption\})"
            r"|\\label\{(?P<label>(?:fig|tab):[^{}]+)\}|\\includegraphics(?:\[[^\]]*\])?\{(?P<figure>[^{}]+)\}"
            r"|\\input\{(?P<table>tables/[^{}]+)\}|(?P<end>\\end\{(?:figure|table|center)\})"
        )
        found: list[Float] = []
        numbers = dict.fromkeys(KINDS, 0)
        kind, label, files, line, long = "", "", [], 0, False

        def close() -> None:
            if kind and files:
                if not label:
                    raise DataError(f"{self.path}:{line}", f"a {kind} without a label", "a figure or table with \\label", "Add the label.")
                numbers[kind] += 1
                found.append(Float(kind, label, numbers[kind], tuple(files), line))

        for event in events.finditer(self.text):
            if opened := event["begin"] or event["captionof"] or ("table" if event["long"] else ""):
                kind, label, files, line, long = opened, "", [], _line(self.text, event.start()), bool(event["long"])
            elif event["label"] and kind:
                label = event["label"]
            elif event["figure"] and kind:
                files.append(f"paper/{_with_suffix(event['figure'], '.pdf')}")
            elif event["table"] and kind:
                files.append(f"paper/{_with_suffix(event['table'], '.tex')}")
            if event["end"] or (long and event["table"]):
                close()
                kind, label, files, long = "", "", [], False
        return found

    @cached_property
    def sentences(self) -> list[Sentence]:
        """The sentences of text and captions that print a record, in order."""
        start = self.text.find(r"\begin{document}")
        found, place = [], max(start, 0)
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
        text = re.sub(r"\\cite[a-z]*\{([^{}]+)\}", r"[\1]", text)
        text = re.sub(r"\\(?:(?:sub)*section|paragraph)\*?(?=\{)", "", text)
        text = re.sub(r"\\(?:label|vspace|hspace)\{[^{}]*\}|\\(?:centering|noindent|maketitle)\b|\\\\(?:\[[^\]]*\])?", "", text)
        # values last, behind marks that the clean-up leaves alone
        kept: list[str] = []

        def keep(found: re.Match) -> str:
            kept.append(mark(found[1], plain(texts[found[1]])) if found[1] in texts else f"[{found[1]}]")
            return f"\x00{len(kept) - 1}\x00"

        text = plain(NUM.sub(keep, text))
        return re.sub("\x00(\\d+)\x00", lambda found: kept[int(found[1])], text)


# Records of whole sentences end one, too.
_END = r"(?<=[.!?])(?=[}'\")]*\s)|(?<=[.!?][}'\")])(?=\s)|(?<=sentence\})(?=\s)|(?<=notice\})(?=\s)"
# Capturing, so that the parts add up to the text and places can be counted.
_BREAK = (
    r"(\n[ \t]*\n|\\begin\{[^{}]*\}(?:\[[^\]]*\])?|\\end\{[^{}]*\}|\\(?:(?:sub)*section|paragraph)\*?\{(?:[^{}]|\{[^{}]*\})*\}|"
    r"\\item\b|\\caption\b|"
    r"\\captionof\{[^{}]*\}|\\renewcommand\{\\[a-z]+\}|\\input\{[^{}]*\}|\\includegraphics(?:\[[^\]]*\])?\{[^{}]*\}|\\setlength\S*)"
)


def _without_comments(text: str) -> str:
    return re.sub(r"(?<!\\)%[^\n]*", lambda found: " " * len(found[0]), text)


def _with_suffix(name: str, suffix: str) -> str:
    return name if Path(name).suffix == suffix else f"{name}{suffix}"


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PolychromicError(f"{path}: file not found. Run in the folder that holds params.yaml and paper/.") from None
