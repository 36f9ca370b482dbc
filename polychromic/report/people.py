"""Drafts beside people: how alike they are, and how many people they match, on the messages that many people answered.

Tables, numbers and a figure from openers.json, in which people, systems and floors are measured by one definition
(polychromic.score.people.match_rates); no file, no torch, no statistic.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from pydantic import Field, FiniteFloat

from polychromic.base.errors import PolychromicError
from polychromic.report import distributions, labels
from polychromic.report.figures import Point
from polychromic.report.latex_rows import row, tabular
from polychromic.report.records import Number
from polychromic.report.results import Compare
from polychromic.report.selected import Frozen

SOURCE = "results/replies/openers.json"
PEER = "lora"  # the system beside which the headline's drafts are called more or less alike


class Estimate(Frozen):
    """A mean over messages with its bootstrap interval over them."""

    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class AtK(Estimate):
    k: int


class Matched(Frozen):
    """Share of people matched, and of messages on which some held-out person is matched, by ascending k."""

    human_recall: list[AtK] = Field(min_length=1)
    passed: list[AtK] = Field(alias="pass", min_length=1)


class Beside(Matched):
    """The same at the other messages: the floor."""

    floor: Matched


class Answered(Beside):
    """A system: R, what it matches, and how far human recall at the highest k lies above its own floor."""

    seeds: list[int]
    ratio: Estimate
    above_floor: Estimate


class Difference(Estimate):
    """R_a - R_b, paired by message."""

    a: str
    b: str


class Openers(Frozen):
    n_prompts: int
    temperature: FiniteFloat
    drafts: int
    targets: int
    human_collision: FiniteFloat
    people: Beside
    systems: dict[str, Answered]
    contrasts: list[Difference]


def people_table(found: Openers) -> str:
    """R, human recall and pass of ten drafts with their floors, a row per system; people's own replies last: the ceiling."""
    k = found.drafts
    head = ["", "$R$", rf"human recall@{k} (\%)", "floor", rf"any match@{k} (\%)", "floor"]
    lines = [row(head), r"\midrule"]
    for label in sorted(found.systems, key=labels.rank):
        s = found.systems[label]
        lines.append(row([labels.system_name(label), _with_interval(f"{s.ratio.value:.2f}", _interval(s.ratio)), *_matched(s)]))
    lines += [r"\midrule", row(["people", "1", *_matched(found.people)])]
    return tabular("lrrrrr", lines)


def people_numbers(found: Openers, compare: Compare) -> list[Number]:
    """The values of the paper's paragraph.

    Keys people.{n_prompts,temperature,drafts,targets,collision}; people.{ceiling,floor} with .ci, human recall of people's own
    replies and of people's replies to other messages; people.<label>.{ratio,human_recall,floor,above_floor} with .ci and
    people.<label>.above_floor.verdict; people.headline.{difference,difference.ci,sentence}.
    """
    whole = {"n_prompts": found.n_prompts, "drafts": found.drafts, "targets": found.targets}
    numbers = [Number(f"people.{name}", value, str(value), source=SOURCE) for name, value in whole.items()]
    numbers += [
        Number("people.temperature", found.temperature, labels.plain(found.temperature), source=SOURCE),
        Number("people.collision", found.human_collision, f"{found.human_collision:.3f}", source=SOURCE),
    ]
    numbers += _shares("people.ceiling", found.people.human_recall[-1], found, source=f"{SOURCE}#people")
    numbers += _shares("people.floor", found.people.floor.human_recall[-1], found, source=f"{SOURCE}#people")
    for label, s in sorted(found.systems.items()):
        about = {"seeds": tuple(s.seeds), "source": f"{SOURCE}#{label}"}
        ends = {"low": s.ratio.low, "high": s.ratio.high, "n": found.n_prompts}
        numbers += [
            Number(f"people.{label}.ratio", s.ratio.value, f"{s.ratio.value:.2f}", **ends, **about),
            Number(f"people.{label}.ratio.ci", None, _interval(s.ratio), n=found.n_prompts, **about),
            Number(f"people.{label}.above_floor.verdict", None, _side(s.above_floor, "above", "below", "not told apart from"), **about),
        ]
        shares = {"human_recall": s.human_recall[-1], "floor": s.floor.human_recall[-1], "above_floor": s.above_floor}
        for name, share in shares.items():
            numbers += _shares(f"people.{label}.{name}", share, found, **about)
    return numbers + _headline(found, compare.headline)


