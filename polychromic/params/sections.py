"""The sections of params.yaml as frozen types: what each key may be. polychromic.params puts them together.

A mistake within a section is told here, one between sections in Params.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from polychromic.data.domains import domain_names
from polychromic.method.advantages import BASELINES, OWN
from polychromic.method.losses import LOSSES, check_loss
from polychromic.method.objective import OBJECTIVES, SUBSET_OBJECTIVES

POLICY = 1.0  # temperature of training's rollouts, at which D is what lambda multiplies
ALWAYS = ("zero_shot", "few_shot", "lora", "polychromic")  # the four baselines, among the methods and on test
HEADLINE = "polychromic"
FRONT = 6  # temperatures that a front is made of, at least
BEST = ("best_without_checker", "best_with_checker")  # roles of peers in contrasts, filled on dev

Share = Annotated[float, Field(gt=0, le=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]  # of D, of decay, of an adapter
Count = Annotated[int, Field(ge=1)]
Pair = Annotated[int, Field(ge=2)]  # as many or more
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Precision = Literal["float32", "bfloat16"]
TRACKERS = ("none", "jsonl", "wandb", "tensorboard", "trackio", "mlflow")
BaselineName = Literal[(*BASELINES, OWN)]
DomainName = Literal[tuple(domain_names())]


def sampling_temperature(value: float) -> float:
    """The value. Raises ValueError: it is below 0 or not finite."""
    if not 0 <= value < math.inf:
        raise ValueError("a sampling temperature is a finite number of 0 or more; 0 takes the likeliest token")
    return value


Temperature = Annotated[float, Field(allow_inf_nan=True), AfterValidator(sampling_temperature)]


def distinct(values: list) -> list:
    if len(set(values)) != len(values):
        raise ValueError("the list names a value twice")
    return values


def List(item: Any, least: int = 1) -> Any:  # noqa: N802 - reads as a type
    return Annotated[list[item], Field(min_length=least), AfterValidator(distinct)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False)


def has_baselines(where: str, names: Iterable[str]) -> None:
    if missing := sorted(set(ALWAYS) - set(names)):
        raise ValueError(f"{where} lacks {', '.join(missing)}; the four baselines are always there")


def known(where: str, names: Iterable[str], allowed: Iterable[str], what: str) -> None:
    if unknown := sorted(set(names) - set(allowed)):
        raise ValueError(f"{where} names {', '.join(map(repr, unknown))}, not among {what}: {', '.join(allowed)}")


class Sizes(Section):
    train: Count
    dev: Count
    test: Count
    unlabelled: Annotated[int, Field(ge=0)] = 0  # prompts beside those of train, for methods that say so


class Rollouts(Section):
    share: Share = 1.0
    every: Count = 1


class DomainParams(Section):
    """One section per domain, named like it."""

    sizes: Sizes
    steps: Count
    rollouts: Rollouts
    pool_samples: Pair
    max_new_tokens: Pair
    temperatures: List(Temperature)
    lambdas: List(Weight)
    people: List(str, 0) = []
    metrics: List(str)


class SelfTraining(Section):
    after: Inside
    rounds: Count = 1  # at equal shares of what the budget leaves after the first steps
    spend: Inside | None = None  # how much of such a share pays for sampling; None: one round, of all prompts


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
    after: Weight = 0.0  # of an objective: warm-up of pure L_quality, as a share of the domain's steps
    rate: Share = 1.0  # of an objective: times the learning rate from the first rollout on
    clip: Positive | None = None  # norm at which D's gradient is clipped apart; None: together with L_quality's
    self_training: SelfTraining | None = None
    unlabelled: bool = False  # rollouts and the pool also have the domain's prompts without a reference (sizes.unlabelled), if it has any
    budget: Positive = 1.0  # times the domain's steps
    cost: Positive | None = None  # times the FLOPs of LoRA's steps in the domain: ends training in place of a number of steps
    learning_rate: Positive | None = None  # None: that of `train`
    scale: Weight = 1.0
    min_p: Annotated[float, Field(ge=0, lt=1)] = 0.0
    temperatures: dict[DomainName, List(Temperature)] = {}  # of a domain that is not named: the domain's
    seeds: Count | None = None  # how many of the seeds, None: all
    grid_seeds: dict[Annotated[float, Field(ge=0, strict=False)], Count] = {}  # the same of single weights, where `lam` is the grid's
    domains: List(DomainName, 0) | None = None  # None: all; []: declared, and in no grid

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
        declared = [key for key, field in type(self).model_fields.items() if getattr(self, key) != field.default]
        if self.adapter == "none" and (wrong := [key for key in declared if key in OF_TRAINING]):
            raise ValueError(f"{', '.join(wrong)} needs adapter: lora")
        if (self.objective == "none") != (self.lam is None):
            raise ValueError("lam (a number, or the word lambda for the top-level value) belongs to methods with an objective")
        if self.grid_seeds and self.lam != "lambda":
            raise ValueError("grid_seeds is for a method with lam: lambda, whose weights it names; use seeds for any other")
        of_objective = ("rollouts", "subset", "baseline", "after", "rate", "clip")
        if self.objective == "none" and (wrong := [key for key in declared if key in of_objective]):
            raise ValueError(f"{', '.join(wrong)}: only for methods with an objective, and this one has none")
        if self.unlabelled and not (self.self_training if self.objective == "none" else self.clip):
            raise ValueError("unlabelled needs clip, at which D's gradient is taken apart, or self_training without an objective")
        if (pool := self.self_training) and (pool.rounds > 1 or pool.spend) and not self.cost:
            raise ValueError("self_training.rounds and self_training.spend are shares of a budget in FLOPs: add cost")
        if pool and pool.rounds > 1 and not pool.spend:
            raise ValueError("several rounds of self_training share a budget: add self_training.spend")
        check_loss(self.loss, self.settings)
        return self


OF_TRAINING = ("objective", "loss", "self_training", "unlabelled", "targets", "budget", "cost", "learning_rate", "scale")
GRID = {"temperatures", "seeds", "grid_seeds", "domains"}  # where the grid has a method
APART = GRID | {"budget", "cost", "learning_rate", "scale", "min_p"}  # in what methods whose steps are alike may differ


class Split(Section):
    seed: Seed
    tolerance: Share


class Lora(Section):
    rank: Count
    alpha: Positive
    target_modules: List(str)


class Train(Section):
    batch_size: Pair
    learning_rate: Positive
    warmup_steps: Annotated[int, Field(ge=0)]
    schedule: Literal["linear", "cosine", "constant"]
    weight_decay: Weight
    max_grad_norm: Positive
    eval_every: Count
    checkpoint_every: Count
    kl_samples: Count
    precision: Precision
    report_to: Literal[TRACKERS] = "none"  # no part of a run's identity: what is trained is the same


class Objective(Section):
    n: Pair
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

    rule: what the family is about, the primary metric along the two fronts or with each side at its chosen temperature; the other
    is computed too, and secondary. stratum: of prompts in strata that begin so alone, apart from the rest and secondary.
    """

    a: str
    b: str
    family: Literal["primary", "secondary"]
    rule: Literal["front", "chosen"] = "front"
    stratum: Annotated[str, Field(min_length=1)] | None = None

    @property
    def name(self) -> str:
        return f"{self.a} - {self.b}" + (f" on {self.stratum}" if self.stratum else "")

    @model_validator(mode="after")
    def _apart(self) -> ContrastParams:
        if self.stratum and self.family == "primary":
            raise ValueError(f"{self.name} is primary; a contrast on some strata is secondary, as the primary family is about all prompts")
        return self


