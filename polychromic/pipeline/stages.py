"""The pipeline: which stages there are, what each reads and what it makes. dvc.yaml is printed from here (`polychromic pipeline`).

Three things decide: params.yaml (domains, methods, weights, what test is opened for), the imports of the code and what paper/main.tex
reads (polychromic.pipeline.groups, .imports). So one entry of params.yaml adds a method, a domain, a seed or a weight of D. DVC does
not fill lists into deps (treeverse/dvc#8171), hence a printed file; a test holds the committed one equal to what is printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from polychromic.base import paths
from polychromic.params import Params, load_params, read_yaml
from polychromic.pipeline.group import RUN, Group, deps_of, kept
from polychromic.pipeline.groups import PLOTS, groups

PIPELINE = Path("dvc.yaml")
WIDTH = 180  # after which ruamel breaks a list
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
        params: file -> dotted keys; none stand for all of the file.
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
    params, model = load_params(root / paths.PARAMS), read_yaml(root / paths.PARAMS)["model"]
    return {stage.name: stage for group in groups(root, params) for stage in _expanded(root, group, params.lam, str(model))}


def _expanded(root: Path, group: Group, headline: float, model: str) -> Iterator[Stage]:
    items = group.each or {"": {}}
    if group.lambdas:
        items = {str(lam): {"lam": str(lam)} for lam in (headline, *group.lambdas)}
    for key, item in items.items():
        values = {"lambda": str(headline), "model": model, **{f"item.{name}": value for name, value in item.items()}}
        fill = lambda text, values=values: re.sub(r"\$\{([\w.]+)\}", lambda found: values[found[1]], text)
        yield Stage(
            f"{group.name}@{key}" if key else group.name,
            group.name,
            fill(f"{RUN} {group.cmd}"),
            {**group.axes, **item},
            tuple(sorted(map(fill, deps_of(root, group)))),
            {fill(path): kept(path) for path in group.outs},
            {} if group.keys == () else {paths.PARAMS.as_posix(): tuple(map(fill, group.keys or ()))},
        )


def to_yaml(root: Path = Path(".")) -> str:
    """The text of dvc.yaml."""
    params, out = load_params(root / paths.PARAMS), StringIO()
    there = [(domain, split) for split in ("dev", "test") for domain in params.domains if params.cells(domain, split)]
    metrics = [f"results/{domain}/{split}/metrics.json" for domain, split in there]
    document = {"stages": {group.name: _entry(root, group) for group in groups(root, params)}, "metrics": metrics}
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width, yaml.sort_base_mapping_type_on_output = None, WIDTH, False
    yaml.dump(document | {"plots": [{path: axes} for path, axes in _plots(params)]}, out)
    return HEAD + re.sub(r" $|^(?=  \S+:$|metrics:|plots:)", lambda found: "" if found[0] else "\n", out.getvalue(), flags=re.MULTILINE)


def _entry(root: Path, group: Group) -> dict[str, Any]:
    """A group as dvc.yaml has it, without what is empty."""
    keys = [{paths.PARAMS.as_posix(): None}] if group.keys is None else list(group.keys)
    outs = [path if kept(path) else {path: {"cache": False}} for path in group.outs]
    lists = {"deps": deps_of(root, group), "params": keys, "outs": outs}
    stage = {"desc": group.desc, "cmd": f"{RUN} {group.cmd}"} | {name: items for name, items in lists.items() if items}
    if group.lambdas:
        return {"matrix": {"lam": ["${lambda}", *group.lambdas]}} | stage
    return {"foreach": group.each, "do": stage} if group.each else stage


def _plots(params: Params) -> Iterator[tuple[str, dict[str, str]]]:
    """What `dvc plots` shows: files with their axes and template."""
    for domain in params.domains:
        frontier = {"x": params.endpoint(domain).quality, "y": params.endpoint(domain).primary, "title": f"frontier on {domain}"}
        weights = {"x": "lambda", "y": "objective", "title": f"D over lambda on {domain}"}
        training = {"x": "step", "y": "ce", "title": f"cross-entropy while training on {domain}"}
        for name, axes in zip(PLOTS, (frontier | {"template": "scatter"}, weights, training), strict=True):
            yield f"results/{domain}/dev/{name}", axes
