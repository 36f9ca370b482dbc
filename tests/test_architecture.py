"""docs/architecture.md: its order of folders is that of the imports, and its drawing is that of the pipeline."""

from __future__ import annotations

import ast
import re

import networkx as nx
import pytest

from polychromic.pipeline.run import upstream
from polychromic.pipeline.stages import stages
from tests import page_tools as pages
from tests.page_tools import REPOSITORY
from tests.pipeline_tools import declared_stages, link_sources

PACKAGE = "polychromic"
PAGE = pages.read("architecture.md")
ORDER = re.findall(r"^\| \d+ \| `(\w+)` \|", PAGE, flags=re.MULTILINE)


def modules() -> dict[str, ast.Module]:
    """Modules of the package by name without the package's; that of a folder by the folder's name."""
    found = {}
    for path in sorted((REPOSITORY / PACKAGE).rglob("*.py")):
        name = ".".join(path.relative_to(REPOSITORY / PACKAGE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def imported(tree: ast.Module) -> set[str]:
    """Modules of the package that a module imports anywhere, for types, too."""
    dotted = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "an import says its module in full"
            dotted += [(node.module, f"{node.module}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Import):
            dotted += [(alias.name, alias.name) for alias in node.names]
    found = set()
    for module, name in dotted:
        if module.partition(".")[0] == PACKAGE:
            inner = [part.partition(".")[2] or "__init__" for part in (name, module)]
            found.add(next(part for part in inner if part in MODULES))
    return found


def folder(module: str) -> str:
    return module.partition(".")[0]


def test_the_page_has_every_folder_and_the_top_level_is_flat():
    names = {folder(module) for module in MODULES} - {"__init__", "__main__"}
    assert names == set(ORDER) and len(ORDER) == 16


@pytest.mark.parametrize("name", ORDER)
def test_no_import_leads_to_a_later_folder(name):
    """Types included. `polychromic` itself stands for its version alone; what it hands on as the public API is looked up when asked for."""
    later = set(ORDER[ORDER.index(name) + 1 :])
    wrong = {module: bad for module, tree in MODULES.items() if folder(module) == name
             if (bad := sorted(found for found in imported(tree) if folder(found) in later))}  # fmt: skip
    assert wrong == {}


def test_no_two_modules_need_each_other():
    edges = ((module, name) for module, tree in MODULES.items() if module != "__init__" for name in imported(tree) - {module})
    graph = nx.DiGraph(edges)
    assert graph.number_of_edges() > 300
    assert [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1] == []


def test_the_drawing_is_that_of_the_pipeline(tmp_path):
    """A box is the stages of one command on one split; an arrow leads from who writes a file to who reads it, unless others imply it.
    Where each domain is opened; a domain that is not has fewer."""
    link_sources(tmp_path)
    whole = declared_stages(tmp_path)
    assert stages(REPOSITORY).keys() - {"judge"} <= whole.keys()
    (shown,) = re.findall(r"```mermaid\n(.*?)```", PAGE, flags=re.DOTALL)
    found = {name: stage for name, stage in whole.items() if name != "judge"}  # which is there where answers are recorded
    boxes, true = {}, nx.DiGraph()
    for name, stage in found.items():
        command, what = stage.cmd.split()[3], stage.cmd.split()[4:5]
        end = [stage.axes["split"]] if "split" in stage.axes else what if command == "report" else []
        boxes[name] = "-".join([command, *end])
    for name, before in upstream(found).items():
        true.add_edges_from((boxes[other], boxes[name]) for other in before if boxes[other] != boxes[name])
        inputs = {"data/": "data", "benchmarks/results": "timings"}.items()
        true.add_edges_from((source, boxes[name]) for start, source in inputs if any(dep.startswith(start) for dep in found[name].deps))
    arrows = [[side.split(" & ") for side in line.split(" --> ")] for line in shown.splitlines() if " --> " in line]
    drawn = {(start.strip(), end) for starts, ends in arrows for start in starts for end in ends}
    assert drawn == set(nx.transitive_reduction(true).edges)
    groups = {box: list(dict.fromkeys(found[name].group for name in found if boxes[name] == box)) for box in true}
    assert all(f'{box}["<b>{box}</b><br/>{", ".join(names)}"]' in shown for box, names in groups.items() if len(names) > 1)
