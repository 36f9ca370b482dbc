r"""The provenance appendix of the paper: where each printed value, figure and table comes from. Stage `provenance` writes it.

Three tables: figures and tables with the stage that makes them, sources with what they rest on, and the records that the text
prints. \num{key} in the text leads to the row of its record, the name of a figure or table in its caption to the row of its stage.

The appendix is itself an output of the pipeline, so it names what its values rest on by hashes of inputs, and not by
dvc.lock, which holds its own hash: see polychromic.provenance.pipeline. The stage that compiles the paper is in no row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.base.io import write_text
from polychromic.provenance.evidence import DIGITS, Evidence, evidence
from polychromic.provenance.lock import Lock
from polychromic.provenance.manuscript import KINDS, Manuscript
from polychromic.provenance.pipeline import md5_file, working_tree
from polychromic.provenance.records import Record, load_records, plain
from polychromic.report import labels
from polychromic.report.latex_rows import DASH, HEADER, row, tabular

TABLES = ("provenance-outputs", "provenance-sources", "provenance-numbers")
LONGEST = 40  # characters of a value; a sentence is cut there
Group = tuple[str, tuple[str, ...]]  # the stage that made the record, the files it names


def write(root: Path, files: Sequence[Path]) -> list[Path]:
    """Write paper/tables/provenance-{outputs,sources,numbers}.tex.

    Args:
        files: the numbers.json.gz that count, relative to `root`.

    Raises:
        PolychromicError: the text prints a record that does not exist, a file is missing, or DVC cannot read dvc.yaml.
        DataError: a file is malformed, or a figure has no label.
    """
    manuscript, lock, records = Manuscript.load(root), working_tree(root), load_records(root, files)
    texts = tables(manuscript, lock, {record.key: record for record in records}, lambda path: md5_file(root / path))
    written = {root / "paper" / "tables" / f"{name}.tex": text for name, text in texts.items()}
    for path, text in written.items():
        write_text(path, text)
    return sorted(written)


def tables(manuscript: Manuscript, lock: Lock, records: Mapping[str, Record], md5: Callable[[str], str]) -> dict[str, str]:
    """The three tables by name, as LaTeX.

    Args:
        md5: hash of a file of paper/, by its path.
    """
    if missing := [use for use in manuscript.uses if use.key not in records]:
        use = missing[0]
        raise PolychromicError(
            f"{use.file}:{use.line}: \\num{{{use.key}}} has no record. Allowed: the keys of paper/numbers/*.tex. "
            "Correct the key; `polychromic trace` suggests similar ones."
        )
    used = [records[key] for key in manuscript.keys]
    groups = sorted({group_of(record, lock) for record in used})
    marks = {group: f"S{number}" for number, group in enumerate(groups, start=1)}
    return {
        "provenance-outputs": _outputs(manuscript, lock, md5),
        "provenance-sources": _sources(groups, marks, lock),
        "provenance-numbers": _numbers(used, records, marks, lock),
    }


def group_of(record: Record, lock: Lock) -> Group:
    """Records of one group rest on the same inputs."""
    maker = lock.producer(record.file)
    return maker.name if maker else "", tuple(file for file, _ in record.sources())


def evidence_of(group: Group, lock: Lock) -> Evidence:
    return evidence(lock, lock.stages.get(group[0]), group[1])


def interval_key(record: Record, records: Mapping[str, Record]) -> str | None:
    """The record that prints this one's interval: its own ".ci", or that of its group; None where there is none."""
    if record.low is None or record.key.endswith(".ci"):
        return None
    names = (f"{record.key}.ci", f"{record.key.rpartition('.')[0]}.ci")
    ends = (record.low, record.high)
    return next((name for name in names if name in records and (records[name].low, records[name].high) == ends), None)


