"""params.yaml as frozen typed objects. Every error is reported at once, with its key, what was got and what is allowed.

`Params.cells(domain, split)` is the grid: which systems run where, with which seeds and at which temperatures. Stages, scores, tables
and dvc.yaml all ask it, so one entry of params.yaml adds a method, a domain, a seed or a weight.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML, YAMLError

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.data.domains import domain_names
from polychromic.method.advantages import BASELINES, check_baseline
from polychromic.method.losses import LOSSES, check_loss
from polychromic.method.objective import OBJECTIVES, SUBSET_OBJECTIVES, make_objective
from polychromic.models.weights import Source

POLICY = 1.0  # temperature of training's rollouts, at which D is what lambda multiplies
ALWAYS = ("zero_shot", "few_shot", "lora", "polychromic")  # the four baselines, among the methods and on test
HEADLINE = "polychromic"
BEST = ("best_without_checker", "best_with_checker")  # roles of peers in contrasts, filled on dev

Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Temperature = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Precision = Literal["float32", "bfloat16"]
BaselineName = Literal[tuple(BASELINES)]
DomainName = Literal[tuple(domain_names())]


def distinct(values: list) -> list:
    if len(set(values)) != len(values):
        raise ValueError("the list names a value twice")
    return values


def List(item: Any) -> Any:  # noqa: N802 - reads as a type
    return Annotated[list[item], Field(min_length=1), AfterValidator(distinct)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False)


class Sizes(Section):
    train: Count
    dev: Count
    test: Count


class Rollouts(Section):
    share: Share = 1.0
    every: Count = 1


class DomainParams(Section):
    """One section per domain, named like it."""

    sizes: Sizes
    steps: Count
    rollouts: Rollouts
    pool_samples: Annotated[int, Field(ge=2)]
    max_new_tokens: Annotated[int, Field(ge=2)]
    temperatures: List(Temperature)
    lambdas: List(Weight)
    people: Annotated[list[str], AfterValidator(distinct)] = []
    metrics: List(str)


class SelfTrainingParams(Section):
    after: Annotated[float, Field(gt=0, lt=1)]
    every: Positive | None = None  # share of the domain's steps from one round of sampling to the next; None: one round


class Method(Section):
    """A quality loss and a set objective on a prompt variant; how its samples are decoded; where the grid has it."""

    prompt: str
    adapter: Literal["none", "lora"]
    loss: Literal[tuple(LOSSES)] = "ce"
    settings: dict[str, float] = {}
    targets: Literal["references", "valid"] = "references"
    objective: Literal[("none", *OBJECTIVES, *SUBSET_OBJECTIVES)] = "none"
    subset: Count | None = None
    baseline: BaselineName | None = None  # None: that of `objective`
    similarity: Literal["domain", "exact", "semantic"] = "domain"
    lam: Weight | Literal["lambda"] | None = None
    rollouts: Rollouts | None = None  # None: the domain's
    after: Annotated[float, Field(ge=0)] = 0.0  # warm-up of pure L_quality, as a share of the domain's steps
    clip: Positive | None = None  # norm at which D's gradient is clipped apart; None: together with L_quality's
    self_training: SelfTrainingParams | None = None
    budget: Positive = 1.0  # times the domain's steps
    cost: Positive | None = None  # times the FLOPs of LoRA's steps in the domain, which end training in place of a number of steps
    learning_rate: Positive | None = None  # None: that of `train`
    scale: Annotated[float, Field(ge=0)] = 1.0
    min_p: Annotated[float, Field(ge=0, lt=1)] = 0.0
    temperatures: dict[DomainName, List(Temperature)] = {}  # of a domain that is not named: the domain's
    seeds: Count | None = None  # how many of the seeds, None: all
    grid_seeds: dict[Annotated[float, Field(ge=0, strict=False)], Count] = {}  # the same of single weights, where `lam` is the grid's
    domains: Annotated[list[DomainName], AfterValidator(distinct)] | None = None  # None: all; []: declared, and in no grid

    @property
    def ours(self) -> bool:
        """Polychromic LoRA, at whatever cost; everything else is a peer."""
        return self.objective == "coverage"

    @property
    def sees_checker(self) -> bool:
        """Whether training uses what the checker knows beyond the references."""
        return self.objective not in ("none", "plain") or self.targets == "valid" or self.self_training is not None

    @model_validator(mode="after")
    def _consistent(self) -> Method:
        trained = {"objective": "none", "loss": "ce", "self_training": None, "targets": "references"}
        trained |= {"budget": 1.0, "learning_rate": None, "scale": 1.0}
        if self.adapter == "none" and (wrong := [key for key, off in trained.items() if getattr(self, key) != off]):
            raise ValueError(f"{', '.join(wrong)} needs adapter: lora")
        if (self.objective == "none") != (self.lam is None):
            raise ValueError(
                "lam (a number, or the word lambda for the top-level value) belongs to methods with an objective, only to them"
            )
        if self.grid_seeds and self.lam != "lambda":
            raise ValueError("grid_seeds is for a method with lam: lambda, whose weights it names; use seeds for any other")
        if self.objective == "none" and (wrong := [key for key in ("rollouts", "subset", "baseline") if getattr(self, key) is not None]):
            raise ValueError(f"{', '.join(wrong)}: only for methods with an objective, and this one has none")
        check_loss(self.loss, self.settings)
        return self


class Split(Section):
    seed: Seed
    tolerance: Share


class Lora(Section):
    rank: Count
    alpha: Positive
    target_modules: List(str)


class Train(Section):
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Positive
    warmup_steps: Annotated[int, Field(ge=0)]
    schedule: Literal["linear", "cosine", "constant"]
    weight_decay: Annotated[float, Field(ge=0)]
    max_grad_norm: Positive
    eval_every: Count
    checkpoint_every: Count
    kl_samples: Count
    precision: Precision


class Objective(Section):
    n: Annotated[int, Field(ge=2)]
    baseline: BaselineName


class Sampling(Section):
    n: Count
    rows: Count
    precision: Precision


class Scoring(Section):
    likelihood_samples: Count


class FewShot(Section):
    exemplars: Count
    seed: Seed


class ContrastParams(Section):
    """A paired comparison a - b of methods, or with the peer that was best on dev (BEST); `primary` ones form Holm's family.

    rule: what the family is about, the primary metric at matched quality or with each side at its chosen temperature; the other
    is computed too, and secondary.
    """

    a: str
    b: str
    family: Literal["primary", "secondary"]
    rule: Literal["matched", "chosen"] = "matched"


class Endpoint(Section):
    """Metrics of a domain: the one that the method claims to raise, and the one that must not suffer."""

    primary: str
    quality: str


class Opened(Section):
    """A system on test: its adapters at `lam`, where the method has a grid; with the first `seeds` of the domain's test seeds.

    temperatures: the one that dev chose first, then those that stood on the method's frontier on dev, which a matched contrast reads.
    """

    lam: Weight | None = None
    seeds: Count
    temperatures: List(Temperature)


class TestPlan(Section):
    """What test is opened for in a domain. prompts: how many of its prompts, drawn with analysis.seed; None: all of them. precision:
    in which adapters are trained, sampled and read there; None: train.precision and sampling.precision, as on dev."""

    seeds: List(Seed)
    prompts: Count | None = None
    precision: Precision | None = None
    systems: dict[str, Opened]
    contrasts: Annotated[list[ContrastParams], Field(min_length=1)]

    @model_validator(mode="after")
    def _declared(self) -> TestPlan:
        if missing := sorted(set(ALWAYS) - set(self.systems)):
            raise ValueError(f"systems lacks {', '.join(missing)}; the four baselines are always there")
        for name, system in self.systems.items():
            if system.seeds > len(self.seeds):
                raise ValueError(f"systems.{name}.seeds is {system.seeds}; the section declares {len(self.seeds)} seeds")
        pairs = [(contrast.a, contrast.b) for contrast in self.contrasts]
        if twice := sorted({f"{a} - {b}" for a, b in pairs if pairs.count((a, b)) > 1}):
            raise ValueError(f"contrasts names {', '.join(twice)} twice; a pair is tested once, in one family")
        for contrast in self.contrasts:
            if unknown := sorted({contrast.a, contrast.b} - set(self.systems)):
                raise ValueError(f"contrasts name {', '.join(unknown)}, not among its systems: {', '.join(self.systems)}")
        return self


class Analysis(Section):
    seed: Seed
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    bootstrap: Annotated[int, Field(ge=200)]
    permutations: Annotated[int, Field(ge=200)]
    estimand: Literal["declared_seeds"]
    endpoints: dict[DomainName, Endpoint]
    margin: Share
    ce_margin: Positive
    contrasts: Annotated[list[ContrastParams], Field(min_length=1)]
    test: dict[DomainName, TestPlan]


# What two methods with the same training step may differ in.
APART = {"budget", "cost", "learning_rate", "scale", "min_p", "temperatures", "seeds", "grid_seeds", "domains"}


def _training(method: Method, lam: float | None) -> dict[str, Any]:
    """What a method's training step depends on, at the weight `lam` where params.yaml says lambda."""
    fields = method.model_dump(exclude=APART)
    return fields | {"lam": lam if fields["lam"] == "lambda" else fields["lam"]}


