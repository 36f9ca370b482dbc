"""compare.json and choices.json as typed objects: what the report stages read, checked before anything is written.

It computes no statistic; polychromic.compare did. Fields that the report does not print are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, FiniteFloat, ValidationError, model_validator

from polychromic.base import paths
from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import read_json
from polychromic.report import labels
from polychromic.report.choices import Choices, Difference, Frozen, Probability

BASELINES = ("zero_shot", "few_shot", "lora")  # params.yaml always has them
# What compare.json holds of one split alone.
PARTS = {"dev": ("selection", "profiles", "signatures", "histories"), "test": ("declared", "machines", "training")}


Model = TypeVar("Model", bound=BaseModel)
BASELINES = ("zero_shot", "few_shot", "lora")  # params.yaml always has them
# What compare.json holds of one split alone.
PARTS = {"dev": ("selection", "profiles", "signatures", "histories"), "test": ("declared", "machines", "training")}


class Estimate(Frozen):
    """Mean over seeds of the mean over prompts, with its bootstrap interval over prompts."""

    mean: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class System(Frozen):
    """One label at one temperature; `chosen` marks the temperature that dev selected."""

    label: str
    method: str
    lam: FiniteFloat | None = Field(alias="lambda")
    temperature: FiniteFloat
    chosen: bool
    seeds: list[int]
    n_prompts: int
    n_samples: int
    metrics: dict[str, Estimate]


class Contrast(Difference):
    """A paired difference a - b over prompts.

    `p_value` is the test's own: sign flips for rule "chosen", bootstrap for rule "matched", where b is read from its frontier
    over temperature and `clamped_share` of the resamples fell outside of it. `p_adjusted`: Holm's in the primary family, Benjamini
    and Hochberg's in the secondary one. `mde`: the difference that this test finds four times out of five. Effects and p-values that
    do not exist are null.
    """

    id: str
    a: str
    b: str
    a_temperature: FiniteFloat
    b_temperature: FiniteFloat
    metric: str
    rule: Literal["chosen", "matched", "policy"]
    family: Literal["primary", "secondary"]
    p_value: Probability
    p_adjusted: Probability | None
    p_wilcoxon: Probability | None
    p_mannwhitney: Probability | None
    d_z: FiniteFloat | None
    cliffs_delta: FiniteFloat | None
    mde: FiniteFloat
    n_prompts: int
    seeds: list[int]
    delta_by_seed: list[FiniteFloat]
    margin: FiniteFloat | None
    non_inferior: bool | None
    clamped_share: Probability | None = None

    @property
    def significant(self) -> bool:
        """The interval excludes zero and the adjusted p is below ALPHA; False where no adjusted p exists."""
        return self.p_adjusted is not None and self.p_adjusted < labels.ALPHA and (self.low > 0 or self.high < 0)


class Step(Frozen):
    """A step of training: means over seeds, None where the method does not have the quantity."""

    step: int
    objective_mean: FiniteFloat | None = None
    ce_mean: FiniteFloat | None = None


class Front(Frozen):
    """A label's frontier over temperature: the area of quality times primary metric that it dominates."""

    hypervolume: FiniteFloat


class About(Frozen):
    """A method's place among the others. ours: it is Polychromic LoRA, at whatever cost. trains_like: the method whose training step
    it has, `budget` times as many of them; these and `trained` are dev's."""

    ours: bool
    sees_checker: bool
    trained: bool = False
    budget: FiniteFloat = 1.0
    trains_like: str = ""


class Declared(Frozen):
    """A pair as it was declared, with the rule that its family is about."""

    a: str
    b: str
    family: Literal["primary", "secondary"]
    rule: Literal["matched", "chosen"]


class Training(Frozen):
    """What was trained for test: adapters, and their optimiser steps in all."""

    runs: int
    steps: int