def people_figure(found: Openers) -> Figure:
    """Human recall@k of people, of every system, and of both at other messages, against k."""
    systems = {label: found.systems[label] for label in sorted(found.systems, key=labels.rank)}
    return distributions.person(
        _points(found.people.human_recall),
        _points(found.people.floor.human_recall),
        {label: _points(s.human_recall) for label, s in systems.items()},
        {label: _points(s.floor.human_recall) for label, s in systems.items()},
    )


def _headline(found: Openers, headline: str) -> list[Number]:
    """R of the headline less R of LoRA, paired by message, and what may be said of it.

    Raises:
        PolychromicError: openers.json does not hold this pair.
    """
    pairs = {(pair.a, pair.b): pair for pair in found.contrasts}
    if (headline, PEER) not in pairs:
        raise PolychromicError(f"openers.json has no contrast of {headline} and {PEER}. Got: {sorted(pairs)}. Run `dvc repro`.")
    pair = pairs[headline, PEER]
    ours, theirs = labels.system_name(headline), labels.system_name(PEER)
    about = {"n": found.n_prompts, "source": f"{SOURCE}#{headline}-{PEER}"}
    delta, ci = _signed(f"{pair.value:+.2f}"), f"[{_signed(f'{pair.low:+.2f}')}, {_signed(f'{pair.high:+.2f}')}]"
    if pair.low > 0 or pair.high < 0:
        text = f"The drafts of {ours} are {'more' if pair.low > 0 else 'less'} alike than those of {theirs}"
    else:
        text = f"The drafts of {ours} and of {theirs} are not told apart in how alike they are"
    return [
        Number("people.headline.difference", pair.value, delta, low=pair.low, high=pair.high, **about),
        Number("people.headline.difference.ci", None, ci, **about),
        Number("people.headline.sentence", None, f"{text} (difference of $R$, paired by message: {delta} {ci}).", **about),
    ]


def _shares(key: str, share: Estimate, found: Openers, **about) -> list[Number]:  # noqa: ANN003 - fields of Number
    """ "<key>" and "<key>.ci" of a share, in per cent."""
    text = _signed(f"{100 * share.value:.1f}")
    return [
        Number(key, share.value, rf"{text}\,\%", unit="%", low=share.low, high=share.high, n=found.n_prompts, **about),
        Number(f"{key}.ci", None, _interval(share, percent=True), n=found.n_prompts, **about),
    ]


def _matched(found: Beside) -> list[str]:
    """Cells of a row: recall and pass at the highest k, each with its floor."""
    cells = []
    for name in ("human_recall", "passed"):
        own, floor = getattr(found, name)[-1], getattr(found.floor, name)[-1]
        cells += [_with_interval(f"{100 * own.value:.1f}", _interval(own, percent=True)), f"{100 * floor.value:.1f}"]
    return cells


def _side(difference: Estimate, above: str, below: str, neither: str) -> str:
    """The word for an interval that lies above 0, below it, or on both sides."""
    return above if difference.low > 0 else below if difference.high < 0 else neither


def _interval(e: Estimate, percent: bool = False) -> str:
    scale, digits = (100, 1) if percent else (1, 2)
    return f"[{_signed(f'{scale * e.low:.{digits}f}')}, {_signed(f'{scale * e.high:.{digits}f}')}]"


def _with_interval(value: str, interval: str) -> str:
    return rf"{value} {{\scriptsize {interval}}}"


def _signed(number: str) -> str:
    return labels.tex_minus(labels.signed_zero(number))


def _points(curve: Sequence[AtK]) -> list[Point]:
    return [Point(at.k, at.value, at.low, at.high) for at in curve]
