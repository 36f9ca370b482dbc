"""How figures look: colours, markers and lines of methods, sizes and fonts, and the one function that writes them.

Colour is never the only cue: each method has its own colour (Paul Tol's muted palette), marker and line style, so a grey
print stays legible. The same rows give the same bytes: no clock in the PDF, fonts from matplotlib itself, TrueType embedded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter
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
CEILING, FLOOR = "humans, same prompt", "humans, other prompts"
HUMANS = {CEILING: Look("#000000", "*", "-"), FLOOR: Look("#555555", "x", (0, (1, 1)))}


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
def drawing(height: float, rows: int = 1, columns: int = 1, legend: int = 0, **changed: float) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of the text's width, `height` inches high, and its axes row by row, to be drawn on in the paper's style. Above it, the names
    of what was drawn, at most `legend` in a row."""
    with rc_context(style() | changed):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure, list(figure.subplots(rows, columns, squeeze=False).flat)
        if legend:
            shown = figure.legend(loc="outside upper center", ncols=legend)
            while shown.get_window_extent().width > 1.1 * figure.bbox.width and legend > 1:  # long names; the box has margins
                shown.remove()
                shown, legend = figure.legend(loc="outside upper center", ncols=legend - 1), legend - 1


def draw_line(ax: Axes, label: str, look: Look, x: Iterable[float], y: Iterable[float], every: int = 1, drawstyle: str = "default") -> None:
    """A method's curve; the headline's marks are filled. Names of people are printed as they are."""
    name = label if label in HUMANS else labels.system_name(label, math=False)
    ax.plot(
        list(x), list(y), color=look.color, marker=look.marker, linestyle=look.line, markevery=every, drawstyle=drawstyle, label=name,
        markerfacecolor=look.color if label == "polychromic" else "white", markeredgewidth=0.9, zorder=3,
    )  # fmt: skip


def note(ax: Axes, x: float, y: float, text: str, color: str, shift: float, side: str, lift: float = 3) -> None:
    """Small text beside a point, in the colour darkened, on a halo."""
    dark = "#" + "".join(f"{int(int(color[i : i + 2], 16) * 0.65):02x}" for i in (1, 3, 5))
    ax.annotate(text, (x, y), (shift, lift), textcoords="offset points", ha=side, fontsize=7, color=dark, zorder=4, path_effects=HALO)


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
