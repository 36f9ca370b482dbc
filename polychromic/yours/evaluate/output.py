"""What an evaluation gives: tables in the terminal, replies side by side, and the folder of --out.

The folder holds the document as JSON, tables as CSV and LaTeX, figures, and the replies, which `compare-files FOLDER` reads again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path

from rich.table import Table
from rich.text import Text

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.base.io import together, write_json, write_jsonl, write_text
from polychromic.base.paths import real
from polychromic.base.visible import cell, visible, visible_lines
from polychromic.report import labels
from polychromic.report.tables import HEADER, row, tabular
from polychromic.yours.evaluate.inputs import EVALUATION, Row, System

MINUS = "\u2212"
STEM = 200  # bytes of a system's name in that of its file; a file system takes 255
ENDS = ("mean", "low", "high")


def cells(document: dict, tex: bool) -> list[list[str]]:
    """The table of a document, its head first: systems as columns and metrics as rows, or a contrast in each row."""
    text = str
    if tex:
        from polychromic.report.examples import tex as text

    def number(name: str, value: float, low: float | None, high: float | None, sign: bool) -> str:
        if not tex:
            shown = labels.plain_interval(name, value, low or 0, high or 0)
            return shown.partition(" [")[0] if low is None else shown
        interval = "" if low is None else rf" {{\scriptsize {labels.format_interval(name, low, high, sign=sign)}}}"
        return labels.format_value(name, value, sign=sign) + interval

    if "contrasts" not in document:
        systems = document["systems"]
        means = lambda name: (number(name, *(s["metrics"][name][end] for end in ENDS), False) for s in systems)
        rows = [[labels.title(name, math=tex), *means(name)] for name in document["signatures"]]
        return [["" if tex else "metric", *(text(s["system"]) for s in systems)], *rows]
    rows = [["" if tex else f"a {MINUS} b", "metric", "difference", "$p$ (Holm)" if tex else "p (Holm)", "verdict"]]
    for r in document["contrasts"]:
        pair = f" {labels.MINUS if tex else MINUS} ".join((text(r["a"]), text(r["b"])))
        difference, p = number(r["metric"], r["delta"], r["low"], r["high"], True), labels.format_p(r["p_holm"])
        rows.append([pair, labels.title(r["metric"], math=tex), difference, f"${p}$" if tex else p, text(concluded(r))])
    return rows


def table(document: dict) -> Table:
    """For the terminal; the caption says what the intervals and verdicts are."""
    head, *rows = cells(document, tex=False)
    counts = "; ".join(
        f"{s['system']}: {s['n_prompts']} prompts, {s['n_samples']} samples, {len(s['seeds'])} seed(s)" for s in document["systems"]
    )
    caption = adjusted(document) if "contrasts" in document else f"{counts}. Intervals: 95 %, bootstrap over prompts."
    drawn = Table(caption=caption)
    for name in head:
        drawn.add_column(visible(name), overflow="fold")  # a long name is broken, not cut
    for found in rows:
        drawn.add_row(*map(visible, found))
    return drawn


def adjusted(document: dict) -> str:
    """What stands behind the verdicts, in a sentence."""
    how = document["adjustment"]
    return (
        f"{len(document['prompts'])} prompts, paired. p: {how['test'].partition(',')[0]} test; adjusted by {how['method']} over all "
        f"{how['tests']} tests shown ({how['over']}). A verdict needs a 95 % interval without 0 and an adjusted p below "
        f"{how['alpha']:g}."
    )


def concluded(contrast: dict) -> str:
    """The verdict in words."""
    if not contrast["distinguishable"]:
        return "not distinguishable"
    return f"{contrast['better']} is better" if contrast["better"] else f"{contrast['higher']} is higher"


def replies_table(systems: Sequence[System], name: str, count: int) -> Table:
    """The first `count` replies of each system's first seed to one prompt, side by side; valid ones in bold with a check mark."""
    found = [system.rows.get((system.seeds[0], name)) for system in systems]
    drawn = Table(title=visible(f"{name}: {next(one.prompt for one in found if one)}"))
    for system in systems:
        drawn.add_column(visible(system.name), overflow="fold", ratio=1)
    for replies in islice(zip_longest(*(_replies(one) if one else () for one in found)), count):
        drawn.add_row(*replies)
    return drawn


