"""The sections of params.yaml as frozen types: what each key may be. polychromic.params puts them together.

A mistake within a section is told here, one between sections in Params.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from polychromic.data.domains import domain_names
from polychromic.method.advantages import BASELINES
from polychromic.method.losses import LOSSES, check_loss
from polychromic.method.objective import OBJECTIVES, SUBSET_OBJECTIVES

POLICY = 1.0  # temperature of training's rollouts, at which D is what lambda multiplies
ALWAYS = ("zero_shot", "few_shot", "lora", "polychromic")  # the four baselines, among the methods and on test
HEADLINE = "polychromic"
BEST = ("best_without_checker", "best_with_checker")  # roles of peers in contrasts, filled on dev

Share = Annotated[float, Field(gt=0, le=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]  # of D, of decay, of an adapter; a temperature, too
Count = Annotated[int, Field(ge=1)]
Pair = Annotated[int, Field(ge=2)]  # as many or more
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Precision = Literal["float32", "bfloat16"]
BaselineName = Literal[tuple(BASELINES)]
DomainName = Literal[tuple(domain_names())]


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
    temperatures: List(Weight)
    lambdas: List(Weight)
    people: List(str, 0) = []
    metrics: List(str)


class SelfTraining(Section):
    after: Inside


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
    self_training: SelfTraining | None = None
    budget: Positive = 1.0
    learning_rate: Positive | None = None  # None: that of `train`
    scale: Weight = 1.0
    min_p: Annotated[float, Field(ge=0, lt=1)] = 0.0
    temperatures: dict[DomainName, List(Weight)] = {}  # of a domain that is not named: the domain's
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
        if self.objective == "none" and (wrong := [key for key in declared if key in ("rollouts", "subset", "baseline")]):
            raise ValueError(f"{', '.join(wrong)}: only for methods with an objective, and this one has none")
        check_loss(self.loss, self.settings)
        return self


OF_TRAINING = ("objective", "loss", "self_training", "targets", "budget", "learning_rate", "scale")
APART = {"budget", "learning_rate", "scale", "min_p", "temperatures", "seeds", "grid_seeds", "domains"}  # of methods that train alike


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
    temperatures: List(Weight)


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
        pairs = Counter(f"{contrast.a} - {contrast.b}" for contrast in self.contrasts)
        if twice := sorted(pair for pair, count in pairs.items() if count > 1):
            raise ValueError(f"contrasts names {', '.join(twice)} twice; a pair is tested once, in one family")
        known("contrasts", (name for contrast in self.contrasts for name in (contrast.a, contrast.b)), self.systems, "its systems")
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
