"""The folder of --out: the document as JSON, CSV and LaTeX tables, figures, and the replies, which `compare FOLDER` reads again."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib import rc_context

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.base.io import write_json, write_jsonl, write_text
from polychromic.report import distributions, figures, labels
from polychromic.report.distributions import Effect
from polychromic.report.figures import Point
from polychromic.report.latex_rows import DASH, HEADER, row, tabular
from polychromic.score.catalogue import metric
from polychromic.yours.evaluate.draw import drawing_facts
from polychromic.yours.evaluate.inputs import EVALUATION, Row, System
from polychromic.yours.evaluate.output import MINUS, adjusted, concluded

TRACKED = (paths.RESULTS, paths.PAPER, paths.DATA, Path("store"))


def check_out(out: Path) -> None:
    """Raises UsageError for a folder in which the pipeline keeps its own files, and for a file."""
    for tracked in TRACKED:
        if out.resolve().is_relative_to(tracked.resolve()):
            raise UsageError(
                f"--out {out} lies in {tracked}/, which the pipeline owns. Allowed: any folder elsewhere, such as my-evaluation."
            )
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file. Allowed: a folder, which is made where there is none. Give another name.")


def keep_replies(out: Path, systems: Sequence[System]) -> dict[str, str]:
    """Write the lines of each system to out/samples-SYSTEM.jsonl; returns system -> file name. Replies drawn there stay as they are.

    Raises:
        UsageError: the file exists and holds replies that were drawn there, or is one that was read, with other systems in it.
    """
    names: dict[str, str] = {}
    for system in systems:
        stem = re.sub(r"[^\w.@=+-]+", "-", system.name)[:100]
        while f"samples-{stem}.jsonl" in names.values():
            stem += "-2"
        path = out / f"samples-{stem}.jsonl"
        names[system.name] = path.name
        if {_source(r) for r in system.rows.values()} == {path.resolve()}:
            continue
        if drawing_facts(out, stem).exists() or any(path.resolve() == _source(r) for other in systems for r in other.rows.values()):
            raise UsageError(
                f"--out {out} holds {path.name}, which is not to be overwritten. Allowed: another folder. Choose another --out."
            )
        rows = [r.raw | {"system": system.label} for r in system.rows.values()]
        write_jsonl(path, rows)
    return names


def _source(r: Row) -> Path:
    """The file of a line."""
    return Path(r.where.rpartition(":")[0]).resolve()


def write_evaluation(out: Path, document: dict) -> list[Path]:
    """evaluation.json, table.csv, table.tex and the figures that the metrics allow."""
    systems, names = document["systems"], list(document["signatures"])
    cells = [
        (s["system"], s["n_prompts"], value["n_samples"], name, value["mean"], value["low"], value["high"], value["signature"])
        for s in systems
        for name, value in s["metrics"].items()
    ]
    tex = [row(["", *(labels.escape(s["system"]) for s in systems)]), r"\midrule"]
    tex += [row([labels.title(name, math=True), *(_tex(name, s["metrics"][name]) for s in systems)]) for name in names]
    write_text(out / "table.csv", _csv(("system", "n_prompts", "n_samples", "metric", "mean", "low", "high", "signature"), cells))
    write_text(out / "table.tex", _latex("evaluate", "l" + "r" * len(systems), tex))
    written = [out / "table.csv", out / "table.tex", *_save(out, _evaluation_figures(systems, names))]
    write_json(out / EVALUATION, document)
    return [out / EVALUATION, *written]


def write_comparison(out: Path, document: dict) -> list[Path]:
    """comparison.json, contrasts.csv, contrasts.tex, a forest plot and, of two systems, the differences per prompt."""
    rows = document["contrasts"]
    numbers = ("delta", "low", "high", "p_permutation", "p_holm", "d_z")
    head = ("a", "b", "metric", "n_prompts", "n_samples_a", "n_samples_b", *numbers, "verdict", "signature")
    cells = [[concluded(r) if key == "verdict" else r[key] for key in head] for r in rows]
    tex = [row(["", "metric", "difference", r"$p$ (Holm)", "verdict"]), r"\midrule"]
    for r in rows:
        pair = f"{labels.escape(r['a'])} {labels.MINUS} {labels.escape(r['b'])}"
        interval = labels.format_interval(r["metric"], r["low"], r["high"], sign=True)
        difference = rf"{labels.format_value(r['metric'], r['delta'], sign=True)} {{\scriptsize {interval}}}"
        tex.append(row([pair, labels.title(r["metric"], math=True), difference, _tex_p(r["p_holm"]), labels.escape(concluded(r))]))
    write_text(out / "contrasts.csv", _csv(head, cells))
    write_text(out / "contrasts.tex", _latex("compare", "llrrl", tex, adjusted(document)))
    written = [out / "contrasts.csv", out / "contrasts.tex", *_save(out, _comparison_figures(rows, document["systems"]))]
    write_json(out / "comparison.json", document)
    return [out / "comparison.json", *written]


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(["" if value is None else repr(value) if isinstance(value, float) else value for value in cells] for cells in rows)
    return text.getvalue()


def _latex(command: str, columns: str, lines: list[str], note: str = "") -> str:
    head = f"% written by `polychromic {command}`\n" + (f"% {note}\n" if note else "")
    return head + tabular(columns, lines).removeprefix(HEADER)


def _tex(name: str, value: dict) -> str:
    if value["mean"] is None:
        return DASH
    text = labels.format_value(name, value["mean"])
    return text if value["low"] is None else rf"{text} {{\scriptsize {labels.format_interval(name, value['low'], value['high'])}}}"


def _tex_p(p: float) -> str:
    return f"${labels.format_p(p)}$"


def _save(out: Path, drawn: dict) -> list[Path]:
    written = [out / f"{stem}{suffix}" for stem in drawn for suffix in (".pdf", ".svg")]
    for path in written:
        figures.save(drawn[path.stem], path)
    return written


def _drawn_name(name: str) -> str:
    """A system's name where figures print it: there "@" begins a lambda and "$" a formula."""
    return name.replace("@", " at ").replace("$", r"\$")


