"""How figures look: colours, markers and lines of methods, sizes and fonts, and the one function that writes them.

Colour is never the only cue: each method has its own colour (Paul Tol's muted palette), marker and line style, so a grey
print stays legible. The same rows give the same bytes: no clock in the PDF, fonts from matplotlib itself, TrueType embedded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import Bbox
from tueplots import bundles
from tueplots.constants.color import palettes

from polychromic.base.io import atomic_open
from polychromic.report import labels

HALO = [withStroke(linewidth=1.5, foreground="white")]  # small text stays legible on lines
WIDTH = 5.5  # inches; the text width of paper/main.tex
PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g}")


@dataclass(frozen=True)
class Look:
    color: str
    marker: str
    line: str | tuple


TOL = ["#" + str(color) for color in palettes.paultol_muted]
LOOKS: dict[str, Look] = {
    "zero_shot": Look(TOL[7], "v", (0, (1, 1.5))), "few_shot": Look(TOL[6], "^", (0, (3, 1, 1, 1))),
    "lora": Look(TOL[1], "s", (0, (5, 1.5))), "polychromic": Look(TOL[0], "o", "-"),
}  # fmt: skip
PEER_LOOKS = tuple(Look(TOL[color], marker, (0, line)) for color, marker, line in (  # of methods beside these; the data decide which
    (3, "D", (6, 1, 1, 1, 1, 1)), (5, "P", (2, 1)), (2, "X", (4, 1, 2, 1)), (4, "<", (8, 1)), (8, ">", (1, 1, 1, 3)),
    (1, "p", (8, 2, 3, 2)), (0, "*", (3, 3)), (6, "h", (6, 1, 1, 1)), (7, "d", (1, 4))))  # fmt: skip
GREY = "#C0C0C0"  # lighter than any look, in grey print too


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """A look for each method: its own, or the next of PEER_LOOKS, first those whose colour no other method of the figure has."""
    methods, count = list(methods), len(PEER_LOOKS)
    free = [method for method in methods if method not in LOOKS]
    peers = sorted(PEER_LOOKS, key=lambda look: look.color in {LOOKS[method].color for method in methods if method in LOOKS})
    # Used up, colours come round with the marker moved by one and the line by two: 81 different pairs of marker and line.
    turn = lambda n: Look(peers[n % count].color, peers[(n + n // count) % count].marker, peers[(n + 2 * (n // count)) % count].line)
    return {m: LOOKS[m] if m in LOOKS else turn(free.index(m)) for m in methods}


def style() -> dict:
    """rcParams: tueplots' sizes without LaTeX, fonts that ship with matplotlib."""
    return bundles.iclr2024(usetex=False) | {
        "font.family": "serif", "font.serif": ["STIXGeneral"], "mathtext.fontset": "stix", "pdf.fonttype": 42,
        "font.size": 9, "legend.fontsize": 8, "xtick.labelsize": 8, "ytick.labelsize": 8,
        "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6, "axes.grid": True,
        "grid.linewidth": 0.3, "grid.color": "#DDDDDD", "lines.linewidth": 1.1, "lines.markersize": 3.6,
        "legend.frameon": False, "legend.handlelength": 2.8, "legend.columnspacing": 1.2,
    }  # fmt: skip


@contextmanager
def drawing(
    height: float, rows: int = 1, columns: int = 1, legend: int = 0, heights: Sequence[float] | None = None,
    widths: Sequence[float] | None = None, **changed: float,
) -> Iterator[tuple[Figure, list[Axes]]]:  # fmt: skip
    """A figure of the text's width, `height` inches high, and its axes row by row, to be drawn on in the paper's style. Above it, the names
    of what was drawn, each once, at most `legend` in a row. heights, widths: ratios of the rows and columns."""
    with rc_context(style() | changed):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False, height_ratios=heights, width_ratios=widths).flat)
        yield figure, axes
        names = {name: handle for ax in axes for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)}
        while legend and names:
            shown = figure.legend(names.values(), names.keys(), loc="outside upper center", ncols=legend)
            if shown.get_window_extent().width <= 1.1 * figure.bbox.width or legend == 1:  # the box has margins
                break
            shown.remove()  # long names
            legend -= 1


