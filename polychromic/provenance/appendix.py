r"""The provenance appendix of the paper: where each printed value, figure and table comes from. Stage `provenance` writes it.

\num{key} in the text leads to the row of its record, the name of a figure or table in its caption to the row of its stage; the stage
that compiles the paper is in no row. Hashes are of the files that lie here: see Workspace.as_locked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.base.io import together, write_text
from polychromic.provenance.lock import Lock, briefly
from polychromic.provenance.printed import interval_key, load_records, plain, sources
from polychromic.provenance.workspace import RECORDS, Workspace, evidence
from polychromic.report import labels
from polychromic.report.records import Number
from polychromic.report.tables import DASH, HEADER, row, tabular

LONGEST = 40  # characters of a value; a sentence is cut there


def write(root: Path) -> None:
    """Write paper/tables/provenance-{numbers,outputs,sources}.tex. Raises PolychromicError: the text prints a record that does not exist,
    a stage names a parameter that does not, a figure has no label, or a file is missing or malformed."""
    here, records = Workspace(root), load_records(root / RECORDS)
    if missing := [use for use in here.manuscript.uses if use.key not in records]:
        where = f"{missing[0].file}:{missing[0].line}: \\num{{{missing[0].key}}} has no record. Allowed: the keys of paper/numbers.tex."
        raise PolychromicError(f"{where} Correct the key; `polychromic trace` suggests similar ones.")
    lock, used = here.as_locked(), [records[key] for key in here.manuscript.keys]
    marks = {group: f"S{number}" for number, group in enumerate(sorted(set(map(_group, used))), start=1)}
    texts = {"numbers": _numbers(used, records, marks), "outputs": _outputs(here, lock), "sources": _sources(marks, lock)}
    with together():
        for name, text in texts.items():
            write_text(root / "paper" / "tables" / f"provenance-{name}.tex", text)


def _group(record: Number) -> tuple[str, ...]:
    """The files that a record names: records of one group rest on the same inputs."""
    return tuple(file for file, _ in sources(record))


def _outputs(here: Workspace, lock: Lock) -> str:
    lines = []
    for one in here.manuscript.floats:
        kind = one.name.partition(" ")[0]
        target = rf"\hypertarget{{stage:{kind.lower()}.\getrefnumber{{{one.label}}}}}{{}}{kind}~\ref{{{one.label}}}"
        for place, file in enumerate(one.files):
            stage, md5 = lock.producers.get(file), here.md5(here.folder / file)
            lines.append(row(["" if place else target, _code(file), _code(stage.name if stage else ""), _code(briefly(md5))]))
    return _longtable("l>{\\raggedright}p{0.42\\linewidth}ll", ["", "file", "stage", "md5"], lines)


def _sources(marks: Mapping[tuple[str, ...], str], lock: Lock) -> str:
    lines = []
    for group, mark in marks.items():
        found = evidence(lock, lock.producers.get(RECORDS), group)
        made = [f"{file} ({stage.name})" if (stage := lock.producers.get(file)) else file for file in group]
        data = ", ".join(f"{path.rpartition('/')[2]} {briefly(md5)}" for path, md5 in found["data"].items())
        hashes = map(_code, (data, found["params_hash"], found["code_hash"]))
        lines.append(row([rf"\hypertarget{{source:{mark}}}{{}}{mark}", "; ".join(map(_code, made)) or DASH, *hashes]))
    columns = "l>{\\raggedright}p{0.42\\linewidth}>{\\raggedright}p{0.28\\linewidth}ll"
    return tabular(columns, [row(["", "read from", "data", "params", "code"]), r"\midrule", *lines])


def _numbers(used: list[Number], records: Mapping[str, Number], marks: Mapping[tuple[str, ...], str]) -> str:
    lines = []
    for record in used:
        mark, n, seeds = marks[_group(record)], "" if record.n is None else str(record.n), ", ".join(map(str, record.seeds))
        cells = [rf"\hypertarget{{num:{record.key}}}{{}}{_code(record.key)}", _shortened(record), interval(record, records), n, seeds]
        lines.append(row([cell or DASH for cell in (*cells, record.split, rf"\hyperlink{{source:{mark}}}{{{mark}}}")]))
    columns = ">{\\raggedright}p{0.36\\linewidth}>{\\raggedright}p{0.3\\linewidth}>{\\raggedright}p{0.15\\linewidth}rlll"
    return _longtable(columns, ["record", "value", r"95\,\% interval", "$n$", "seeds", "split", "from"], lines)


def interval(record: Number, records: Mapping[str, Number]) -> str:
    """The record's 95 % interval as the paper prints it, "" where it has none or is the interval itself."""
    if record.low is None or record.high is None or record.key.endswith(".ci"):
        return ""
    if key := interval_key(record, records):
        return records[key].text
    scale = 100 if record.unit in ("%", "points") else 1
    return labels.tex_minus(f"[{scale * record.low:.3g}, {scale * record.high:.3g}]")


def _shortened(record: Number) -> str:
    """The printed value; of a longer text its first words and the row it is made from."""
    if len(record.text) <= LONGEST or record.value is not None:
        return record.text
    words = labels.escape(plain(record.text)[:LONGEST].rpartition(" ")[0])
    where = ", ".join(dict.fromkeys(place for _, place in sources(record) if place))
    return rf"{words}~\dots" + (f" ({_code(where)})" if where else "")


def _code(text: str) -> str:
    """Typewriter text that may break after its separators; a dash where there is none."""
    text = labels.escape(text)
    for mark in (".", "/", "@", "-", r"\_"):
        text = text.replace(mark, mark + r"\allowbreak{}")
    return rf"\texttt{{{text}}}" if text else DASH


def _longtable(columns: str, head: list[str], lines: list[str]) -> str:
    """A table over several pages without a caption: the section's title is one."""
    start = [rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}", r"\toprule", row(head), r"\midrule\endhead", r"\bottomrule\endfoot"]
    return HEADER + "\n".join([*start, *lines, r"\end{longtable}"]) + "\n"