class Endpoint(Section):
    """Metrics of a domain: the one that the method claims to raise, and the one that must not suffer."""

    primary: str
    quality: str


class Opened(Section):
    """A system on test: its adapters at `lam`, where the method has a grid; with the first `seeds` of the domain's test seeds.

    temperatures: all that are sampled, the one that dev chose first; FRONT or more where a contrast is about its front.
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
        has_baselines("systems", self.systems)
        for name, system in self.systems.items():
            if system.seeds > len(self.seeds):
                raise ValueError(f"systems.{name}.seeds is {system.seeds}; the section declares {len(self.seeds)} seeds")
        known("contrasts", (name for contrast in self.contrasts for name in (contrast.a, contrast.b)), self.systems, "its systems")
        if twice := sorted(name for name, count in Counter(contrast.name for contrast in self.contrasts).items() if count > 1):
            raise ValueError(f"contrasts names {', '.join(twice)} twice; a pair is tested once, in one family")
        for contrast in self.contrasts:
            for name in (contrast.a, contrast.b):
                system = self.systems[name]
                if contrast.family == "primary" and system.seeds < 2:
                    raise ValueError(f"systems.{name}.seeds is 1; the primary contrast {contrast.name} needs 2 or more: seeds are random")
                if contrast.rule == "front" and len(system.temperatures) < FRONT:
                    got = f"systems.{name}.temperatures has {len(system.temperatures)}"
                    raise ValueError(f"{got}; {contrast.name} compares fronts, which need {FRONT} or more, or has rule: chosen")
        return self


class Bounds(Section):
    """How far a weight of D may go from LoRA to be recommended. ce: validation cross-entropy above it, nats per token; gap: of training's
    and the held-out judge's opinion above LoRA's gap, quality: of the quality metric below LoRA's; both shares."""

    ce: Positive
    gap: Positive
    quality: Positive


class Analysis(Section):
    """opening: which look at test it is about, each at prompts of its own and sealed by itself (polychromic.data.seal)."""

    opening: Count
    seed: Seed
    confidence: Annotated[float, Field(gt=0.5, lt=1)]
    bootstrap: Annotated[int, Field(ge=200)]
    resamples: Annotated[int, Field(ge=200)]
    permutations: Annotated[int, Field(ge=200)]
    estimand: Literal["random_seeds"]
    clusters: List(DomainName, 0)
    endpoints: dict[DomainName, Endpoint]
    least: Inside
    margin: Share
    bounds: Bounds
    contrasts: Annotated[list[ContrastParams], Field(min_length=1)]
    test: dict[DomainName, TestPlan]


class Judge(Section):
    """Who compares replies on test, what is asked, and for how much.

    Attributes:
        models: whoever is not a person; the first one's verdicts are the result, the others' say how far two judges agree.
        prompts: of a domain, at most; drawn with `seed`, which also draws replies and orders. seeds: training seeds of a system, the first.
        sets: replies of a set. repeats: questions that are asked once more. budget: dollars per model.
        pairs: domain -> "a - b", two systems of analysis.test.
    """

    models: List(str)
    seed: Seed
    prompts: Count
    seeds: Count
    sets: Pair
    repeats: Annotated[int, Field(ge=0)]
    budget: Positive
    pairs: dict[DomainName, List(Annotated[str, Field(pattern=r"^\w+ - \w+$")], 0)]

    def of(self, domain: str) -> list[tuple[str, str]]:
        """The pairs of a domain."""
        return [tuple(pair.split(" - ")) for pair in self.pairs.get(domain, [])]
