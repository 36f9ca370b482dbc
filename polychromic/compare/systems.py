"""What was scored, as arrays: a system is a method at one weight and one temperature. No torch, no text, no statistic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_jsonl
from polychromic.data.records import Record, load_split
from polychromic.params import ContrastParams, Params


@dataclass(frozen=True)
class System:
    """A label at one temperature. scores: metric -> (seeds, prompts); prompts: their ids, in one order for all systems."""

    label: str
    method: str
    lam: float | None
    temperature: float
    seeds: tuple[int, ...]
    scores: dict[str, np.ndarray]
    prompts: tuple[str, ...] = ()

    def mean(self, metric: str) -> float:
        """Over seeds and prompts."""
        return float(self.scores[metric].mean())

    def about(self) -> dict:
        return {"label": self.label, "method": self.method, "lambda": self.lam, "temperature": self.temperature}

    def only(self, seeds: Collection[int], places: Sequence[int] | slice = slice(None)) -> System:
        """The same with those of its seeds that are among `seeds`, and the prompts at some places."""
        rows = [row for row, seed in enumerate(self.seeds) if seed in seeds]
        scores = {name: values[rows][:, places] for name, values in self.scores.items()}
        kept = tuple(np.array(self.prompts, dtype=object)[places]) if self.prompts else ()
        return replace(self, seeds=tuple(self.seeds[row] for row in rows), scores=scores, prompts=kept)


Systems = dict[tuple[str, float], System]  # by label and temperature


def label_of(method: str, lam: float | None, headline: float) -> str:
    """ "lora", "polychromic" at the headline lambda, "polychromic@0.3" elsewhere on its grid."""
    return method if lam is None or lam == headline else f"{method}@{lam}"


def read_systems(params: Params, domain: str, split: str, headline: float) -> Systems:
    """From the scores of the split; `headline`: the weight at which the grid goes by its bare name.

    Raises PolychromicError: no row of the split, or a system lacks a prompt that another has.
    """
    path, names = paths.scores_file(domain, split), (*params.domain(domain).metrics, "objective")
    cells: dict[tuple, dict[tuple[int, str], dict[str, float]]] = defaultdict(dict)
    for _, row in read_jsonl(path):
        if row["split"] == split:
            cells[row["method"], row["lambda"], row["temperature"]][row["seed"], row["id"]] = row["metrics"]
    if not cells:
        raise PolychromicError(f"{path}: no scores of split {split!r}. Run `dvc repro`.")
    prompts = sorted({prompt for scores in cells.values() for _, prompt in scores})
    systems = {}
    for (method, lam, temperature), scores in cells.items():
        seeds = tuple(sorted({seed for seed, _ in scores}))
        if missing := [(seed, prompt) for seed in seeds for prompt in prompts if (seed, prompt) not in scores]:
            lacks = f"{method} at temperature {temperature} lacks {len(missing)} scores, first (seed, prompt) {missing[0]}"
            raise PolychromicError(f"{path}: {lacks}. Run `dvc repro`.")
        arrays = {name: np.array([[scores[seed, prompt][name] for prompt in prompts] for seed in seeds]) for name in names}
        label = label_of(method, lam, headline)
        systems[label, temperature] = System(label, method, lam, temperature, seeds, arrays, tuple(prompts))
    return systems


def known_prompts(params: Params, domain: str, split: str, declared: Iterable[ContrastParams]) -> dict[str, Record]:
    """The records of a split by id, where something is asked of them: clusters, or a contrast on some strata; empty elsewhere.

    Raises PolychromicError as `load_split`.
    """
    asked = domain in params.analysis.clusters or any(one.stratum for one in declared)
    return {record.id: record for record in load_split(domain)[split]} if asked else {}


def clusters_of(params: Params, domain: str, system: System, known: dict[str, Record]) -> list[str] | None:
    """(P,) groups of a system's prompts where the domain's are clusters (families of functions); None where prompts stand alone."""
    return [known[prompt].group for prompt in system.prompts] if domain in params.analysis.clusters else None
