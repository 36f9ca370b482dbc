"""Drafts beside people: how alike they are, how many people they match, and the scale of the person-match.

Tables, numbers and a figure from openers.json and compare.json; no file, no torch, no statistic.
"""

from __future__ import annotations

from matplotlib.figure import Figure
from pydantic import Field, FiniteFloat

from polychromic.report import distributions, labels
from polychromic.report.figures import Point
from polychromic.report.latex_rows import DASH, row, tabular
from polychromic.report.records import Number
from polychromic.report.results import Compare, Frozen, Probability


class Ratio(Frozen):
    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class Answered(Frozen):
    """A label on the openers: R, share of people matched, share of prompts on which somebody is matched (means over prompts)."""

    seeds: list[int]
    ratio: Ratio
    human_recall: Probability
    passed: Probability = Field(alias="pass")


class Openers(Frozen):
    n_prompts: int
    temperature: FiniteFloat
    drafts: int
    human_collision: FiniteFloat
    systems: dict[str, Answered]


def people_table(found: Openers, compare: Compare) -> str:
    """R with its interval, human recall and pass of ten drafts, a row per system; people and other people's replies last."""
    lines = [row(["", "$R$", rf"human recall@{found.drafts} (\%)", rf"any match@{found.drafts} (\%)"]), r"\midrule"]
    for label in sorted(found.systems, key=labels.rank):
        s = found.systems[label]
        ratio = rf"{s.ratio.value:.2f} {{\scriptsize [{s.ratio.low:.2f}, {s.ratio.high:.2f}]}}"
        cells = [labels.system_name(label), ratio, f"{100 * s.human_recall:.1f}", f"{100 * s.passed:.1f}"]
        lines.append(row(cells))
    lines += [r"\midrule", row(["people, same message", "1", f"{100 * compare.calibration['ceiling']:.1f}", DASH])]
    lines.append(row(["people, other messages", DASH, f"{100 * compare.calibration['floor']:.1f}", DASH]))
    return tabular("lrrr", lines)


def people_numbers(found: Openers, compare: Compare) -> list[Number]:
    """Keys people.{n_prompts,temperature,drafts,collision}, people.<label>.{ratio,ratio.ci,human_recall}, people.headline.sentence."""
    numbers = [
        Number("people.n_prompts", found.n_prompts, str(found.n_prompts), source="openers"),
        Number("people.temperature", found.temperature, labels.plain(found.temperature), source="openers"),
        Number("people.drafts", found.drafts, str(found.drafts), source="openers"),
        Number("people.collision", found.human_collision, f"{found.human_collision:.3f}", source="openers"),
    ]
    for label, s in sorted(found.systems.items()):
        shared = {"n": found.n_prompts, "seeds": tuple(s.seeds), "source": f"openers/{label}"}
        ci = f"[{s.ratio.low:.2f}, {s.ratio.high:.2f}]"
        numbers += [
            Number(f"people.{label}.ratio", s.ratio.value, f"{s.ratio.value:.2f}", low=s.ratio.low, high=s.ratio.high, **shared),
            Number(f"people.{label}.ratio.ci", None, ci, **shared),
            Number(f"people.{label}.human_recall", s.human_recall, rf"{100 * s.human_recall:.1f}\,\%", unit="%", **shared),
        ]
    ours, lora = found.systems[compare.headline].ratio, found.systems["lora"].ratio
    apart = ours.high < lora.low or lora.high < ours.low
    side = "less alike than" if ours.value < lora.value else "more alike than"
    text = f"The drafts of {labels.system_name(compare.headline)} are {side if apart else 'about as alike as'} those of LoRA"
    return [*numbers, Number("people.headline.sentence", None, f"{text} (intervals that {'do not overlap' if apart else 'overlap'}).")]


def people_figure(compare: Compare) -> Figure:
    """pass@k of every main system between the rates of people's own replies."""
    calibration = compare.calibration
    systems = {}
    for label in compare.main_labels():
        metrics = compare.chosen(label).metrics
        ks = sorted(int(name.removeprefix("pass@")) for name in metrics if name.startswith("pass@"))
        systems[label] = [Point(k, (e := metrics[f"pass@{k}"]).mean, e.low, e.high) for k in ks]
    ceiling, floor = ([Point(10, calibration[key], calibration[key], calibration[key])] for key in ("ceiling", "floor"))
    return distributions.person(ceiling, floor, systems)
