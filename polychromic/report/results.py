"""The documents that the report reads: compare.json of a split, and what was measured once and is committed in benchmarks/results/.

Fields are documented where they are computed: polychromic.compare (systems.System, stats.MeanCI, stats.Contrast, choose), benchmarks/.
No statistic is computed here. `make bench` and `make calibration` write benchmarks/results/, which the pipeline only reads, since a
time depends on the machine: a ratio is a mean step's seconds over that of another trainer, measured side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polychromic.base import paths
from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import read_object
from polychromic.report import labels

BASELINES = ("zero_shot", "few_shot", "lora")  # params.yaml always has them
BENCHMARKS = Path("benchmarks/results")


class Fields(dict):
    """A JSON object whose fields are attributes, too; "lambda", a word of Python, is `lam`.

    What it lacks is a DataError with the file and the place in it. place: where it is from, "results/listqa/dev/compare.json#systems.3".
    """

    def __init__(self, values: Mapping[str, Any], place: str):
        mark = "." if "#" in place else "#"
        super().__init__({key: _placed(value, f"{place}{mark}{key}") for key, value in values.items()})
        self.place = place

    def __missing__(self, key: str) -> Any:
        remedy = "Make it again with `dvc repro`, a file of benchmarks/ with `make bench`."
        raise DataError(self.place, f"no {key!r}", ", ".join(sorted(self)[:20]), remedy)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self["lambda" if name == "lam" else name]


def _placed(value: Any, place: str) -> Any:
    if isinstance(value, list):
        return [_placed(item, f"{place}.{number}") if isinstance(item, dict | list) else item for number, item in enumerate(value)]
    return Fields(value, place) if isinstance(value, dict) else value


class Compare(Fields):
    """compare.json of dev or of test: systems with intervals over prompts, contrasts with tests. dev's repeats choices.json as
    `selection` and has `profiles` and `histories`; test's has what was `declared`, its `machines` and its `training`."""

    @property
    def domain_name(self) -> str:
        return labels.DOMAINS.get(self.domain, self.domain)

    def chosen(self, label: str) -> Fields:
        """The system of `label` at the temperature that dev chose."""
        return next(s for s in self.systems if s.label == label and s.chosen)

    def by_temperature(self, label: str) -> list[Fields]:
        """Every system of `label`, temperature ascending."""
        return sorted((s for s in self.systems if s.label == label), key=lambda s: s.temperature)

    def front(self, label: str) -> list[Fields]:
        """The systems of `label` that a match at equal quality interpolates, by temperature: on test all, which were declared."""
        return [s for s in self.by_temperature(label) if self.split == "test" or s.temperature in self.selection.fronts[label]]

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
        if self.split == "dev":
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

    def find(self, a: str, b: str, metric: str, *rules: str) -> Fields | None:
        """The contrast a - b on `metric` under the first of the rules that it was made under; None where it was not."""
        by_rule = {c.rule: c for c in self.contrasts if (c.a, c.b, c.metric) == (a, b, metric)}
        return next((by_rule[rule] for rule in rules if rule in by_rule), None)

    def contrast(self, a: str, b: str, metric: str, *rules: str) -> Fields:
        """As `find`; raises PolychromicError where there is none."""
        if found := self.find(a, b, metric, *rules):
            return found
        needed = f"no contrast of {a!r} against {b!r} on {metric!r}"
        raise PolychromicError(f"{self.place}: {needed}. The paper needs it: declare it in params.yaml under analysis.")

    def gain(self) -> Fields:
        """The headline against LoRA: the primary metric at matched quality."""
        return self.contrast(self.headline, "lora", self.primary, "matched")

    def lambda_rows(self) -> list[Fields]:
        """The λ ablation at one temperature: `lora` as λ = 0, then the headline method's grid, λ ascending.

        The temperature is the headline's chosen one or, where a cell was not sampled at it, the nearest that all cells share.
        """
        method = labels.method_of(self.headline)
        names = ["lora", *(label for label in self.all_labels() if labels.method_of(label) == method)]
        by_cell = {(s.label, s.temperature): s for s in self.systems}
        shared = set.intersection(*({s.temperature for s in self.by_temperature(name)} for name in names))
        wanted = self.chosen(self.headline).temperature
        temperature = min(sorted(shared), key=lambda value: abs(value - wanted))
        return sorted((by_cell[name, temperature] for name in names), key=weight)


def weight(system: Fields) -> float:
    """λ, 0 for LoRA."""
    return system.lam or 0.0


def significant(contrast: Fields) -> bool:
    """The interval excludes zero and the adjusted p is below ALPHA; False where no adjusted p exists."""
    return contrast.p_adjusted is not None and contrast.p_adjusted < labels.ALPHA and (contrast.low > 0 or contrast.high < 0)


def load(domain: str, split: str, results: Path = paths.RESULTS) -> Compare | Fields:
    """The domain's compare.json, a Compare of dev and of test; calibration's is about drafts beside people, on the messages that many
    people answered. Raises PolychromicError where it is missing."""
    path = results / paths.compare_file(domain, split).relative_to(paths.RESULTS)
    return (Fields if split == "calibration" else Compare)(read_object(path), path.as_posix())


def measured(name: str, folder: Path = BENCHMARKS) -> Fields:
    """FOLDER/NAME.json. Raises PolychromicError, which names the command that makes it, where it is missing."""
    path = folder / f"{name}.json"
    if not path.exists():
        what, command = ("check of its intervals", "make calibration") if name == "calibration" else ("costs", "make bench")
        raise PolychromicError(f"{path}: file not found. The paper's {what} come from it; run `{command}`, which measures them.")
    return Fields(read_object(path), path.as_posix())


def step_cost(domain: str, needed: bool = True) -> Fields | None:
    """What a training step of the domain takes, by variant: `plain` is transformers.Trainer with PEFT, `lora` this package's trainer.
    needed: False gives None where it was not measured."""
    name = f"step_cost-{domain}"
    return measured(name) if needed or (BENCHMARKS / f"{name}.json").exists() else None


def training_cost(cost: Fields, about: Fields) -> float | None:
    """Training cost relative to `lora` of a method of compare.json, which has the training step of `trains_like`, `budget` times as many of
    them; None where it was not measured or does not train."""
    variant = cost.variants.get(about.trains_like)
    return variant.ratio_to_lora * about.budget if variant and about.trained else None
