"""The pipeline: which stages there are, what each reads and what it makes. dvc.yaml is printed from here (`polychromic pipeline`).

Three things decide: params.yaml (domains, methods, weights, what test is opened for), the imports of the code and what paper/main.tex
reads (polychromic.pipeline.groups, .imports). So one entry of params.yaml adds a method, a domain, a seed or a weight of D. DVC does
not fill lists into deps (treeverse/dvc#8171), hence a printed file; a test holds the committed one equal to what is printed.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from polychromic.base import paths
from polychromic.params import load_params
from polychromic.pipeline.groups import Group, groups, metric_files, plots

PIPELINE = Path("dvc.yaml")
WIDTH = 140
HEAD = """\
# The pipeline, from curated data to the PDF; read it top to bottom. Printed from params.yaml, the imports of the code and what
# paper/main.tex reads: do not edit it, run `polychromic pipeline`.
#
# A cell is one method on one split of one domain with every seed: one process loads the model once. Its outs are the samples and the
# training history; adapters live in a content-addressed cache, so a fresh clone restores a cell by `dvc pull` without training it.
# Stages depend on explicit cells, and on the code that changes numbers. What is about test is sampled as `analysis.test` of params.yaml
# declares, once that is committed (polychromic/data/seal.py); none of it reads lambda or a choice, so an ablation leaves it alone.
"""


@dataclass(frozen=True)
class Stage:
    """One stage, as DVC runs it.

    Attributes:
        name: its address, "tuned-dev@listqa-lora". group: without the item, "tuned-dev".
        axes: what it is about, of domain, split, method and lam.
        deps: files and folders. outs: path -> whether DVC keeps it in its cache (and so in the store), or Git does.
    """

    name: str
    group: str
    cmd: str
    axes: Mapping[str, str] = field(default_factory=dict)
    deps: tuple[str, ...] = ()
    outs: Mapping[str, bool] = field(default_factory=dict)
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def stages(root: Path = Path(".")) -> dict[str, Stage]:
    """Every stage by its address, in the order of dvc.yaml; with the headline's lambda of params.yaml filled in.

    Raises:
        UsageError: params.yaml does not hold.
        PolychromicError: paper/main.tex is missing.
    """
    params = load_params(root / paths.PARAMS)
    found = (_expanded(group, params.lam) for group in groups(root, params))
    return {stage.name: stage for items in found for stage in items}


def _expanded(group: Group, headline: float) -> Iterator[Stage]:
    items = group.each
    if group.lambdas:
        items = {str(lam): {"lam": str(lam)} for lam in (headline, *group.lambdas)}
    for key, item in (items or {"": {}}).items():
        fill = lambda text, item=item: re.sub(
            r"\$\{(?:item\.)?(\w+)\}", lambda found: str(headline) if found[1] == "lambda" else item[found[1]], text
        )
        yield Stage(
            f"{group.name}@{key}" if key else group.name,
            group.name,
            fill(group.cmd),
            {name: value for name, value in {**group.axes, **item}.items() if name != "prompt"},
            tuple(sorted(map(fill, group.deps))),
            {fill(path): cached for path, cached in group.outs.items()},
            {file: tuple(map(fill, keys)) for file, keys in group.params.items()},
        )


def to_yaml(root: Path = Path(".")) -> str:
    """The text of dvc.yaml."""
    params = load_params(root / paths.PARAMS)
    found = groups(root, params)
    lines = [HEAD + "stages:"]
    for group in found:
        lines += ["", f"  {group.name}:"]
        body, indent = _body(group), "    "
        if group.lambdas:
            weights = ", ".join(map(_quoted, ["${lambda}", *map(str, group.lambdas)]))
            lines.append(f"    matrix: {{lam: [{weights}]}}")
        elif group.each is not None:
            lines.append("    foreach:")
            for key, item in group.each.items():
                lines.append(f"      {key}: {{{', '.join(f'{name}: {value}' for name, value in item.items())}}}")
            lines.append("    do:")
            indent = "      "
        lines += textwrap.indent("\n".join(body), indent).splitlines()
    lines += ["", "metrics:", *(f"  - {path}" for path in metric_files(params)), "", "plots:"]
    for path, axes in plots(params).items():
        lines.append(f"  - {path}: {{{', '.join(f'{key}: {value}' for key, value in axes.items())}}}")
    return "\n".join(lines) + "\n"


def _body(group: Group) -> list[str]:
    lines = [f'desc: "{group.desc}"' if ": " in group.desc else f"desc: {group.desc}", f"cmd: {group.cmd}", *_flow("deps", group.deps)]
    keys = {file: entries for file, entries in group.params.items() if entries}
    whole = [file for file, entries in group.params.items() if not entries]
    if whole:
        lines += ["params:", *(f"  - {file}:" for file in whole)]
    elif keys:
        others = [f"{{{file}: [{', '.join(map(_quoted, entries))}]}}" for file, entries in keys.items() if file != paths.PARAMS.as_posix()]
        lines += _flow("params", [*map(_quoted, keys.get(paths.PARAMS.as_posix(), ())), *others], quoted=True)
    if all(group.outs.values()):
        return lines + _flow("outs", group.outs)
    return [*lines, "outs:", *(f"  - {path}" if cached else f"  - {path}: {{cache: false}}" for path, cached in group.outs.items())]


def _flow(key: str, items: Iterable[str], quoted: bool = False) -> list[str]:
    """A list in as few lines as the width allows."""
    texts = ", ".join(items if quoted else map(_quoted, items))
    return textwrap.wrap(f"{key}: [{texts}]", WIDTH - 10, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _quoted(text: str) -> str:
    return f'"{text}"' if "${" in text else text
