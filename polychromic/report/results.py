"""The documents that the report reads: compare.json of a split, and what was measured once and is committed in benchmarks/results/.

Fields are documented where they are computed: polychromic.compare.compare, benchmarks/.
No statistic is computed here. `make bench` and `python -m benchmarks.fronts` write benchmarks/results/, which the pipeline only
reads, since a time depends on the machine: a ratio is a mean step's seconds over that of another trainer, measured side by side.
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
    """compare.json of dev or of test; polychromic.compare.compare says what it holds."""

    @property
    def domain_name(self) -> str:
        return labels.DOMAINS.get(self.domain, self.domain)

    def chosen_system(self, label: str) -> Fields:
        """The system of `label` at the temperature that dev chose."""
        return next(s for s in self.systems if s.label == label and s.chosen)

    def at(self, label: str, temperature: float) -> Fields | None:
        return next((s for s in self.systems if (s.label, s.temperature) == (label, temperature)), None)

    def labels(self) -> list[str]:
        """One per method, in printed order; the other weights of the grid are left out."""
        return sorted((label for label in self.chosen if "@" not in label), key=labels.rank)

    def main_labels(self) -> list[str]:
        """What figures show in colour: the baselines, the headline, whatever the primary family compares, and dev's best peers."""
        primary = {c[side] for c in self.contrasts for side in "ab" if c.family == "primary"}
        best = {c[side] for c in self.contrasts for side in "ab" if c[f"{side}_role"]}
        return [label for label in self.labels() if label in {*BASELINES, self.headline, *primary, *best}]

    def grouped_labels(self) -> list[tuple[str, list[str]]]:
        """(group, labels) of all methods: peers without the checker, peers with it, ours; groups without a method left out."""
        groups: dict[str, list[str]] = {"Without the checker": [], "With the checker": [], "Polychromic LoRA": []}
        for label in self.labels():
            about = self.methods[label]
            groups["Polychromic LoRA" if about.ours else "With the checker" if about.sees_checker else "Without the checker"].append(label)
        return [(name, members) for name, members in groups.items() if members]

    def contrast(self, a: str, b: str, rule: str = "front", metric: str | None = None) -> Fields | None:
        """a - b under the rule, on the primary metric where none is named, over all prompts; None where it was not made."""
        wanted = (a, b, rule, metric or self.primary, None)
        return next((c for c in self.contrasts if (c.a, c.b, c.rule, c.metric, c.stratum) == wanted), None)

    def deciding(self) -> list[Fields]:
        """The primary contrasts; where there are none, as of one seed, the headline's along its front with whom figures show in colour."""
        if found := [c for c in self.contrasts if c.family == "primary"]:
            return found
        shown = set(self.main_labels()) - {"zero_shot", "few_shot"}
        return [c for c in self.contrasts if c.rule == "front" and c.a == self.headline and c.b in shown and c.stratum is None]

    def own_metric(self) -> str:
        """What training's side says of single replies: the graded quality where the domain has one, else whether they are valid."""
        return next(name for name in ("quality", "pass@1") if name in self.chosen_system(self.headline).metrics)


def significant(contrast: Fields) -> bool:
    """The interval excludes zero and the adjusted p is below ALPHA; False without a match."""
    return contrast.delta is not None and contrast.p_adjusted < labels.ALPHA and (contrast.low > 0 or contrast.high < 0)


def load(domain: str, split: str, results: Path = paths.RESULTS) -> Compare | Fields:
    """The domain's compare.json, a Compare of dev and of test; calibration's is about drafts beside people, on the messages that many
    people answered. Raises PolychromicError where it is missing."""
    path = results / paths.compare_file(domain, split).relative_to(paths.RESULTS)
    return (Fields if split == "calibration" else Compare)(read_object(path), path.as_posix())


def measured(name: str, folder: Path = BENCHMARKS) -> Fields:
    """FOLDER/NAME.json. Raises PolychromicError, which names the command that makes it, where it is missing."""
    path = folder / f"{name}.json"
    if not path.exists():
        what, command = ("check of its intervals", "python -m benchmarks.fronts") if name == "fronts" else ("costs", "make bench")
        raise PolychromicError(f"{path}: file not found. The paper's {what} come from it; run `{command}`, which measures them.")
    return Fields(read_object(path), path.as_posix())
