"""docs/architecture.md: its order of folders is that of the imports, and its drawing is that of the pipeline."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import networkx as nx
import pytest

from tests import drawing

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "polychromic"
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")


ORDER = re.findall(r"^\| \d+ \| `(\w+)` \|", PAGE, flags=re.MULTILINE)


def modules() -> dict[str, ast.Module]:
    """Modules of the package by name without the package's; that of a folder by the folder's name."""
    found = {}
    for path in sorted((REPOSITORY / PACKAGE).rglob("*.py")):
        name = ".".join(path.relative_to(REPOSITORY / PACKAGE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def imported(tree: ast.Module, types: bool = True) -> set[str]:
    """Modules of the package that a module imports anywhere; without those under TYPE_CHECKING unless `types`."""
    apart = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    skipped = set() if types else {inner for node in apart for inner in ast.walk(node)}
    dotted = []
    for node in ast.walk(tree):
        if node in skipped:
            continue
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
    assert names == set(ORDER) and len(ORDER) == 14


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


def test_the_drawing_is_that_of_the_pipeline():
    (shown,) = re.findall(r"```mermaid\n(.*?)```", PAGE, flags=re.DOTALL)
    assert shown == drawing.mermaid(), "draw it anew: python -m tests.drawing"
    graph, members = drawing.graph()
    assert all(group in shown for groups in members.values() for group in groups if len(groups) > 1)
    assert nx.is_directed_acyclic_graph(graph) and nx.has_path(graph, "data", "paper")


def test_the_page_is_a_page_and_names_files_that_exist():
    assert len(PAGE.splitlines()) <= 75
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (REPOSITORY / "docs" / target).exists(), target