def interval(record: Record, records: Mapping[str, Record]) -> str:
    """The record's 95 % interval as the paper prints it, "" where it has none or is the interval itself."""
    if record.low is None or record.high is None or record.key.endswith(".ci"):
        return ""
    if key := interval_key(record, records):
        return records[key].text
    scale = 100 if record.unit in ("%", "points") else 1
    return labels.tex_minus(f"[{scale * record.low:.3g}, {scale * record.high:.3g}]")


def _outputs(manuscript: Manuscript, lock: Lock, md5: Callable[[str], str]) -> str:
    lines = []
    for one in manuscript.floats:
        for place, file in enumerate(one.files):
            target = rf"\hypertarget{{stage:{one.kind}.\getrefnumber{{{one.label}}}}}{{}}{KINDS[one.kind]}~\ref{{{one.label}}}"
            stage = lock.producer(file)
            lines.append(row(["" if place else target, _code(file), _code(stage.name) if stage else DASH, _code(md5(file)[:DIGITS])]))
    return _longtable("l>{\\raggedright}p{0.42\\linewidth}ll", ["", "file", "stage", "md5"], lines)


def _sources(groups: Sequence[Group], marks: Mapping[Group, str], lock: Lock) -> str:
    lines = []
    for group in groups:
        found = evidence_of(group, lock)
        made = [f"{file} ({stage.name})" if (stage := lock.producer(file)) else file for file in group[1]]
        lines.append(
            row(
                [
                    rf"\hypertarget{{source:{marks[group]}}}{{}}{marks[group]}",
                    _code(group[0]) if group[0] else DASH,
                    "; ".join(map(_code, made)) or DASH,
                    _code(found.data_text()) if found.data else DASH,
                    _code(found.params_hash) if found.params_hash else DASH,
                    _code(found.code_hash) if found.code_hash else DASH,
                ]
            )
        )
    columns = "ll>{\\raggedright}p{0.36\\linewidth}>{\\raggedright}p{0.28\\linewidth}ll"
    return tabular(columns, [row(["", "record by", "read from", "data", "params", "code"]), r"\midrule", *lines])


def _numbers(used: Sequence[Record], records: Mapping[str, Record], marks: Mapping[Group, str], lock: Lock) -> str:
    lines = []
    for record in used:
        mark = marks[group_of(record, lock)]
        lines.append(
            row(
                [
                    rf"\hypertarget{{num:{record.key}}}{{}}{_code(record.key)}",
                    shortened(record),
                    interval(record, records) or DASH,
                    DASH if record.n is None else str(record.n),
                    ", ".join(map(str, record.seeds)) or DASH,
                    record.split or DASH,
                    rf"\hyperlink{{source:{mark}}}{{{mark}}}",
                ]
            )
        )
    columns = ">{\\raggedright}p{0.36\\linewidth}>{\\raggedright}p{0.3\\linewidth}>{\\raggedright}p{0.15\\linewidth}rlll"
    return _longtable(columns, ["record", "value", r"95\,\% interval", "$n$", "seeds", "split", "from"], lines)


def shortened(record: Record) -> str:
    """The printed value; of a longer text its first words and the row it is made from."""
    if len(record.text) <= LONGEST or record.value is not None:
        return record.text
    words = labels.escape(plain(record.text)[:LONGEST].rpartition(" ")[0])
    where = ", ".join(dict.fromkeys(row for _, row in record.sources() if row))
    return rf"{words}~\dots" + (f" ({_code(where)})" if where else "")


def _code(text: str) -> str:
    """Typewriter text that may break after its separators."""
    text = labels.escape(text)
    for mark in "./@-":
        text = text.replace(mark, mark + r"\allowbreak{}")
    text = text.replace(r"\_", r"\_\allowbreak{}")
    return rf"\texttt{{{text}}}"


def _longtable(columns: str, head: list[str], lines: list[str]) -> str:
    """A table over several pages without a caption: the section's title is one."""
    start = [rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}", r"\toprule", row(head), r"\midrule\endhead", r"\bottomrule\endfoot"]
    return HEADER + "\n".join([*start, *lines, r"\end{longtable}"]) + "\n"