def _replies(found: Row) -> Iterator[Text]:
    for text, answer in zip(found.samples, found.answers or found.samples, strict=True):
        shown = Text(visible_lines(text)) if text else Text("(empty)", "dim")
        if found.answers is not None:
            shown = Text.assemble("  ", shown, style="dim") if answer is None else Text.assemble("\u2713 ", shown, style="bold")
        yield shown


def write(out: Path, systems: Sequence[System], document: dict) -> list[Path]:
    """The files of a document, which it is itself, as JSON, the last of: where it is, the rest is.

    Of an evaluation: evaluation.json, table.csv, table.tex, the figures that the metrics allow, a page to explore, and the replies,
    which the document then names. Of a comparison: comparison.json, contrasts.csv, contrasts.tex, a forest plot and, of two systems,
    the differences per prompt.

    Raises UsageError where a file of replies exists that was drawn there, or was read and holds other systems, too.
    """
    with together():
        return _write(out, systems, document)


def _write(out: Path, systems: Sequence[System], document: dict) -> list[Path]:
    import pandas as pd

    from polychromic.explore import page as explorer
    from polychromic.report.style import save  # two seconds, which a table in the terminal has not
    from polychromic.yours.evaluate import plots
    from polychromic.yours.evaluate.explorer import page

    body, signatures = [row(found) for found in cells(document, tex=True)], document["signatures"]
    body.insert(1, r"\midrule")
    if "contrasts" in document:
        name, stem, command, drawn = "comparison.json", "contrasts", "compare-files", plots.contrasts(document)
        note = f"% {adjusted(document)}\n"
        columns, rows = "llrrl", [r | {"verdict": concluded(r), "signature": signatures[r["metric"]]} for r in document["contrasts"]]
        head = "a b metric n_prompts n_samples_a n_samples_b delta low high p_permutation p_holm d_z verdict signature"
    else:
        kept = _keep_replies(out, systems)
        for system in document["systems"]:
            system["replies"] = kept[system["system"]]
        name, stem, command, note, drawn = EVALUATION, "table", "evaluate", "", plots.curves(document, systems)
        columns = "l" + "r" * len(systems)
        rows = [s | {"metric": m, "signature": signatures[m]} | v for s in document["systems"] for m, v in s["metrics"].items()]
        head = "system n_prompts n_samples metric mean low high signature"
    tables = [out / f"{stem}.csv", out / f"{stem}.tex"]
    write_text(tables[0], pd.DataFrame(rows)[head.split()].map(cell).to_csv(index=False, lineterminator="\n"))
    write_text(tables[1], f"% written by `polychromic {command}`\n{note}" + tabular(columns, body).removeprefix(HEADER))
    images = [out / f"{image}{suffix}" for image in drawn for suffix in (".pdf", ".svg")]
    for path in images:
        save(drawn[path.stem], path)
    pages = [] if "contrasts" in document else [explorer.write(out / paths.EXPLORER.name, page(document, systems))]
    write_json(out / name, document)
    return [out / name, *tables, *images, *pages]


def _keep_replies(out: Path, systems: Sequence[System]) -> dict[str, str]:
    """Write the lines of each system to out/samples-SYSTEM.jsonl; returns system -> file name. Replies drawn there stay as they are."""
    names: dict[str, str] = {}
    sources = [{real(reply.where.rpartition(":")[0]) for reply in system.rows.values()} for system in systems]
    for system, own in zip(systems, sources, strict=True):
        stem = re.sub(r"[^\w.@=+-]+", "-", system.name).encode()[:STEM].decode(errors="ignore")
        while f"samples-{stem}.jsonl" in names.values():
            stem += "-2"
        path = out / f"samples-{stem}.jsonl"
        names[system.name] = path.name
        if own == {real(path)}:
            continue
        if path.with_suffix(".json").exists() or real(path) in set().union(*sources):
            raise UsageError(f"--out {out} holds {path.name}, which is not to be overwritten. Allowed: another folder. Choose one.")
        write_jsonl(path, [reply.raw | {"system": system.label} for reply in system.rows.values()])
    return names
