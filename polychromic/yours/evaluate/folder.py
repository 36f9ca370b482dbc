"""The folder of --out: the document as JSON, CSV and LaTeX tables, figures, and the replies, which `compare-files FOLDER` reads again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from polychromic.base.errors import UsageError
from polychromic.base.io import write_json, write_jsonl, write_text
from polychromic.report import figures, labels
from polychromic.report.differences import Effect, differences, forest
from polychromic.report.figures import Point
from polychromic.report.style import save, style
from polychromic.report.tables import HEADER, row, tabular
from polychromic.score.metrics import metric
from polychromic.yours.evaluate.inputs import EVALUATION, Row, System
from polychromic.yours.evaluate.output import MINUS, adjusted, concluded

ENDS = ("mean", "low", "high")


def write(out: Path, systems: Sequence[System], document: dict) -> list[Path]:
    """The files of a document, which it is itself, as JSON, the last of: where it is, the rest is.

    Of an evaluation: evaluation.json, table.csv, table.tex, the figures that the metrics allow, and the replies, which the document
    then names. Of a comparison: comparison.json, contrasts.csv, contrasts.tex, a forest plot and, of two systems, the differences
    per prompt.

    Raises UsageError where a file of replies exists that was drawn there, or was read and holds other systems, too.
    """
    if "contrasts" in document:
        name, tables, drawn = "comparison.json", _comparison_tables(document), _comparison_figures(document)
    else:
        kept = _keep_replies(out, systems)
        for system in document["systems"]:
            system["replies"] = kept[system["system"]]
        name, tables, drawn = EVALUATION, _evaluation_tables(document), _evaluation_figures(document)
    for table, text in tables.items():
        write_text(out / table, text)
    images = [out / f"{stem}{suffix}" for stem in drawn for suffix in (".pdf", ".svg")]
    for path in images:
        save(drawn[path.stem], path)
    write_json(out / name, document)
    return [out / name, *(out / table for table in tables), *images]


def _evaluation_tables(document: dict) -> dict[str, str]:
    systems, names = document["systems"], list(document["signatures"])
    head = ["system", "n_prompts", "n_samples", "metric", "mean", "low", "high", "signature"]
    cells = [s | {"metric": name} | value for s in systems for name, value in s["metrics"].items()]
    tex = [row(["", *(labels.escape(s["system"]) for s in systems)]), r"\midrule"]
    tex += [row([labels.title(name, math=True), *(_mean(name, s["metrics"][name]) for s in systems)]) for name in names]
    return {"table.csv": _csv(head, cells), "table.tex": _latex("evaluate", "l" + "r" * len(systems), tex)}


def _comparison_tables(document: dict) -> dict[str, str]:
    head = ["a", "b", "metric", "n_prompts", "n_samples_a", "n_samples_b", "delta", "low", "high", "p_permutation", "p_holm", "d_z",
            "verdict", "signature"]  # fmt: skip
    rows = [r | {"verdict": concluded(r)} for r in document["contrasts"]]
    tex = [row(["", "metric", "difference", r"$p$ (Holm)", "verdict"]), r"\midrule"]
    for r in rows:
        pair = f"{labels.escape(r['a'])} {labels.MINUS} {labels.escape(r['b'])}"
        difference, p = _with_interval(r["metric"], r["delta"], r["low"], r["high"], sign=True), f"${labels.format_p(r['p_holm'])}$"
        tex.append(row([pair, labels.title(r["metric"], math=True), difference, p, labels.escape(r["verdict"])]))
    tex = _latex("compare-files", "llrrl", tex, f"% {adjusted(document)}\n")
    return {"contrasts.csv": _csv(head, rows), "contrasts.tex": tex}


def _keep_replies(out: Path, systems: Sequence[System]) -> dict[str, str]:
    """Write the lines of each system to out/samples-SYSTEM.jsonl; returns system -> file name. Replies drawn there stay as they are."""
    names: dict[str, str] = {}
    read = {_source(reply) for system in systems for reply in system.rows.values()}
    for system in systems:
        stem = re.sub(r"[^\w.@=+-]+", "-", system.name)[:100]
        while f"samples-{stem}.jsonl" in names.values():
            stem += "-2"
        path = out / f"samples-{stem}.jsonl"
        names[system.name] = path.name
        if {_source(reply) for reply in system.rows.values()} == {path.resolve()}:
            continue
        if path.with_suffix(".json").exists() or path.resolve() in read:
            raise UsageError(f"--out {out} holds {path.name}, which is not to be overwritten. Allowed: another folder. Choose one.")
        write_jsonl(path, [reply.raw | {"system": system.label} for reply in system.rows.values()])
    return names


def _source(reply: Row) -> Path:
    """The file of a line."""
    return Path(reply.where.rpartition(":")[0]).resolve()


def _csv(head: list[str], rows: Sequence[dict]) -> str:
    return pd.DataFrame(rows)[head].to_csv(index=False, lineterminator="\n")


def _latex(command: str, columns: str, lines: list[str], note: str = "") -> str:
    return f"% written by `polychromic {command}`\n{note}" + tabular(columns, lines).removeprefix(HEADER)


def _mean(name: str, value: dict) -> str:
    return labels.format_value(name, value["mean"]) if value["low"] is None else _with_interval(name, *(value[key] for key in ENDS))


def _with_interval(name: str, value: float, low: float, high: float, sign: bool = False) -> str:
    interval = labels.format_interval(name, low, high, sign=sign)
    return rf"{labels.format_value(name, value, sign=sign)} {{\scriptsize {interval}}}"


def _drawn_name(name: str) -> str:
    """A system's name where figures print it: there "@" begins a lambda and "$" a formula."""
    return name.replace("@", " at ").replace("$", r"\$")


