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
from polychromic.params import Params, load_params
from polychromic.pipeline.groups import PLOTS, RUN, Group, deps_of, groups, kept

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
    params = load_params(root / paths.PARAMS)
    return {stage.name: stage for group in groups(root, params) for stage in _expanded(root, group, params.lam)}


def _expanded(root: Path, group: Group, headline: float) -> Iterator[Stage]:
    items = group.each or {"": {}}
    if group.lambdas:
        items = {str(lam): {"lam": str(lam)} for lam in (headline, *group.lambdas)}
    for key, item in items.items():
        values = {"lambda": str(headline), **{f"item.{name}": value for name, value in item.items()}}
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
    params = load_params(root / paths.PARAMS)
    lines = [HEAD + "stages:"]
    for group in groups(root, params):
        lines += ["", f"  {group.name}:"]
        if group.lambdas:
            lines.append(f"    matrix: {{lam: [{', '.join(map(_quoted, ['${lambda}', *map(str, group.lambdas)]))}]}}")
        elif group.each:
            lines += ["    foreach:", *(f"      {key}: {_mapping(item)}" for key, item in group.each.items()), "    do:"]
        lines += textwrap.indent("\n".join(_body(root, group)), "      " if group.each else "    ").splitlines()
    lines += ["", "metrics:", *(f"  - results/{domain}/{split}/metrics.json" for split in ("dev", "test") for domain in params.domains)]
    lines += ["", "plots:", *(f"  - {path}: {_mapping(axes)}" for path, axes in _plots(params))]
    return "\n".join(lines) + "\n"


def _plots(params: Params) -> Iterator[tuple[str, dict[str, str]]]:
    """What `dvc plots` shows: files with their axes and template."""
    for domain in params.domains:
        frontier = {"x": params.endpoint(domain).quality, "y": params.endpoint(domain).primary, "title": f"frontier on {domain}"}
        weights = {"x": "lambda", "y": "objective", "title": f"D over lambda on {domain}"}
        training = {"x": "step", "y": "ce", "title": f"cross-entropy while training on {domain}"}
        for name, axes in zip(PLOTS, (frontier | {"template": "scatter"}, weights, training), strict=True):
            yield f"results/{domain}/dev/{name}", axes


def _body(root: Path, group: Group) -> Iterator[str]:
    yield f'desc: "{group.desc}"' if ": " in group.desc else f"desc: {group.desc}"
    yield f"cmd: {RUN} {group.cmd}"
    yield from _flow("deps", deps_of(root, group))
    if group.keys is None:
        yield f"params: [{paths.PARAMS}: ]"
    elif group.keys:
        yield from _flow("params", group.keys)
    if all(map(kept, group.outs)):
        yield from _flow("outs", group.outs)
    else:
        yield from ("outs:", *(f"  - {path}" if kept(path) else f"  - {path}: {{cache: false}}" for path in group.outs))


def _flow(key: str, items: Iterable[str]) -> list[str]:
    """A list in as few lines as the width allows."""
    texts = ", ".join(map(_quoted, items))
    return textwrap.wrap(f"{key}: [{texts}]", WIDTH - 10, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _mapping(items: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{name}: {value}' for name, value in items.items())}}}"


def _quoted(text: str) -> str:
    return f'"{text}"' if "${" in text else text