class Compare(Frozen):
    """compare.json of dev or of test: systems with intervals, contrasts with tests, and the PARTS of its split."""

    domain: str
    split: Literal["dev", "test"]
    primary: str
    quality: str
    headline: str
    methods: dict[str, About]
    systems: list[System]
    frontiers: dict[str, Front]
    contrasts: list[Contrast]
    selection: Choices | None = None
    profiles: dict[str, dict[str, list[list[FiniteFloat]]]] | None = None  # label -> metric -> (S, P)
    calibration: dict[str, FiniteFloat] | None = None
    signatures: dict[str, str] | None = None
    histories: dict[str, list[Step]] | None = None
    declared: list[Declared] | None = None
    machines: dict[str, list[str]] | None = None  # what computed the samples -> the systems
    training: Training | None = None

    @model_validator(mode="after")
    def _parts(self) -> Compare:
        if missing := [part for part in PARTS[self.split] if getattr(self, part) is None]:
            raise ValueError(f"{', '.join(missing)} missing, which {self.split} has")
        if missing := sorted({s.method for s in self.systems} - set(self.methods)):
            raise ValueError(f"scores of {', '.join(missing)}, which its methods lack")
        return self

    @property
    def path(self) -> str:
        """Where it lies in a workspace."""
        return paths.compare_file(self.domain, self.split).as_posix()

    def chosen(self, label: str) -> System:
        """The system of `label` at its chosen temperature."""
        found = [s for s in self.systems if s.label == label and s.chosen]
        if len(found) != 1:
            raise PolychromicError(f"{self.path}: {len(found)} chosen rows of {label!r}. Allowed: one. Make it again with `dvc repro`.")
        return found[0]

    def by_temperature(self, label: str) -> list[System]:
        """Every system of `label`, temperature ascending."""
        return sorted((s for s in self.systems if s.label == label), key=lambda s: s.temperature)

    def front(self, label: str) -> list[System]:
        """The systems of `label` that a match at equal quality interpolates, by temperature: on test all, which were declared."""
        rows = self.by_temperature(label)
        return rows if self.selection is None else [s for s in rows if s.temperature in self.selection.fronts[label]]

    def all_labels(self) -> list[str]:
        """Labels in printed order: methods by labels.rank, then λ ascending, the headline last of its method."""
        present = {s.label: s.lam for s in self.systems}
        return sorted(present, key=lambda name: (labels.rank(labels.method_of(name)), "@" not in name, present[name] or 0.0))

    def method_labels(self) -> list[str]:
        """One label per method: the ablation's other λ are left out."""
        return [label for label in self.all_labels() if "@" not in label]

    def main_labels(self) -> list[str]:
        """What the main tables and figures show: the baselines, the headline, and the best peer of each kind on dev, or on test the
        systems that the headline is compared with in the primary family."""
        if self.selection is not None:
            peers = set(self.selection.best.values())
        else:
            peers = {one.b for one in self.declared if (one.a, one.family) == (self.headline, "primary")}
        return [label for label in self.method_labels() if label in {*BASELINES, self.headline, *peers}]

    def grouped_labels(self) -> list[tuple[str, list[str]]]:
        """(group, labels) of all methods: peers without the checker, peers with it, ours; groups without a method left out."""
        groups: dict[str, list[str]] = {"Without the checker": [], "With the checker": [], "Polychromic LoRA": []}
        for label in self.method_labels():
            about = self.methods[label]
            groups["Polychromic LoRA" if about.ours else "With the checker" if about.sees_checker else "Without the checker"].append(label)
        return [(name, members) for name, members in groups.items() if members]

    def contrast(self, a: str, b: str, metric: str, rules: Iterable[str]) -> Contrast:
        """The first contrast a - b on `metric` in the order of `rules`; PolychromicError when there is none."""
        for rule in rules:
            for contrast in self.contrasts:
                if (contrast.a, contrast.b, contrast.metric, contrast.rule) == (a, b, metric, rule):
                    return contrast
        raise PolychromicError(
            f"{self.path}: no contrast of {a!r} against {b!r} on {metric!r}. The paper needs it: declare it in params.yaml under analysis."
        )

    def lambda_rows(self) -> list[System]:
        """The λ ablation at one temperature: `lora` as λ = 0, then the headline method's grid, λ ascending.

        The temperature is the headline's chosen one or, where a cell was not sampled at it, the nearest that all cells share.

        Raises:
            PolychromicError: the cells share no temperature.
        """
        method = labels.method_of(self.headline)
        names = ["lora", *(label for label in self.all_labels() if labels.method_of(label) == method)]
        by_cell = {(s.label, s.temperature): s for s in self.systems}
        shared = set.intersection(*({s.temperature for s in self.systems if s.label == name} for name in names))
        if not shared:
            raise PolychromicError(f"{self.path}: {', '.join(names)} share no temperature. The λ ablation needs one; see params.yaml.")
        wanted = self.chosen(self.headline).temperature
        temperature = min(sorted(shared), key=lambda value: abs(value - wanted))
        return sorted((by_cell[name, temperature] for name in names), key=lambda s: 0.0 if s.label == "lora" else (s.lam or 0.0))


def place(results: Path, path: Path) -> Path:
    """A path of polychromic.base.paths where the results lie in the folder `results`."""
    return results / path.relative_to(paths.RESULTS)


def load(domain: str, split: str, results: Path) -> Compare:
    """Read and check the domain's compare.json of dev or test, on dev against the choices.json beside it.

    Raises:
        PolychromicError: a file is missing, or the two are not of one run.
        DataError: it is of another split or domain, or a field is missing or of the wrong type (each one named).
    """
    path = place(results, paths.compare_file(domain, split))
    document = read_json(path)
    compare = checked(Compare, document, path)
    if (compare.domain, compare.split) != (domain, split):
        raise DataError(str(path), f"{compare.split} of {compare.domain}", f"{split} of {domain}", "Make it again with `dvc repro`.")
    if split == "dev" and document["selection"] != read_json(place(results, paths.choices_file(domain))):
        raise PolychromicError(
            f"{path} was not made from the choices.json beside it. Both must come from one run; `dvc repro` makes them again."
        )
    return compare


def parse(model: type[Model], path: Path) -> Model:
    """The file as a `model`. Raises DataError that names each field that is missing or wrong."""
    return checked(model, read_json(path), path)


def checked(model: type[Model], document: Any, path: Path) -> Model:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors(include_url=False)[:5])
        raise DataError(
            str(path), problems, f"the fields of {model.__name__} ({model.__module__})", "Make it again with `dvc repro`."
        ) from None