def _evaluation_figures(document: dict) -> dict[str, Figure]:
    """pass@k over k where there are two or more; quality against diversity where there are two systems and both metrics.

    The temperatures of one system are one curve, and a mark carries its temperature where the replies do.
    """
    systems, names, drawn = document["systems"], list(document["signatures"]), {}
    if any(value["low"] is None for s in systems for value in s["metrics"].values()):
        return drawn
    if len(ks := sorted(int(name.removeprefix("pass@")) for name in names if name.startswith("pass@"))) > 1:
        curves = {s["system"]: [Point(k, *(s["metrics"][f"pass@{k}"][key] for key in ENDS)) for k in ks] for s in systems}
        drawn["passk"] = figures.passk({_drawn_name(name): points for name, points in curves.items()})
    diversity = [*(name for name in names if name.startswith("valid_distinct@")), *({"semantic_diversity"} & set(names))]
    if diversity and "pass@1" in names and len(systems) > 1:
        found: dict[str, list[Point]] = {_drawn_name(s["label"]): [] for s in systems}
        for s in sorted(systems, key=lambda s: s["temperature"] or 0):
            x, y, t = s["metrics"]["pass@1"], s["metrics"][diversity[0]], s["temperature"]
            note = "" if t is None else f"{t:g}"
            found[_drawn_name(s["label"])].append(Point(x["mean"], y["mean"], y["low"], y["high"], x["low"], x["high"], note))
        drawn["quality-diversity"] = figures.frontier(found, {}, "pass@1", diversity[0])
    return drawn


def _comparison_figures(document: dict) -> dict[str, Figure]:
    rows, drawn = document["contrasts"], {}
    pair = lambda r: f"{_drawn_name(r['a'])} {MINUS} {_drawn_name(r['b'])}"
    scaled = [Effect.scaled(metric(r["metric"]).label, r["delta"], r["low"], r["high"], r["d_z"], pair(r)) for r in rows]
    if effects := [effect for effect in scaled if effect is not None]:
        drawn["forest"] = _named(forest(effects), effects[0].family)
    if len(document["systems"]) == 2:
        r = rows[0]
        names = _drawn_name(r["a"]), _drawn_name(r["b"])
        drawn["differences"] = differences(r["differences"], (r["low"], r["high"]), r["metric"], *names)
    return drawn


def _named(figure: Figure, pair: str) -> Figure:
    """With the pair's name above where it is one, and with the names of more than two in rows that the figure can hold."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    with rc_context(style()):
        if len(names) == 1:
            figure.axes[0].set_title(pair, fontsize=9)
        elif len(names) > 2:
            figure.legends[0].remove()
            figure.set_figheight(figure.get_figheight() + 0.17 * (len(names) // 2))
            figure.legend(handles, names, loc="outside upper center", ncols=2)
    return figure
