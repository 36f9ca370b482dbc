"""What reviews give: the accepted set as a data file, and how far two passes over the same candidates agree."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from polychromic.base.errors import PolychromicError
from polychromic.base.io import together, write_json, write_jsonl
from polychromic.base.visible import visible
from polychromic.yours.review.log import BULK, REASONS, Action, Log


def export(log: Log, out: Path) -> dict:
    """Write what is accepted, with its edits, to `out`/replies.jsonl (the schema of data.records; id, group and stratum stay those of the
    candidate), and to `out`/replies-review.json how much of it a person has read.

    Returns: The summary: the counts of Log.counts, "exported" records, "unread" (accepted in bulk), "reasons" {reason: n}, "strata"
    {stratum: n exported}, "reviewer", "made_from" {file: sha256} (of the log: its whole lines). The same log gives the same bytes.
    Raises PolychromicError: nothing is accepted.
    """
    counts, records = log.counts(), []
    for name, record in sorted(log.candidates.records.items()):
        if name in log.decisions and log.decisions[name].act != "reject":
            prompt, reply = log.texts(name)
            records.append(record.model_copy(update={"prompt": prompt, "references": [reply, *record.references[1:]]}))
    if not records:
        found = f"none of {counts['reviewed']} reviewed candidates is accepted"
        raise PolychromicError(f"{log.path}: {found}. Allowed: one or more. Review on, and export then.")
    reasons = Counter(found.reason for found in log.decisions.values() if found.act == "reject")
    log_digest = hashlib.sha256(log.path.read_bytes()[: log.bytes]).hexdigest()
    summary = counts | {
        "exported": len(records),
        "unread": sum(found.note == BULK for found in log.decisions.values() if found.act == "accept"),
        "reasons": reasons,
        "strata": Counter(record.stratum for record in records),
        "reviewer": log.reviewer,
        "made_from": {log.candidates.path.name: log.candidates.sha256, log.path.name: log_digest},
    }
    with together():
        write_jsonl(out / "replies.jsonl", (record.model_dump() for record in records))
        write_json(out / "replies-review.json", summary)
    return summary


def kappa(table: list[list[int]]) -> dict[str, float | None]:
    """Cohen's kappa of a square table of counts (rows: first pass, columns: second): {"value", "low", "high"}, a 95 % interval in [-1, 1].

    The interval is the asymptotic one of Fleiss, Cohen and Everitt (Psychological Bulletin, 1969), as statsmodels computes it; it needs
    some dozens of pairs. All None when both gave one and the same verdict to all: kappa is 0 / 0 then.
    """
    import numpy as np
    from statsmodels.stats.inter_rater import cohens_kappa

    with np.errstate(invalid="ignore"):  # 0 / 0, and a variance of 0 that rounding made negative
        found = cohens_kappa(np.array(table, dtype=float))
        value, spread = float(found.kappa), 1.959963984540054 * float(np.nan_to_num(found.std_kappa))
    if np.isnan(value):
        return {"value": None, "low": None, "high": None}
    return {"value": value, "low": max(value - spread, -1.0), "high": min(value + spread, 1.0)}


def agreement(a: Log, b: Log) -> dict:
    """Agreement over the candidates that both passes decided; an edit is an acceptance.

    Returns: {"reviewers": [a, b], "both", "only_a", "only_b", "undecided": counts, "table": [[accept-accept, accept-reject],
    [reject-accept, reject-reject]], "agreement": {"share", "low", "high"} (Wilson's 95 % interval), "kappa": see kappa, "same_reason": how
    many both rejected for the same reason, "disagreements": [{"id", "post", "reply", "a", "b"}] in the order of the candidates}.
    Raises PolychromicError: no candidate was decided in both.
    """
    from statsmodels.stats.proportion import proportion_confint

    records, first, second = a.candidates.records, a.decisions, b.decisions
    both = {name: (first[name], second[name]) for name in records if name in first and name in second}
    if not both:
        allowed = "two passes over the same candidates. Review on"
        raise PolychromicError(f"{a.path} and {b.path} share no decided candidate. Allowed: {allowed}.")
    verdicts = Counter((x.act == "reject", y.act == "reject") for x, y in both.values())
    table = [[verdicts[x, y] for y in (False, True)] for x in (False, True)]
    low, high = proportion_confint(same := table[0][0] + table[1][1], len(both), method="wilson")
    return {
        "reviewers": [a.reviewer, b.reviewer],
        "both": len(both),
        "only_a": len(first) - len(both),
        "only_b": len(second) - len(both),
        "undecided": len(records) - len(first) - len(second) + len(both),
        "table": table,
        "agreement": {"share": same / len(both), "low": max(float(low), 0.0), "high": min(float(high), 1.0)},
        "kappa": kappa(table),
        "same_reason": sum(x.act == y.act == "reject" and x.reason == y.reason for x, y in both.values()),
        "disagreements": [
            {"id": name, "post": records[name].prompt, "reply": records[name].references[0], "a": _said(x), "b": _said(y)}
            for name, (x, y) in both.items()
            if (x.act == "reject") != (y.act == "reject")
        ],
    }


def _said(decision: Action) -> str:
    if decision.act == "edit":
        return f"accept, edited: {decision.prompt} | {decision.reply}"
    return "accept" if decision.act == "accept" else f"reject: {decision.note or REASONS[decision.reason]}"


def render(found: dict) -> Group:
    """Numbers, the table of verdicts, and the disagreements side by side."""
    # Two names may be the same: two passes of one person under different logs.
    a, b = (f"{number}: {visible(name)}" for number, name in enumerate(found["reviewers"], start=1))
    share, k, ((yes, yes_no), (no_yes, no)) = found["agreement"], found["kappa"], found["table"]
    known = k["value"] is not None
    numbers = (
        f"{found['both']:,} candidates decided by both ({found['only_a']:,} by the first alone, {found['only_b']:,} by the second alone, "
        f"{found['undecided']:,} by none)\n"
        f"both accept {yes:,}, both reject {no:,} ({found['same_reason']:,} for the same reason), only the first accepts {yes_no:,}, "
        f"only the second {no_yes:,}\nagreement {share['share']:.1%}, 95 % interval {share['low']:.1%} to {share['high']:.1%}\n"
        + (f"Cohen's kappa {k['value']:.2f}, 95 % interval {k['low']:.2f} to {k['high']:.2f}" if known else
           "Cohen's kappa is not defined: both gave one and the same verdict to all")
    )  # fmt: skip
    apart = Table("id", "post", "reply", a, b, title="Disagreements", title_justify="left", show_lines=True)
    for row in found["disagreements"]:
        apart.add_row(*(Text(visible(text), overflow="fold") for text in row.values()))
    return Group(Text(numbers), *([apart] if found["disagreements"] else []))
