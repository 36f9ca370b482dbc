"""What a figure shows, read back from matplotlib."""

from itertools import combinations

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg

from polychromic.report.style import style


def line(axes, name: str):
    return next(line for line in axes.lines if line.get_label() == name)


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def no_overlap(figure) -> bool:
    """All text that is drawn (labels of ticks and axes, legends, notes) lies inside and apart."""
    with rc_context(style()):
        width, height = figure.get_size_inches() * figure.dpi
        canvas, ax, ticks = FigureCanvasAgg(figure), figure.axes[0], []
        canvas.draw()
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        texts = [*ticks, ax.xaxis.label, ax.yaxis.label, *ax.texts, *(t for key in figure.legends for t in key.get_texts())]
        boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts if text.get_text()]
    inside = all(box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1 for box in boxes)
    return inside and not any(one.overlaps(two) for one, two in combinations(boxes, 2))
