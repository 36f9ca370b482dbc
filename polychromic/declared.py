"""The `analysis:` section of params.yaml as frozen typed objects, and what all sections are built of.

It declares what is claimed and how it is tested: on dev, where choices are made, and, per domain, what test is opened for.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from polychromic.data.domains import domain_names

Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Precision = Literal["float32", "bfloat16"]
BaselineName = Literal["marginal", "others", "running", "mix", "leave_one_out", "set"]
DomainName = Literal[tuple(domain_names())]


def distinct(values: list) -> list:
    if len(set(values)) != len(values):
        raise ValueError("the list names a value twice")
    return values


def List(item: Any) -> Any:  # noqa: N802 - reads as a type
    return Annotated[list[item], Field(min_length=1), AfterValidator(distinct)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False)


BEST = ("best_without_checker", "best_with_checker")
ALWAYS = ("zero_shot", "few_shot", "lora", "polychromic")  # the four baselines, among the methods and on test


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

    lam: Annotated[float, Field(ge=0)] | None = None
    seeds: Count
    temperatures: List(Annotated[float, Field(ge=0)])


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
