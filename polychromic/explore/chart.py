"""The chart of the page: an empty Bokeh figure whose columns page.js fills, and Bokeh's own script, both to stand in the page.

Bokeh draws on a canvas, which neither a screen reader nor the keyboard reaches: the page lists every point in a table, and moves a cursor
over the points by arrow keys. Nothing of it needs `eval`: Bokeh's callbacks in JavaScript (CustomJS) are not used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

SCRIPT = "server/static/js/bokeh.min.js"  # within the package; widgets, tables, WebGL and MathJax are files of their own, left out
HEIGHT = 440


def script() -> str:
    """Bokeh's script, as the package ships it."""
    import bokeh

    return (Path(bokeh.__file__).parent / SCRIPT).read_text(encoding="utf-8").strip()


def figure() -> dict[str, Any]:
    """The figure as bokeh.embed.json_item has it, with ids of its own, so that it is the same one at every call.

    Sources, by name: "lines" (xs, ys, color, width, alpha), "spans" (x0, y0, x1, y1, color), "marks" (x, y, marker, size, color, fill,
    alpha; hover and tap), "ring" (x, y, color) and "names" (x, y, text, color, dx,
    align, halo).
    """
    from bokeh.embed import json_item
    from bokeh.models import ColumnDataSource, HoverTool, TapTool
    from bokeh.plotting import figure as new

    plot = new(
        name="front", height=HEIGHT, sizing_mode="stretch_width", tools="pan,box_zoom,reset", active_drag=None, toolbar_location="right",
        output_backend="canvas", min_border=8,
    )  # fmt: skip
    plot.toolbar.logo, plot.toolbar.autohide = None, True
    plot.background_fill_color = plot.border_fill_color = plot.outline_line_color = None
    # one invisible row each, as Bokeh warns of a plot without any
    empty = {"xs": [0, 1], "ys": [0, 1], "marker": "circle", "align": "left", "text": "", "color": "transparent"}
    empty |= dict.fromkeys(("fill", "halo"), "transparent")
    source = lambda name, *columns: ColumnDataSource({column: [empty.get(column, 0)] for column in columns}, name=name)
    plot.multi_line("xs", "ys", line_color="color", line_width="width", line_alpha="alpha",
                    source=source("lines", "xs", "ys", "color", "width", "alpha"))  # fmt: skip
    plot.segment("x0", "y0", "x1", "y1", line_color="color", line_width=1.5, source=source("spans", "x0", "y0", "x1", "y1", "color"))
    marks = plot.scatter("x", "y", marker="marker", size="size", line_color="color", fill_color="fill", line_width=1.4, line_alpha="alpha",
                         fill_alpha="alpha", source=source("marks", "x", "y", "marker", "size", "color", "fill", "alpha"))  # fmt: skip
    marks.nonselection_glyph = marks.selection_glyph = None
    plot.scatter("x", "y", size=18, line_color="color", fill_color=None, line_width=2, source=source("ring", "x", "y", "color"))
    plot.text("x", "y", "text", text_color="color", text_font_size="12px", x_offset="dx", y_offset=-7, text_baseline="bottom",
              text_align="align", background_fill_color="halo", background_fill_alpha=0.75, padding=2,
              source=source("names", "x", "y", "text", "color", "dx", "align", "halo"))  # fmt: skip
    plot.add_tools(HoverTool(renderers=[marks], tooltips=None, name="hover"), TapTool(renderers=[marks]))
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.axis_label_text_font_style, axis.minor_tick_line_color, axis.axis_label_text_font_size = "normal", None, "13px"
        axis.major_label_text_font_size = "12px"
    plot.xaxis.name, plot.yaxis.name, plot.xgrid.name, plot.ygrid.name = "x", "y", "xgrid", "ygrid"
    plot.x_range.range_padding = plot.y_range.range_padding = 0.1
    return _renamed(json_item(plot, "chart"))


def _renamed(item: dict[str, Any]) -> dict[str, Any]:
    """The item with ids numbered as they first come: Bokeh counts all models of the process."""
    numbers: dict[str, str] = {}

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            named = value.get("id")
            if isinstance(named, str):
                numbers.setdefault(named, f"m{len(numbers)}")
            return {key: numbers[one] if key == "id" and isinstance(one, str) else walk(one) for key, one in value.items()}
        return [walk(one) for one in value] if isinstance(value, list) else value

    found = walk(item)
    return found | {"root_id": numbers[item["root_id"]]}
