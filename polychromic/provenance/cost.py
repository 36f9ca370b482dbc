"""What cells are expected to take, from the timings of `make bench`: one of them alone, or all of them over one cache."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass

from polychromic.params import Adapter
from polychromic.provenance.declared import Declared
from polychromic.provenance.reach import command_of
from polychromic.provenance.state import State
from polychromic.report.costs import Sampler, StepCost
from polychromic.report.results import parse

OF_CELLS = ("cell", "openers", "sample-test")  # commands that train or sample
SAMPLER = "benchmarks/results/sampler.json"


@dataclass(frozen=True)
class Planned:
    """A stage to run again. minutes: what it is expected to take, None where nobody measured; basis: where that is from."""

    stage: str
    cmd: str
    kind: str
    minutes: float | None
    basis: str


@dataclass(frozen=True)
class Expected:
    """Seconds of one core that a cell needs with an empty cache.

    Attributes:
        training: (whether it is of test, the adapter) -> seconds. sampling: of all its drafts. device: where the timings are from.
    """

    training: dict[tuple[bool, Adapter], float]
    sampling: float
    device: str

    @property
    def seconds(self) -> float:
        return sum(self.training.values()) + self.sampling


@dataclass(frozen=True)
class Whole:
    """Hours of one core that all cells need, by the data they are about; an adapter that several cells sample is trained once.

    unknown: cells that nobody timed or that never ran, and that are not in it. device: where the timings are from.
    """

    dev: float
    test: float
    unknown: int
    device: str


def population(here: State) -> list[str]:
    """The stages that train or sample and have run, sorted."""
    return sorted(name for name, stage in here.declared.items() if command_of(stage.cmd) in OF_CELLS and name in here.lock.stages)


def expected(here: State, stage: Declared) -> tuple[Expected | None, str]:
    """What a cell needs, and where that is from; None where nobody measured. Tokens are those of the samples recorded."""
    params, domain = here.params, str(stage.domain)
    timed, sampler = timings(here, domain), here.folder / SAMPLER
    if timed is None or not sampler.is_file():
        return None, "no timings in benchmarks/results/"
    name, lam = stage.cmd.split()[5], float(stage.axes["lam"]) if "lam" in stage.axes else None
    method, on_test = params.methods[name], command_of(stage.cmd) == "sample-test"
    sampling = sum(_tokens(here, stage)) / max(row.tokens_per_second for row in parse(Sampler, sampler).rows)
    if method.adapter == "none":
        return Expected({}, sampling, timed.device), f"timings on {timed.device}"
    variant = timed.variants.get(params.trains_like(name)) or timed.variants.get("polychromic" if method.objective != "none" else "lora")
    if variant is None:
        return None, "its step was not measured"
    adapters = params.adapters(domain, name) if on_test else params.trained(domain, name, lam, params.seeds_of(name, lam))
    seconds = round(params.domain(domain).steps * method.budget) * variant.mean_seconds
    return Expected({(on_test, adapter): seconds for adapter in adapters}, sampling, timed.device), f"timings on {timed.device}"


def whole(here: State) -> Whole:
    """What the cells that dvc.yaml declares need, each adapter trained once."""
    training: dict[tuple[bool, Adapter], float] = {}
    sampling = {False: 0.0, True: 0.0}
    unknown, devices = 0, set()
    for stage in here.declared.values():
        if (command := command_of(stage.cmd)) not in OF_CELLS:
            continue
        found = expected(here, stage)[0] if stage.name in here.lock.stages else None
        if found is None:
            unknown += 1
            continue
        training |= found.training
        sampling[command == "sample-test"] += found.sampling
        devices.add(found.device)
    hours = {on_test: (sampling[on_test] + sum(s for (of, _), s in training.items() if of == on_test)) / 3600 for on_test in sampling}
    return Whole(hours[False], hours[True], unknown, ", ".join(sorted(devices)))


def timings(here: State, domain: str | None) -> StepCost | None:
    """The step times of a domain, None where it was not timed."""
    path = here.folder / "benchmarks" / "results" / f"step_cost-{domain}.json"
    return parse(StepCost, path) if path.is_file() else None


def _tokens(here: State, stage: Declared) -> Iterator[float]:
    """Tokens of each row of the samples that lie here or in the store."""
    for path in stage.outs:
        place = here.place(here.made[path]) if path.endswith(".jsonl.gz") and path in here.made else None
        if place is not None:
            with gzip.open(place, "rt", encoding="utf-8") as file:
                for line in file:
                    yield sum(json.loads(line)["tokens"])
