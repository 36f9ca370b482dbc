"""What an evaluation looks like: tables in the terminal, CSV and LaTeX, figures; and replies side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from polychromic import paths
from polychromic.errors import UsageError
from polychromic.io import write_json, write_text
from polychromic.metrics.catalogue import metric
from polychromic.oneoff.inputs import System
from polychromic.report import figures, labels
from polychromic.report.figures import Point
from polychromic.report.latex_rows import DASH, row, tabular

TRACKED = (paths.RESULTS, paths.PAPER, paths.DATA, Path("store"))


def check_out(out: Path) -> None:
    """Raises UsageError for a folder in which the pipeline keeps its own files."""
    for tracked in TRACKED:
        if out.resolve().is_relative_to(tracked.resolve()):
            raise UsageError(
                f"--out {out} lies in {tracked}/, which the pipeline owns. Allowed: any folder elsewhere, such as my-evaluation."
            )


def metrics_table(document: dict) -> Table:
    """Systems as columns, metrics as rows: mean and interval."""
    systems = document["systems"]
    caption = "; ".join(f"{s['system']}: {s['n_prompts']} prompts, {s['n_samples']} samples, {len(s['seeds'])} seed(s)" for s in systems)
    table = Table("metric", *(escape(s["system"]) for s in systems), caption=f"{caption}. Intervals: 95 %, bootstrap over prompts.")
    for name in document["signatures"]:
        table.add_row(labels.title(name), *(escape(_cell(name, s["metrics"][name])) for s in systems))
    return table


def _cell(name: str, value: dict) -> str:
    if value["low"] is None:
        return labels.plain_interval(name, value["mean"], value["mean"], value["mean"]).partition(" [")[0]
    return labels.plain_interval(name, value["mean"], value["low"], value["high"])


def contrasts_table(rows: Sequence[dict], primary: str) -> Table:
    """Paired differences a - b with intervals and p-values; Holm over the pairs on the primary metric."""
    table = Table("a \u2212 b", "metric", "difference", "p", "p (Holm)", "d_z", "better")
    for r in rows:
        info = metric(r["metric"])
        clear = r["low"] > 0 or r["high"] < 0
        better = (r["a"] if info.better(r["delta"]) else r["b"]) if clear and info.direction != "none" else "not told apart"
        holm = "\u2013" if r["p_holm"] is None else f"{r['p_holm']:.3f}"
        effect = "\u2013" if r["d_z"] is None else f"{r['d_z']:+.2f}"
        title = labels.title(r["metric"]) + (" *" if r["metric"] == primary else "")
        pair = f"{r['a']} \u2212 {r['b']}"
        table.add_row(escape(pair), title, escape(labels.plain_interval(r["metric"], r["delta"], r["low"], r["high"])),
                      f"{r['p_permutation']:.3f}", holm, effect, escape(better))  # fmt: skip
    return table


def replies_table(systems: Sequence[System], name: str, count: int) -> Table:
    """The first `count` replies of each system to one prompt, side by side; valid ones in bold with a check mark."""
    first = next(system.rows[system.seeds[0], name] for system in systems if name in system.ids)
    table = Table(title=escape(f"{name}: {first.prompt}"), show_lines=False)
    for system in systems:
        table.add_column(escape(system.name), overflow="fold", ratio=1)
    found = [system.rows.get((system.seeds[0], name)) for system in systems]
    for place in range(min(count, max(len(r.samples) for r in found if r))):
        table.add_row(*("" if r is None or place >= len(r.samples) else _reply(r, place) for r in found))
    return table


def _reply(r, place: int) -> str:  # noqa: ANN001 - a Row
    text = escape(r.samples[place]) or "[dim](empty)[/]"
    if r.answers is None:
        return text
    return f"[bold]\u2713 {text}[/]" if r.answers[place] is not None else f"[dim]  {text}[/]"


def write(out: Path, document: dict) -> list[Path]:
    """evaluation.json, table.csv, table.tex and the figures that the metrics allow, in `out`."""
    systems, names = document["systems"], list(document["signatures"])
    write_json(out / "evaluation.json", document)
    head = "system,n_prompts,n_samples,metric,mean,low,high\n"
    lines = [
        ",".join(
            [_csv(s["system"]), str(s["n_prompts"]), str(s["n_samples"]), name, *("" if v is None else repr(v) for v in _values(s, name))]
        )
        for s in systems
        for name in names
    ]
    write_text(out / "table.csv", head + "\n".join(lines) + "\n")
    tex = [row(["", *(labels.escape(s["system"]) for s in systems)]), r"\midrule"]
    tex += [row([labels.title(name, math=True), *(_tex(name, s["metrics"][name]) for s in systems)]) for name in names]
    write_text(out / "table.tex", tabular("l" + "r" * len(systems), tex))
    written = [out / "evaluation.json", out / "table.csv", out / "table.tex"]
    for stem, figure in _figures(systems, names).items():
        for suffix in (".pdf", ".svg"):
            figures.save(figure, out / f"{stem}{suffix}")
            written.append(out / f"{stem}{suffix}")
    return written


def _values(system: dict, name: str) -> tuple[float | None, ...]:
    found = system["metrics"][name]
    return found["mean"], found["low"], found["high"]


def _csv(text: str) -> str:
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if any(c in text for c in ',"\n') else text


def _tex(name: str, value: dict) -> str:
    if value["mean"] is None:
        return DASH
    text = labels.format_value(name, value["mean"])
    return text if value["low"] is None else rf"{text} {{\scriptsize {labels.format_interval(name, value['low'], value['high'])}}}"


def _figures(systems: Sequence[dict], names: Sequence[str]) -> dict:
    """pass@k over k where there are two or more; quality against diversity where there are two systems and both metrics."""
    drawn = {}
    ks = sorted(int(name.removeprefix("pass@")) for name in names if name.startswith("pass@"))
    point = lambda x, value: Point(x, value["mean"], value["low"], value["high"])
    bounded = all(value["low"] is not None for s in systems for value in s["metrics"].values())
    if len(ks) > 1 and bounded:
        drawn["passk"] = figures.passk({s["system"]: [point(k, s["metrics"][f"pass@{k}"]) for k in ks] for s in systems})
    diversity = next(
        (name for name in names if name.startswith("valid_distinct@")), "semantic_diversity" if "semantic_diversity" in names else None
    )
    if diversity and "pass@1" in names and len(systems) > 1 and bounded:
        curves = {}
        for s in systems:
            x, y = s["metrics"]["pass@1"], s["metrics"][diversity]
            curves[s["system"]] = [Point(x["mean"], y["mean"], y["low"], y["high"], x["low"], x["high"], "")]
        drawn["quality-diversity"] = figures.frontier(curves, {}, "pass@1", diversity)
    return drawn
