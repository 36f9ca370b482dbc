"""params.yaml as frozen typed objects. Every error is reported at once, with its key, what was got and what is allowed.

`Params.cells(domain, split)` is the grid: which systems run where, with which seeds and at which temperatures. Stages, scores, tables
and dvc.yaml all ask it, so one entry of params.yaml adds a method, a domain, a seed or a weight.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationError, model_validator

from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError, problems
from polychromic.base.io import read_text
from polychromic.base.parse import parse_yaml
from polychromic.data.domains import domain_names
from polychromic.method.advantages import check_baseline
from polychromic.method.objective import make_objective
from polychromic.models.weights import ModelSource, Source
from polychromic.params import sections as of
from polychromic.params.sections import ALWAYS, BEST, HEADLINE, POLICY, ContrastParams, DomainParams, Method, Section, TestPlan, Train

__all__ = ["ALWAYS", "BEST", "HEADLINE", "POLICY", "Adapter", "Cell", "ContrastParams", "DomainParams", "Method", "Params", "Section"]
__all__ += ["TestPlan", "Train", "load_params", "read_yaml"]


class Adapter(NamedTuple):
    """What tells one trained adapter from another, on whatever split. step: what the training step depends on, as JSON."""

    domain: str
    step: str
    budget: float
    cost: float | None
    learning_rate: float | None
    seed: int


class Cell(NamedTuple):
    """A system of the grid, on one split of a domain: a method, at a weight of D where the weight is the grid's axis (None elsewhere).

    temperatures: at which it is sampled, on test the one that dev chose first.
    """

    method: str
    lam: float | None
    seeds: tuple[int, ...]
    temperatures: tuple[float, ...]

    @property
    def name(self) -> str:
        """Its folder: "lora", "polychromic-3.0"."""
        return paths.cell_name(self.method, self.lam)


class Params(Section):
    lam: of.Weight = Field(alias="lambda")
    domains: of.List(of.DomainName)
    seeds: of.List(of.Seed)
    threads: of.Count
    model: ModelSource
    models: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")], ModelSource] = {}  # by the names that `model` may give
    encoder: Source
    split: of.Split
    __annotations__ |= dict.fromkeys(domain_names(), DomainParams)  # a section per module of polychromic/data/domains
    methods: dict[str, Method]
    lora: of.Lora
    train: Train
    objective: of.Objective
    sampling: of.Sampling
    scoring: of.Scoring
    few_shot: of.FewShot
    analysis: of.Analysis
    judge: of.Judge

    @model_validator(mode="before")
    @classmethod
    def _named_model(cls, values: Any) -> Any:
        """`model` as the entry of `models` that it names; its dtype in place of the two precisions."""
        if not isinstance(values, dict):
            return values
        if isinstance(name := values.get("model"), str):
            entries = values.get("models") or {}
            if name not in entries:
                raise ValueError(
                    f"model is {name!r}; allowed: {', '.join(entries) or 'none'} (the entries of models), or a source of its own"
                )
            values = values | {"model": entries[name]}
        if isinstance(values.get("model"), dict) and (dtype := values["model"].get("dtype")):
            sections = (name for name in ("train", "sampling") if isinstance(values.get(name), dict))
            values = values | {name: values[name] | {"precision": dtype} for name in sections}
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> Params:
        of.has_baselines("methods", self.methods)
        if self.sampling.n < (least := max(10, self.objective.n)):
            raise ValueError(f"sampling.n is {self.sampling.n}; pass@10 and sets of objective.n replies need {least}")
        for name, method in self.methods.items():
            if method.objective != "none":
                try:
                    objective = make_objective(method.objective, self.objective.n, method.subset)
                    check_baseline(method.baseline or self.objective.baseline, objective, self.objective.n)
                except ValueError as error:
                    raise ValueError(f"methods.{name}: {error}") from None
        of_methods = (self.methods, "the methods")
        for domain in self.domains:
            if domain not in self.analysis.endpoints:
                raise ValueError(f"analysis.endpoints lacks {domain}; each domain needs a primary and a quality metric")
            of.known(f"{domain}.people", self.domain(domain).people, *of_methods)
        for domain, endpoint in self.analysis.endpoints.items():
            for key, name in endpoint:
                of.known(f"analysis.endpoints.{domain}.{key}", [name], self.domain(domain).metrics, "its metrics")
        contrasts = self.analysis.contrasts
        of.known("analysis.contrasts", {name for one in contrasts for name in (one.a, one.b)} - set(BEST), *of_methods)
        for domain, plan in self.analysis.test.items():
            where = f"analysis.test.{domain}.systems"
            of.known(where, plan.systems, *of_methods)
            for name, system in plan.systems.items():
                if (self.methods[name].lam == "lambda") != (system.lam is not None):
                    raise ValueError(f"{where}.{name}: lam is {system.lam}; a number where methods.{name}.lam is lambda, none elsewhere")
        for domain in self.judge.pairs:
            systems = {name for pair in self.judge.of(domain) for name in pair}
            opened = self.analysis.test[domain].systems if domain in self.analysis.test else ()
            of.known(f"judge.pairs.{domain}", systems, opened, f"analysis.test.{domain}.systems")
        return self

    def runs(self, method: str, domain: str) -> bool:
        """Whether the grid has this method on this domain."""
        limited = self.methods[method].domains
        return limited is None or domain in limited

    def cells(self, domain: str, split: str) -> list[Cell]:
        """Who runs on a split of a domain: on dev the grid, on test what was declared, nobody where nothing was, on calibration those
        set beside people."""
        if split == "test":
            if (plan := self.analysis.test.get(domain)) is None:
                return []
            opened = plan.systems.items()
            return [Cell(name, one.lam, tuple(plan.seeds[: one.seeds]), tuple(one.temperatures)) for name, one in opened]
        grid = list(dict.fromkeys([self.lam, *self.domain(domain).lambdas]))
        there = [name for name in self.methods if (self.runs(name, domain) if split == "dev" else name in self.domain(domain).people)]
        weights = lambda name: grid if self.methods[name].lam == "lambda" else [None]
        return [self._cell(domain, split, name, lam) for name in there for lam in weights(name)]

    def _cell(self, domain: str, split: str, method: str, lam: float | None) -> Cell:
        temperatures = self.temperatures(method, domain) if split == "dev" else [POLICY]
        return Cell(method, lam, tuple(self.seeds_of(method, lam)), tuple(temperatures))

    def cell(self, domain: str, split: str, method: str, lam: float | None = None) -> Cell:
        """One of `cells`; on dev also at a weight that the grid does not have, on test the one that was declared.

        Raises:
            UsageError: no such method, a weight given to a method that takes none or missing for one that does, or a system that the
                split does not have.
        """
        if method not in self.methods:
            allowed = ", ".join(self.methods)
            raise UsageError(f"method {method!r} does not exist. Allowed: {allowed}. Methods are declared under `methods:` in params.yaml.")
        weight = self.methods[method].lam
        if weight == "lambda" and split != "test" and (lam is None or not math.isfinite(lam)):
            raise UsageError(f"method {method!r} needs a weight, a finite number: add --lam, such as --lam {self.lam}.")
        if weight != "lambda" and lam is not None:
            raise UsageError(f"method {method!r} takes no --lam: params.yaml sets methods.{method}.lam to {weight}. Leave the option out.")
        if split == "test":
            self.test_plan(domain)  # says so where nothing was declared
        cells = self.cells(domain, split)
        if split == "dev" or method in {cell.method for cell in cells} and split == "calibration":
            return self._cell(domain, split, method, None if lam is None else abs(lam))  # -0.0 is no weight of its own
        for cell in cells if split == "test" else ():
            if cell.method == method and lam in (None, cell.lam):
                return cell
        where = f"analysis.test.{domain}.systems" if split == "test" else f"{domain}.people"
        allowed = ", ".join(cell.name for cell in cells) or "none"
        raise UsageError(f"params.yaml: {where} has no {paths.cell_name(method, lam)!r}. Declared: {allowed}.")

    def seeds_of(self, method: str, lam: float | None = None) -> list[int]:
        """The seeds that a method, at a weight of the grid, runs with. One without an adapter differs between seeds by its draws alone:
        one says all there is."""
        chosen = self.methods[method]
        return self.seeds[: 1 if chosen.adapter == "none" else chosen.grid_seeds.get(lam, chosen.seeds)]

    def temperatures(self, method: str, domain: str) -> list[float]:
        """At which a method's samples are drawn on dev."""
        return self.methods[method].temperatures.get(domain, self.domain(domain).temperatures)

    def _training(self, method: str, lam: float | None, apart: set[str] = of.APART) -> str:
        """What a method's training step depends on, as JSON; at the weight `lam` where params.yaml says lambda. apart: what is left out."""
        fields = self.methods[method].model_dump(exclude=apart)
        return json.dumps(fields | {"lam": lam if fields["lam"] == "lambda" else fields["lam"]}, sort_keys=True)

    def trains_like(self, method: str) -> str:
        """The first method whose training step is the same; two may differ in rate, number of steps, seeds, domains and decoding."""
        return next(name for name in self.methods if self._training(name, self.lam) == self._training(method, self.lam))

    def family(self, method: str) -> list[str]:
        """The methods that differ from this one in `cost` alone, and it, cheapest first; none where it has no cost."""
        alike = lambda name: self._training(name, self.lam, of.GRID | {"cost"})
        found = [name for name, other in self.methods.items() if other.cost is not None and alike(name) == alike(method)]
        return sorted(found, key=lambda name: self.methods[name].cost) if self.methods[method].cost is not None else []

    def adapters(self, domain: str, cell: Cell) -> list[Adapter]:
        """What a system is trained as, once per seed; none for a prompted one. Systems that differ in decoding alone share theirs."""
        method, step = self.methods[cell.method], self._training(cell.method, cell.lam)
        seeds = () if method.adapter == "none" else cell.seeds
        return [Adapter(domain, step, method.budget, method.cost, method.learning_rate, seed) for seed in seeds]

    def test_plan(self, domain: str) -> TestPlan:
        """What test is opened for. Raises UsageError where nothing was declared."""
        if domain not in self.analysis.test:
            allowed = ", ".join(self.analysis.test) or "none"
            raise UsageError(f"params.yaml: analysis.test has no {domain!r}. Declared: {allowed}. Declare its systems and contrasts first.")
        return self.analysis.test[domain]

    def on(self, domain: str, split: str) -> Params:
        """As a split of the domain is sampled and scored: test in the precision that its plan declares."""
        precision = self.test_plan(domain).precision if split == "test" else None
        if precision is None:
            return self
        sections = {name: getattr(self, name).model_copy(update={"precision": precision}) for name in ("train", "sampling")}
        return self.model_copy(update=sections)

    def endpoint(self, domain: str) -> of.Endpoint:
        return self.analysis.endpoints[domain]

    def domain(self, name: str) -> DomainParams:
        return getattr(self, name)


def read_yaml(path: str | os.PathLike = paths.PARAMS) -> dict[str, Any]:
    """The raw mapping (YAML 1.2: `1e-4` is a number). Raises UsageError with line and column."""
    path = Path(path)
    if not path.exists():
        raise UsageError(f"{path}: file not found. Run the command in the folder that holds params.yaml, or name one with --params.")
    try:
        values = parse_yaml(read_text(path), str(path))
    except ValueError as error:
        raise UsageError(f"{error}. Allowed: keys and plain values. Fix the line.") from None
    except PolychromicError as error:
        raise UsageError(str(error)) from None
    if not isinstance(values, dict):
        raise UsageError(f"{path}: holds a {type(values).__name__}. Allowed: keys and values. Restore it with `git checkout {path}`.")
    return values


def load_params(path: str | os.PathLike = paths.PARAMS) -> Params:
    """Read and validate. Raises UsageError that lists every problem, a line each: key, what is wrong, what was got."""
    values = read_yaml(path)
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        found = problems(error, "\n  ", "params.yaml").replace("Value error, ", "")
        remedy = "Allowed: what the comment above each key in params.yaml says. Fix these keys."
        raise UsageError(f"{path}: {error.error_count()} error(s):\n  {found}\n{remedy}") from None