class Adapter(NamedTuple):
    """What tells one trained adapter from another, on whatever split. step: what the training step depends on, as JSON."""

    domain: str
    step: str
    budget: float
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
    lam: Annotated[float, Field(ge=0, alias="lambda")]
    domains: List(DomainName)
    seeds: List(Seed)
    threads: Count
    model: Source
    encoder: Source
    split: Split
    __annotations__ |= dict.fromkeys(domain_names(), DomainParams)  # a section per module of polychromic/data/domains
    methods: dict[str, Method]
    lora: Lora
    train: Train
    objective: Objective
    sampling: Sampling
    scoring: Scoring
    few_shot: FewShot
    analysis: Analysis

    @model_validator(mode="after")
    def _four_baselines(self) -> Params:
        missing = set(ALWAYS) - set(self.methods)
        if missing:
            raise ValueError(f"methods lacks {', '.join(sorted(missing))}; the four baselines are always there")
        if self.sampling.n < (least := max(10, self.objective.n)):
            raise ValueError(f"sampling.n is {self.sampling.n}; pass@10 and sets of objective.n replies need {least}")
        for name, method in self.methods.items():
            if method.objective != "none":
                try:
                    objective = make_objective(method.objective, self.objective.n, method.subset)
                    check_baseline(method.baseline or self.objective.baseline, objective, self.objective.n)
                except ValueError as error:
                    raise ValueError(f"methods.{name}: {error}") from None
        for domain in self.domains:
            for key, what in (("endpoints", "a primary and a quality metric"), ("test", "a declaration of what test is opened for")):
                if domain not in getattr(self.analysis, key):
                    raise ValueError(f"analysis.{key} lacks {domain}; each domain needs {what}")
            for name in self.domain(domain).people:
                if name not in self.methods:
                    raise ValueError(f"{domain}.people names {name!r}, which is not among the methods: {', '.join(self.methods)}")
        for domain, endpoint in self.analysis.endpoints.items():
            metrics = self.domain(domain).metrics
            for key in ("primary", "quality"):
                if (name := getattr(endpoint, key)) not in metrics:
                    raise ValueError(f"analysis.endpoints.{domain}.{key} is {name!r}, which is not among its metrics: {', '.join(metrics)}")
        for contrast in self.analysis.contrasts:
            for name in sorted({contrast.a, contrast.b} - set(self.methods) - set(BEST)):
                raise ValueError(f"analysis.contrasts names {name!r}, which is not among the methods: {', '.join(self.methods)}")
        for domain, plan in self.analysis.test.items():
            where = f"analysis.test.{domain}.systems"
            for name, system in plan.systems.items():
                if name not in self.methods:
                    raise ValueError(f"{where} names {name!r}, which is not among the methods: {', '.join(self.methods)}")
                if (self.methods[name].lam == "lambda") != (system.lam is not None):
                    raise ValueError(f"{where}.{name}: lam is {system.lam}; a number where methods.{name}.lam is lambda, none elsewhere")
        return self

    def runs(self, method: str, domain: str) -> bool:
        """Whether the grid has this method on this domain."""
        limited = self.methods[method].domains
        return limited is None or domain in limited

    def weights(self, domain: str) -> list[float]:
        """The grid of lambda in a domain: its own, and the headline's."""
        return list(dict.fromkeys([self.lam, *self.domain(domain).lambdas]))

    def cells(self, domain: str, split: str) -> list[Cell]:
        """Who runs on a split of a domain: on dev the grid, on test what was declared, on calibration those set beside people.

        Raises:
            UsageError: test, and nothing was declared for the domain.
        """
        if split == "test":
            plan = self.test_plan(domain)
            return [
                Cell(name, system.lam, tuple(plan.seeds[: system.seeds]), tuple(system.temperatures))
                for name, system in plan.systems.items()
            ]
        beside = self.domain(domain).people
        names = [name for name in self.methods if self.runs(name, domain)] if split == "dev" else [n for n in self.methods if n in beside]
        found = []
        for name in names:
            temperatures = self.temperatures(name, domain) if split == "dev" else [POLICY]
            for lam in self.weights(domain) if self.methods[name].lam == "lambda" else [None]:
                found.append(Cell(name, lam, tuple(self.seeds_of(name, lam)), tuple(temperatures)))
        return found

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
        if weight == "lambda" and lam is None and split != "test":
            raise UsageError(f"method {method!r} needs a weight: add --lam, such as --lam {self.lam}.")
        if weight != "lambda" and lam is not None:
            raise UsageError(f"method {method!r} takes no --lam: params.yaml sets methods.{method}.lam to {weight}. Leave the option out.")
        cells = self.cells(domain, split)
        for cell in cells:
            if cell.method == method and (cell.lam == lam or (split == "test" and lam is None)):
                return cell
        if split != "test" and (split == "dev" or method in self.domain(domain).people):
            temperatures = self.temperatures(method, domain) if split == "dev" else [POLICY]
            return Cell(method, lam, tuple(self.seeds_of(method, lam)), tuple(temperatures))
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

    def trains_like(self, method: str) -> str:
        """The first method whose training step is the same; two may differ in rate, number of steps, seeds, domains and decoding."""
        return next(name for name in self.methods if _training(self.methods[name], self.lam) == _training(self.methods[method], self.lam))

    def adapters(self, domain: str, cell: Cell) -> list[Adapter]:
        """What a system is trained as, once per seed; none for a prompted one. Systems that differ in decoding alone share theirs."""
        method = self.methods[cell.method]
        if method.adapter == "none":
            return []
        step = json.dumps(_training(method, cell.lam), sort_keys=True)
        return [Adapter(domain, step, method.budget, method.learning_rate, seed) for seed in cell.seeds]

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

    def endpoint(self, domain: str) -> Endpoint:
        return self.analysis.endpoints[domain]

    def domain(self, name: str) -> DomainParams:
        return getattr(self, name)