def draw_line(
    ax: Axes, label: str, look: Look, x: Iterable[float], y: Iterable[float], every: int = 1,
    curve: tuple[Iterable[float], Iterable[float]] | None = None, name: str | None = None,
) -> None:  # fmt: skip
    """A method's marks, with a line through them, or along `curve` where there is one; the headline's marks are filled. name: another one
    for the legend, "" for none."""
    name = labels.system_name(label, math=False) if name is None else name
    x, y = list(x), list(y)
    style = {"color": look.color, "linestyle": look.line, "zorder": 3}
    marks = {"marker": look.marker, "markerfacecolor": look.color if label == "polychromic" else "white", "markeredgewidth": 0.9}
    if curve is None:
        ax.plot(x, y, **style, **marks, markevery=every, label=name or "_")
    else:
        ax.plot(*(list(values) for values in curve), **style)
        ax.plot(x, y, **style | {"linestyle": "none"}, **marks)
        ax.plot([], [], **style, **marks, label=name or "_")  # both in one entry


def errorbar(ax: Axes, look: Look, p: Any, strong: bool = False) -> None:
    """The interval of a figures.Point, across and upright."""
    across = None if p.x_low is None or p.x_high is None else [[p.x - p.x_low], [p.x_high - p.x]]
    upright = [[p.y - p.y_low], [p.y_high - p.y]]
    ax.errorbar(p.x, p.y, yerr=upright, xerr=across, fmt="none", ecolor=look.color, elinewidth=0.8, alpha=0.8 if strong else 0.5, zorder=2)


SIDES = [(dx, dy) for dy in (5, -5, 12, -12, 0) for dx in (4, -4, 12, -12, 0)]  # points


def notes(figure: Figure, ax: Axes, texts: Iterable[tuple[float, float, str, str]]) -> None:
    """Small texts (x, y, text, colour) beside points, darkened, on a halo: each where it covers the least of marks and of other texts."""
    figure.draw_without_rendering()
    taken = [point for line in ax.lines if len(line.get_xdata()) for point in ax.transData.transform(np.column_stack(line.get_data()))]
    boxes: list[Bbox] = []
    for x, y, text, color in texts:
        dark = "#" + "".join(f"{int(int(color[i : i + 2], 16) * 0.65):02x}" for i in (1, 3, 5))
        best = None
        for dx, dy in SIDES:
            note = ax.annotate(text, (x, y), (dx, dy), textcoords="offset points", ha="left" if dx > 0 else "right" if dx < 0 else "center",
                               va="center", fontsize=7, color=dark, zorder=4, path_effects=HALO)  # fmt: skip
            box = note.get_window_extent().padded(1)
            covered = sum(box.contains(*point) for point in taken) + 50 * sum(box.overlaps(other) for other in boxes)
            covered += (abs(dx) + abs(dy)) / 6 + 20 * (not ax.bbox.padded(2).containsx(box.x0) or not ax.bbox.padded(2).containsx(box.x1))
            if best is None or covered < best[0]:
                if best:
                    best[1].remove()
                best = (covered, note, box)
            else:
                note.remove()
        boxes.append(best[2])


def name_axis(axis: Axis, metric: str) -> None:
    """Name, unit and direction of the metric; shares in per cent."""
    axis.set_label_text(labels.title(metric))
    if labels.metric(metric).percent:
        axis.set_major_formatter(PERCENT)


def save(figure: Figure, path: Path) -> None:
    """Write a PDF, or an SVG where the name says so, whose bytes depend on the drawing alone."""
    with rc_context(style() | {"svg.hashsalt": path.stem}), atomic_open(path) as file:
        clock = {"Date": None} if path.suffix == ".svg" else {"CreationDate": None, "Producer": f"matplotlib {matplotlib.__version__}"}
        figure.savefig(file, format=path.suffix[1:], metadata=clock | {"Creator": None})