def _evaluation_figures(systems: Sequence[dict], names: Sequence[str]) -> dict:
    """pass@k over k where there are two or more; quality against diversity where there are two systems and both metrics.

    The temperatures of one system are one curve, and a mark carries its temperature where the replies do.
    """
    drawn = {}
    ks = sorted(int(name.removeprefix("pass@")) for name in names if name.startswith("pass@"))
    point = lambda x, value: Point(x, value["mean"], value["low"], value["high"])
    bounded = all(value["low"] is not None for s in systems for value in s["metrics"].values())
    if len(ks) > 1 and bounded:
        drawn["passk"] = figures.passk({_drawn_name(s["system"]): [point(k, s["metrics"][f"pass@{k}"]) for k in ks] for s in systems})
    diversity = next(
        (name for name in names if name.startswith("valid_distinct@")), "semantic_diversity" if "semantic_diversity" in names else None
    )
    if diversity and "pass@1" in names and len(systems) > 1 and bounded:
        curves: dict[str, list[Point]] = {}
        for s in sorted(systems, key=lambda s: s["temperature"] or 0):
            x, y, t = s["metrics"]["pass@1"], s["metrics"][diversity], s["temperature"]
            note = "" if t is None else f"{t:g}"
            curves.setdefault(s["label"], []).append(Point(x["mean"], y["mean"], y["low"], y["high"], x["low"], x["high"], note))
        order = {_drawn_name(s["label"]): curves[s["label"]] for s in systems}
        drawn["quality-diversity"] = _labelled(figures.frontier(order, {}, "pass@1", diversity))
    return drawn


def _labelled(figure):  # noqa: ANN001, ANN202 - a Figure
    """Without the labels of marks that have no temperature, and with one label where a curve is one mark (both ends are it)."""
    seen = set()
    for text in list(figure.axes[0].texts):
        key = (text.xy, text.get_text(), text.get_color())
        if text.get_text() == "$T$=" or key in seen:
            text.remove()
        seen.add(key)
    return figure


def _paired(figure, one: str):  # noqa: ANN001, ANN202 - a Figure
    """With the pair's name above where it is one, and with the names of more than two in rows that the figure can hold."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    with rc_context(figures.style()):
        if len(names) == 1:
            figure.axes[0].set_title(one, fontsize=9)
        elif len(names) > 2:
            figure.legends[0].remove()
            figure.set_figheight(figure.get_figheight() + 0.17 * (len(names) // 2))
            figure.legend(handles, names, loc="outside upper center", ncols=2)
    return figure


def _comparison_figures(rows: Sequence[dict], systems: Sequence[dict]) -> dict:
    pair = lambda r: f"{_drawn_name(r['a'])} {MINUS} {_drawn_name(r['b'])}"
    effects = [Effect.scaled(metric(r["metric"]).label, r["delta"], r["low"], r["high"], r["d_z"], pair(r)) for r in rows]
    drawn = {}
    if effects := [effect for effect in effects if effect is not None]:
        drawn["forest"] = _paired(distributions.forest(effects), effects[0].family)
    if len(systems) == 2:
        r = rows[0]
        drawn["differences"] = distributions.differences(
            r["differences"], (r["low"], r["high"]), r["metric"], _drawn_name(r["a"]), _drawn_name(r["b"])
        )
    return drawn
