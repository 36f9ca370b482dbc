"""docs/architecture.md: its layers are those of the imports, and its drawing is that of dvc.yaml."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

from tests import drawing

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "polychromic"
PAGE = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")


def layers() -> list[list[str]]:
    """The table's modules, the lowest layer first."""
    table = PAGE.partition("## Layers")[2].partition("## ")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("|")][2:]
    return [re.findall(r"`([\w.]+)`", row) for row in reversed(rows)]


LAYER = {name: place for place, names in enumerate(layers()) for name in names}


def modules() -> dict[str, ast.Module]:
    """Modules of the package by name without the package's; that of a folder by the folder's name."""
    found = {}
    for path in sorted((REPOSITORY / PACKAGE).rglob("*.py")):
        name = ".".join(path.relative_to(REPOSITORY / PACKAGE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def imported(tree: ast.Module, types: bool) -> set[str]:
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


def layer(module: str) -> int:
    parts = module.split(".")
    return next(LAYER[name] for end in range(len(parts), 0, -1) if (name := ".".join(parts[:end])) in LAYER)


def test_each_module_has_one_layer_and_each_name_is_a_module():
    names = [name for group in layers() for name in group]
    assert len(names) == len(set(names)) and set(names) <= MODULES.keys()
    for module in MODULES:
        assert module.partition(".")[0] in LAYER, f"docs/architecture.md has no layer for {module}"


@pytest.mark.parametrize("module", MODULES)
def test_no_import_points_up(module):
    above = sorted(name for name in imported(MODULES[module], types=True) if layer(name) > layer(module))
    assert not above, f"{module} imports {above}, which lie above it"


def test_no_two_modules_need_each_other():
    graph = nx.DiGraph((module, name) for module, tree in MODULES.items() for name in imported(tree, types=False) - {module})
    assert graph.number_of_edges() > 300
    assert [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1] == []


def test_the_drawing_is_that_of_dvc_yaml():
    (shown,) = re.findall(r"```mermaid\n(.*?)```", PAGE, flags=re.DOTALL)
    assert shown == drawing.mermaid(), "draw it anew: python -m tests.drawing"
    graph, members = drawing.graph()
    stages = [stage for group in members.values() for stage in group]
    assert len(set(stages)) == len(stages) and all(re.search(rf"\b{stage}\b", shown) for stage in stages)
    assert nx.is_directed_acyclic_graph(graph) and nx.has_path(graph, "data", "paper")


def test_commands_without_a_model_start_without_torch():
    code = "import sys, polychromic.cli.app, polychromic.yours.evaluate.inputs, polychromic.params; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0


def test_the_page_is_a_page_and_names_files_that_exist():
    assert len(PAGE.splitlines()) <= 60
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (REPOSITORY / "docs" / target).exists(), target
