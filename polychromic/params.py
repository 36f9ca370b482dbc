"""params.yaml as frozen typed objects. Every error is reported at once, with its key, what was got and what is allowed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, ValidationError, model_validator
from ruamel.yaml import YAML, YAMLError

from polychromic import declared
from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.data.domains import domain_names
from polychromic.declared import ALWAYS, BEST, Analysis, BaselineName, Count, DomainName, List, Positive, Precision, Section, Seed, Share
from polychromic.method.advantages import check_baseline
from polychromic.method.losses import check_loss
from polychromic.method.objective import make_objective
from polychromic.models.weights import Source
from polychromic.score.catalogue import metric


class Sizes(Section):
    train: Count
    dev: Count
    test: Count


class Rollouts(Section):
    share: Share = 1.0
    every: Count = 1
    reuse: Count = 1
    correction: Literal["set", "reply", "none"] = "set"

    @model_validator(mode="after")
    def _one_saving(self) -> Rollouts:
        if self.every > 1 and self.reuse > 1:
            raise ValueError("every and reuse are both above 1; choose rollouts at every m-th step or rollouts that serve K steps")
        return self


class DomainParams(Section):
    """One section per domain, named like it."""

    sizes: Sizes
    steps: Count
    rollouts: Rollouts
    pool_samples: Annotated[int, Field(ge=2)]
    max_new_tokens: Annotated[int, Field(ge=2)]
    temperatures: List(Annotated[float, Field(ge=0)])
    metrics: List(str)

    @model_validator(mode="after")
    def _metrics_named(self) -> DomainParams:
        for name in self.metrics:
            try:
                declared = metric(name)
            except UsageError as error:
                raise ValueError(f"metrics: {error}") from None
            if declared.family == "objective":
                raise ValueError("metrics: objective is always computed; leave it out")
        return self


class SelfTrainingParams(Section):
    after: Annotated[float, Field(gt=0, lt=1)]


class Method(Section):
    """A quality loss and a set objective on a prompt variant; how its samples are decoded; where the grid has it."""

    prompt: str
    adapter: Literal["none", "lora"]
    loss: Literal["ce", "label_smoothing", "entropy", "gem", "tofu", "deviation"] = "ce"
    settings: dict[str, float] = {}
    targets: Literal["references", "valid"] = "references"
    objective: Literal["none", "coverage", "plain", "gated", "reward", "passk", "poly_epo"] = "none"
    subset: Count | None = None
    baseline: BaselineName | None = None  # None: that of `objective`
    similarity: Literal["domain", "exact", "semantic"] = "domain"
    lam: Annotated[float, Field(ge=0)] | Literal["lambda"] | None = None
    rollouts: Rollouts | None = None  # None: the domain's
    self_training: SelfTrainingParams | None = None
    budget: Positive = 1.0
    learning_rate: Positive | None = None  # None: that of `train`
    scale: Annotated[float, Field(ge=0)] = 1.0
    min_p: Annotated[float, Field(ge=0, lt=1)] = 0.0
    temperatures: dict[DomainName, List(Annotated[float, Field(ge=0)])] = {}  # of a domain that is not named: the domain's
    seeds: Count | None = None  # how many of the seeds, None: all
    grid_seeds: dict[Annotated[float, Field(ge=0, strict=False)], Count] = {}  # the same of single weights, where `lam` is the grid's
    domains: Annotated[list[DomainName], AfterValidator(declared.distinct)] | None = None  # None: all; []: declared, and in no grid

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


# What two methods with the same training step may differ in.
APART = {"budget", "learning_rate", "scale", "min_p", "temperatures", "seeds", "grid_seeds", "domains"}


def _training(method: Method, lam: float | None) -> dict[str, Any]:
    """What a method's training step depends on, at the weight `lam` where params.yaml says lambda."""
    fields = method.model_dump(exclude=APART)
    return fields | {"lam": lam if fields["lam"] == "lambda" else fields["lam"]}


class Adapter(NamedTuple):
    """What tells one trained adapter from another, on dev or on test. step: what the training step depends on, as JSON."""

    domain: str
    step: str
    budget: float
    learning_rate: float | None
    seed: int


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

    def seeds_of(self, method: str, lam: float | None = None) -> list[int]:
        """The seeds that a method, at a weight of the grid, runs with. One without an adapter differs between seeds by its draws alone:
        one says all there is."""
        chosen = self.methods[method]
        return self.seeds[: 1 if chosen.adapter == "none" else chosen.grid_seeds.get(lam, chosen.seeds)]

    def temperatures(self, method: str, domain: str) -> list[float]:
        """At which a method's samples are drawn."""
        return self.methods[method].temperatures.get(domain, self.domain(domain).temperatures)

    def trains_like(self, method: str) -> str:
        """The first method whose training step is the same; two may differ in rate, number of steps, seeds, domains and decoding."""

        return next(name for name in self.methods if _training(self.methods[name], self.lam) == _training(self.methods[method], self.lam))

    def test_plan(self, domain: str) -> declared.TestPlan:
        """What test is opened for. Raises UsageError where nothing was declared."""
        if domain not in self.analysis.test:
            allowed = ", ".join(self.analysis.test) or "none"
            raise UsageError(f"params.yaml: analysis.test has no {domain!r}. Declared: {allowed}. Declare its systems and contrasts first.")
        return self.analysis.test[domain]

    def adapters(self, domain: str, name: str) -> list[Adapter]:
        """What a system on test is trained as, once per seed; none for a prompted one. Systems that differ in decoding share theirs."""
        plan = self.test_plan(domain)
        return self.trained(domain, name, plan.systems[name].lam, plan.seeds[: plan.systems[name].seeds])

    def trained(self, domain: str, name: str, lam: float | None, seeds: list[int]) -> list[Adapter]:
        """What a method is trained as at a weight of D (`lam`, where params.yaml says lambda), once per seed; none for a prompted one."""
        method = self.methods[name]
        if method.adapter == "none":
            return []
        step = json.dumps(_training(method, lam), sort_keys=True)
        return [Adapter(domain, step, method.budget, method.learning_rate, seed) for seed in seeds]

    def for_test(self, domain: str) -> Params:
        """As test of the domain is sampled and scored: in the precision that its plan declares. Raises as test_plan."""
        precision = self.test_plan(domain).precision
        changed = {} if precision is None else {"precision": precision}
        sections = {"train": self.train.model_copy(update=changed), "sampling": self.sampling.model_copy(update=changed)}
        return self.model_copy(update=sections)

    def endpoint(self, domain: str) -> declared.Endpoint:
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
