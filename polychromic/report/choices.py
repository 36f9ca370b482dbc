"""choices.json as a typed object: what dev chose, and what the choice was made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

Probability = Annotated[FiniteFloat, Field(ge=0, le=1)]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Difference(Frozen):
    """Paired, with its interval over prompts."""

    delta: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class Weight(Frozen):
    """A row of the grid of λ on dev: `validation_ce` in nats per token, `kl_to_base` in nats per reply, D at temperature 1."""

    lam: FiniteFloat = Field(alias="lambda")
    label: str
    validation_ce: FiniteFloat
    kl_to_base: FiniteFloat
    reply_tokens: FiniteFloat
    objective: FiniteFloat | None
    by_seed: dict[str, list[FiniteFloat]]


class Trend(Frozen):
    """Page's test that D rises with λ: prompts as blocks, one-sided."""

    levels: list[FiniteFloat]
    means: list[FiniteFloat]
    page_l: FiniteFloat
    p: Probability
    n_prompts: int


class AgainstLora(Frozen):
    """A weight of D and LoRA at one temperature on dev: "quality", which training sees, and metrics that it does not see."""

    label: str
    lam: FiniteFloat = Field(alias="lambda")
    temperature: FiniteFloat
    n_prompts: int
    metrics: dict[str, Difference]


class Grid(Frozen):
    """What dev says about λ; `recommended` is the largest within `ce_margin` of LoRA's validation cross-entropy. gaming: None where
    training sees the evaluation's own quality."""

    rows: list[Weight]
    headline: FiniteFloat
    ce_margin: FiniteFloat
    recommended: FiniteFloat
    trend: Trend | None
    gaming: list[AgainstLora] | None = None


class Try(Frozen):
    """A system that was scored on dev: means over seeds and prompts."""

    method: str
    lam: FiniteFloat | None = Field(alias="lambda")
    temperature: FiniteFloat
    seeds: list[int]
    quality: FiniteFloat
    primary: FiniteFloat
    objective: FiniteFloat


class Choices(Frozen):
    """choices.json, what dev chose, which dev's compare.json repeats as `selection`. best: role → peer, null where none has the role."""

    fronts: dict[str, list[FiniteFloat]]
    best: dict[str, str | None]
    grid: Grid = Field(alias="lambda")
    tries: list[Try]