def read_yaml(path: str | os.PathLike = paths.PARAMS) -> dict[str, Any]:
    """The raw mapping (YAML 1.2: `1e-4` is a number). Raises UsageError with line and column."""
    path = Path(path)
    if not path.exists():
        raise UsageError(f"{path}: file not found. Run the command in the folder that holds params.yaml, or name one with --params.")
    try:
        values = YAML(typ="safe").load(path)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise UsageError(f"{where}: not YAML ({getattr(error, 'problem', error)}). Fix the line.") from None
    if not isinstance(values, dict):
        raise UsageError(f"{path}: holds a {type(values).__name__}, expected keys and values. Restore it with `git checkout {path}`.")
    return values


def load_params(path: str | os.PathLike = paths.PARAMS) -> Params:
    """Read and validate. Raises UsageError that lists every problem, a line each: key, what is wrong, what was got."""
    values = read_yaml(path)
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        problems = []
        for e in error.errors(include_url=False):
            key = ".".join(str(part) for part in e["loc"] if part not in ("float", "constrained-float")) or "(top level)"
            if e["type"] == "extra_forbidden":
                problems.append(f"  {key}: no such key (misspelt?)")
            elif e["type"] == "missing":
                problems.append(f"  {key}: missing")
            else:
                problems.append(f"  {key}: {e['msg'].removeprefix('Value error, ')} (got {_short(e['input'])})")
        remedy = "Fix these keys; each is explained by the comment above it in params.yaml."
        raise UsageError(f"{path}: {len(problems)} error(s):\n" + "\n".join(problems) + f"\n{remedy}") from None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
