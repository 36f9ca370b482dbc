"""Drafts beside people: how alike they are, and how many people they match, on the messages that many people answered.

People, systems and floors are measured by one definition (polychromic.score.people); here are the document, its table, numbers and
figure. No statistic.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, FiniteFloat

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.report import labels
from polychromic.report.choices import Frozen
from polychromic.report.records import Number
from polychromic.report.results import parse, place
from polychromic.report.tables import row, small, tabular

if TYPE_CHECKING:  # drawing takes a second, which numbers have not
    from matplotlib.figure import Figure

PEER = "lora"  # the system beside which the headline's drafts are called more or less alike


class MessageMean(Frozen):
    """A mean over messages with its bootstrap interval over them; k: drafts that a person sees, on a curve."""

    k: int = 0
    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class Matched(Frozen):
    """Share of people matched, and of messages on which some held-out person is matched, by ascending k."""

    human_recall: list[MessageMean] = Field(min_length=1)
    passed: list[MessageMean] = Field(alias="pass", min_length=1)


class MatchedAndFloor(Matched):
    """The same at the other messages: the floor."""

    floor: Matched


class Answered(MatchedAndFloor):
    """A system: R, what it matches, and how far human recall at the highest k lies above its own floor."""

    seeds: list[int]
    ratio: MessageMean
    above_floor: MessageMean


class RatioDifference(MessageMean):
    """R_a - R_b, paired by message."""

    a: str
    b: str


class People(Frozen):
    """compare.json of calibration: drafts beside people, on the messages that many people answered."""

    n_prompts: int
    temperature: FiniteFloat
    drafts: int
    targets: int
    human_collision: FiniteFloat
    people: MatchedAndFloor
    systems: dict[str, Answered]
    contrasts: list[RatioDifference]


def load(domain: str, results: Path) -> People:
    """Read and check the domain's compare.json of calibration.

    Raises:
        PolychromicError: it is missing.
        DataError: a field is missing or of the wrong type (each one named).
    """
    return parse(People, place(results, paths.compare_file(domain, "calibration")))


def people_table(found: People) -> str:
    """R, human recall and pass of ten drafts with their floors, a row per system; people's own replies last: the ceiling."""
    k = found.drafts
    head = ["", "$R$", rf"human recall@{k} (\%)", "floor", rf"any match@{k} (\%)", "floor"]
    lines = [row(head), r"\midrule"]
    for label in sorted(found.systems, key=labels.rank):
        s = found.systems[label]
        lines.append(row([labels.system_name(label), f"{s.ratio.value:.2f} {small(_interval(s.ratio))}", *_matched(s)]))
    lines += [r"\midrule", row(["people", "1", *_matched(found.people)])]
    return tabular("lrrrrr", lines)


def _matched(found: MatchedAndFloor) -> list[str]:
    """Cells of a row: recall and pass at the highest k, each with its floor."""
    cells = []
    for name in ("human_recall", "passed"):
        own, floor = getattr(found, name)[-1], getattr(found.floor, name)[-1]
        cells += [f"{100 * own.value:.1f} {small(_interval(own, percent=True))}", f"{100 * floor.value:.1f}"]
    return cells


def people_numbers(found: People, domain: str, headline: str) -> Iterator[Number]:
    """The values of the paper's paragraph.

    Keys people.{n_prompts,temperature,drafts,targets,collision}; people.{ceiling,floor} with .ci, human recall of people's own
    replies and of people's replies to other messages; people.<label>.{ratio,human_recall,floor} with .ci,
    people.<label>.above_floor.verdict; people.headline.sentence.

    Raises:
        PolychromicError: the headline was not compared with PEER.
    """
    source = paths.compare_file(domain, "calibration").as_posix()
    for name in ("n_prompts", "drafts", "targets"):
        yield Number(f"people.{name}", getattr(found, name), str(getattr(found, name)), source=source)
    yield Number("people.temperature", found.temperature, labels.plain(found.temperature), source=source)
    yield Number("people.collision", found.human_collision, f"{found.human_collision:.3f}", source=source)
    shown = {"ceiling": found.people.human_recall[-1], "floor": found.people.floor.human_recall[-1]}
    for name, share in shown.items():
        yield from _estimate(f"people.{name}", share, True, found, source=f"{source}#people")
    for label, s in sorted(found.systems.items()):
        about = {"seeds": tuple(s.seeds), "source": f"{source}#{label}"}
        yield from _estimate(f"people.{label}.ratio", s.ratio, False, found, **about)
        yield from _estimate(f"people.{label}.human_recall", s.human_recall[-1], True, found, **about)
        yield from _estimate(f"people.{label}.floor", s.floor.human_recall[-1], True, found, **about)
        side = "above" if s.above_floor.low > 0 else "below" if s.above_floor.high < 0 else "not told apart from"
        yield Number(f"people.{label}.above_floor.verdict", None, side, **about)
    pair = next((pair for pair in found.contrasts if (pair.a, pair.b) == (headline, PEER)), None)
    if pair is None:
        got = sorted((pair.a, pair.b) for pair in found.contrasts)
        raise PolychromicError(f"{source} has no contrast of {headline} and {PEER}. Got: {got}. Run `dvc repro`.")
    about = {"n": found.n_prompts, "source": f"{source}#{headline}-{PEER}"}
    yield Number("people.headline.sentence", None, _alike(pair), **about)


def _alike(pair: RatioDifference) -> str:
    """What may be said of R of two systems, by the difference that is paired by message."""
    ours, theirs = labels.system_name(pair.a), labels.system_name(pair.b)
    delta, *ends = (labels.signed(f"{value:+.2f}") for value in (pair.value, pair.low, pair.high))
    if pair.low > 0 or pair.high < 0:
        text = f"The drafts of {ours} are {'more' if pair.low > 0 else 'less'} alike than those of {theirs}"
    else:
        text = f"The drafts of {ours} and of {theirs} are not told apart in how alike they are"
    return f"{text} (difference of $R$, paired by message: {delta} [{', '.join(ends)}])."


def _estimate(key: str, e: MessageMean, percent: bool, found: People, **about) -> Iterator[Number]:  # noqa: ANN003 - fields of Number
    """ "<key>" and "<key>.ci", a share in per cent or a ratio."""
    text = rf"{labels.signed(f'{100 * e.value:.1f}')}\,\%" if percent else f"{e.value:.2f}"
    yield Number(key, e.value, text, "%" if percent else "", e.low, e.high, found.n_prompts, **about)
    yield Number(f"{key}.ci", None, _interval(e, percent), n=found.n_prompts, **about)


def _interval(e: MessageMean, percent: bool = False) -> str:
    scale, digits = (100, 1) if percent else (1, 2)
    return f"[{', '.join(labels.signed(f'{scale * end:.{digits}f}') for end in (e.low, e.high))}]"


def people_figure(found: People) -> Figure:
    """Human recall@k of people, of every system, and of both at other messages, against k."""
    from polychromic.report.figures import Point, person

    points = lambda curve: [Point(at.k, at.value, at.low, at.high) for at in curve]
    systems = {label: found.systems[label] for label in sorted(found.systems, key=labels.rank)}
    return person(
        points(found.people.human_recall),
        points(found.people.floor.human_recall),
        {label: points(s.human_recall) for label, s in systems.items()},
        {label: points(s.floor.human_recall) for label, s in systems.items()},
    )
