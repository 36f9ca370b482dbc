"""Two passes over the same candidates: how often they agree, and how much of that chance alone would give."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from polychromic.base.errors import PolychromicError
from polychromic.base.visible import visible
from polychromic.yours.review.log import Candidates, Log
from polychromic.yours.review.state import REASONS, Decision

VERDICTS = ("accept", "reject")
Z = 1.959963984540054  # normal quantile of a two-sided 95 % interval


def kappa(table: tuple[tuple[int, int], tuple[int, int]]) -> tuple[float | None, float | None, float | None]:
    """Cohen's kappa of a 2 x 2 table of counts (rows: first pass, columns: second) with its 95 % interval, cut to [-1, 1].

    The interval is the asymptotic one of Fleiss, Cohen and Everitt (Psychological Bulletin, 1969), as statsmodels computes it. It needs
    some dozens of pairs; it is a point when the passes agree on all of them, or when one pass gave one verdict to all (kappa is then 0).
    (None, None, None) when both gave one and the same verdict to all: chance would agree as well, and kappa is 0 / 0.
    """
    import numpy as np
    from statsmodels.stats.inter_rater import cohens_kappa

    counts = np.array(table, dtype=float)
    by_chance = float((counts.sum(0) * counts.sum(1)).sum()) / counts.sum() ** 2
    if by_chance == 1:
        return None, None, None
    with np.errstate(invalid="ignore"):  # of a variance of 0 that rounding made negative
        found = cohens_kappa(counts)
        value, spread = float(found.kappa), Z * float(np.nan_to_num(found.std_kappa))
    return value, max(value - spread, -1.0), min(value + spread, 1.0)


def wilson(successes: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, JASA 1927): inside [0, 1], and no point at 0 or n."""
    centre, spread = successes + Z**2 / 2, Z * math.sqrt(successes * (n - successes) / n + Z**2 / 4)
    return max((centre - spread) / (n + Z**2), 0.0), min((centre + spread) / (n + Z**2), 1.0)


def compare(candidates: Candidates, a: Log, b: Log) -> dict:
    """Agreement over the candidates that both passes decided; an edit is an acceptance.

    Returns:
        {"reviewers": [a, b], "both", "only_a", "only_b", "undecided": counts, "table": [[accept-accept, accept-reject], [reject-accept,
        reject-reject]], "agreement": {"share", "low", "high"}, "kappa": {"value", "low", "high"} (None: see kappa), "same_reason": how
        many both rejected for the same reason, "disagreements": [{"id", "post", "reply", "a", "b"}] in the order of the candidates}.

    Raises:
        PolychromicError: no candidate was decided in both.
    """
    first, second = a.review.decisions, b.review.decisions
    both = [name for name in candidates.ids if name in first and name in second]
    if not both:
        raise PolychromicError(
            f"{a.path} and {b.path} share no decided candidate ({len(first)} and {len(second)} are decided). "
            "Allowed: two passes over the same candidates. Review on."
        )
    table = tuple(tuple(sum(first[n].verdict == x and second[n].verdict == y for n in both) for y in VERDICTS) for x in VERDICTS)
    same = table[0][0] + table[1][1]
    value, low, high = kappa(table)
    share_low, share_high = wilson(same, len(both))
    return {
        "reviewers": [a.reviewer, b.reviewer],
        "both": len(both),
        "only_a": len(first) - len(both),
        "only_b": len(second) - len(both),
        "undecided": len(candidates.ids) - len(first) - len(second) + len(both),
        "table": [list(row) for row in table],
        "agreement": {"share": same / len(both), "low": share_low, "high": share_high},
        "kappa": {"value": value, "low": low, "high": high},
        "same_reason": sum(_both_reject(first[n], second[n]) and first[n].reason == second[n].reason for n in both),
        "disagreements": [_disagreement(candidates, n, first, second) for n in both if first[n].verdict != second[n].verdict],
    }


def _both_reject(a: Decision, b: Decision) -> bool:
    return a.verdict == b.verdict == "reject"


def _disagreement(candidates: Candidates, name: str, first: Mapping[str, Decision], second: Mapping[str, Decision]) -> dict[str, str]:
    record = candidates.records[name]
    row = {"id": name, "post": record.prompt, "reply": record.references[0]}
    for key, decisions in (("a", first), ("b", second)):
        row[key] = _said(decisions[name])
    return row


def _said(decision: Decision) -> str:
    if decision.verdict == "accept":
        return f"accept, edited: {' | '.join(decision.texts)}" if decision.texts else "accept"
    return f"reject: {decision.note or REASONS[decision.reason]}"


def render(found: dict) -> Group:
    """Numbers, the table of verdicts, and the disagreements side by side."""
    a, b = (visible(name) for name in found["reviewers"])
    share, k = found["agreement"], found["kappa"]
    lines = [
        f"{found['both']:,} candidates decided by both ({found['only_a']:,} by the first alone, {found['only_b']:,} by the second alone, "
        f"{found['undecided']:,} by none)",
        f"agreement {share['share']:.1%}, 95 % interval {share['low']:.1%} to {share['high']:.1%}",
        "Cohen's kappa is not defined: both gave one and the same verdict to all"
        if k["value"] is None
        else f"Cohen's kappa {k['value']:.2f}, 95 % interval {k['low']:.2f} to {k['high']:.2f}",
        f"of {found['table'][1][1]:,} that both rejected, {found['same_reason']:,} for the same reason",
    ]
    verdicts = Table("", escape(f"{b}: accept"), escape(f"{b}: reject"))
    for name, row in zip(VERDICTS, found["table"], strict=True):
        verdicts.add_row(Text(f"{a}: {name}"), *(f"{n:,}" for n in row))
    if not found["disagreements"]:
        return Group(Text("\n".join(lines)), verdicts)
    # Two names may be the same: two passes of one person under different logs.
    apart = Table("id", "post", "reply", escape(f"1: {a}"), escape(f"2: {b}"), title="Disagreements", title_justify="left", show_lines=True)
    for row in found["disagreements"]:
        apart.add_row(*(Text(visible(row[key]), overflow="fold") for key in ("id", "post", "reply", "a", "b")))
    return Group(Text("\n".join(lines)), verdicts, apart)
