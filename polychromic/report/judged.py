"""What the paper says of judges: from results/judge.json where judge/declared.json says that answers are recorded, else that none are.

Fields are documented in polychromic.judge.results. No statistic is computed here.
"""

from __future__ import annotations

from polychromic.base import paths
from polychromic.base.io import read_json
from polychromic.report import labels
from polychromic.report.results import Fields
from polychromic.report.tables import DASH, HEADER, row, small, tabular

NONE = (
    "No judge's run is included in this build: no language model was asked to compare replies, and no people's answers were collected, so "
    "nothing is said about preference."
)
PERSON = "person"
KINDS = {"single": "single replies", "set": "sets"}
SHORT = {"single": "single", "set": "sets"}
CHANCE = 0.5


def load() -> Fields | None:
    """The document of the stage `judge`; None where no answers are recorded. Raises PolychromicError: it did not run."""
    return Fields(read_json(paths.JUDGEMENT), paths.JUDGEMENT.as_posix()) if paths.JUDGED.is_file() else None


def sentence(found: Fields | None) -> str:
    """Who answered what; how far positions, repeats and judges agree; and in which contrasts a score's interval excludes chance."""
    if found is None:
        return NONE
    models = _models(found)
    people = _people(found)
    parts = [_about(one) for one in models] or ["No language model's run is included."]
    if people:
        answered = labels.listed([f"{labels.escape(one.judge)} ({one.calls})" for one in people])
        parts.append(f"People answered in one order each: {answered}.")
    else:
        parts.append("No people's answers were collected.")
    for one in found.agreement:
        if one.domain == "all":
            k, pair = one.kappa, labels.listed([labels.escape(name) for name in one.judges])
            value = "is not defined" if k.value is None else f"is {_plain(k.value)} [{_plain(k.low)}, {_plain(k.high)}]"
            parts.append(rf"Cohen's $\kappa$ of {pair} over {one.n} questions {value}.")
    if (models or people) and (claims := _claims((models or people)[0])):
        parts.append(claims)
    return " ".join(parts)


def _models(found: Fields) -> list[Fields]:
    return [one for one in found.judges if one.provider != PERSON]


def _people(found: Fields) -> list[Fields]:
    return [one for one in found.judges if one.provider == PERSON]


def people(found: Fields | None) -> str:
    """What was asked of people for this work."""
    if found is None or not (who := _people(found)):
        return "No person was studied and no annotator was hired; people appear here through published text alone."
    answers, count = labels.thousands(sum(one.calls for one in who)), len(who)
    asked = f"{'One person' if count == 1 else f'{count} people'} answered {answers} questions about which drafts they would choose"
    return f"{asked}, under names of their own choice; else people appear here through published text alone."


def _about(judge: Fields) -> str:
    rows = judge.contrasts
    both, agree = (sum(one.consistency[name] for one in rows) for name in ("both", "agree"))
    decided = sum(one.first.n for one in rows)
    first = sum(one.first.n * one.first.share for one in rows if one.first.n)
    missing = sum(count for one in rows for count in one.missing.values())
    text = (
        f"{labels.escape(judge.judge)} answered {labels.thousands(judge.calls)} calls ({labels.escape(' to '.join(judge.days))}, "
        rf"{judge.dollars:.2f} dollars), {labels.thousands(missing)} of them without a verdict."
    )
    if both:
        text += rf" Both orders agree on {_percent(agree / both)} of the questions"
        text += rf", and {_percent(first / decided)} of the preferences are for what is shown first." if decided else "."
    if judge.stability.n:
        text += rf" Asked again, {_percent(judge.stability.share)} of {judge.stability.n} verdicts are the same."
    return text


def _claims(judge: Fields) -> str:
    """Preferred, or not preferred, where the interval of the score excludes chance."""
    said = []
    for one in judge.contrasts:
        if one.score is not None and not one.score.low <= CHANCE <= one.score.high:
            better, worse = (one.a, one.b) if one.score.low > CHANCE else (one.b, one.a)
            where = f"{KINDS[one.kind]} ({labels.DOMAINS.get(one.domain, one.domain)})"
            said.append(f"{labels.system_name(better)} over {labels.system_name(worse)} on {where}")
    who = labels.escape(judge.judge)
    if not said:
        return f"In no contrast does the interval of {who}'s score exclude one half."
    return f"The interval of {who}'s score excludes one half in favour of {labels.listed(said)}; in no other contrast."


def table(found: Fields | None) -> str:
    """A block per model (per person, where no model was asked) and domain: rates under the conservative rule, scores with intervals. Of
    no answers, nothing but a comment."""
    if found is None:
        return HEADER + "% no judge's answers are recorded: no table\n"
    head = ["", "", "scored", *(rf"{name} (\%)" for name in ("win", "tie", "loss")), "score", "at equal length", "bounds"]
    blocks: dict[str, list[str]] = {}
    for judge in _models(found) or found.judges:
        for one in judge.contrasts:
            if one.questions:
                title = f"{labels.escape(judge.judge)}, {labels.DOMAINS.get(one.domain, one.domain)}"
                blocks.setdefault(title, []).append(_row(one))
    lines: list[str] = []
    for title, rows in blocks.items():
        lines += [r"\midrule"] * bool(lines) + [rf"\multicolumn{{{len(head)}}}{{@{{}}l}}{{\textit{{{title}}}}} \\", *rows]
    body = tabular("llrrrrlll", lines, head).removeprefix(HEADER).rstrip("\n")
    return HEADER + rf"\begin{{center}}\footnotesize\setlength{{\tabcolsep}}{{3pt}}\fitted{{{body}}}\end{{center}}" + "\n"


def _row(one: Fields) -> str:
    pair = f"{labels.system_name(one.a)} $-$ {labels.system_name(one.b)}"
    rates = [DASH if one[name] is None else f"{100 * one[name].value:.1f}" for name in ("win", "tie", "loss")]
    bounds = DASH if one.bounds is None else f"{_plain(one.bounds[0])} to {_plain(one.bounds[1])}"
    return row([pair, SHORT[one.kind], str(one.scored), *rates, _estimate(one.score), _estimate(one.length_controlled), bounds])


def _estimate(found: Fields | None) -> str:
    return DASH if found is None else f"{_plain(found.value)} {small(f'[{_plain(found.low)}, {_plain(found.high)}]')}"


def _plain(value: float) -> str:
    return labels.signed(f"{value:.2f}")


def _percent(share: float) -> str:
    return rf"{100 * share:.1f}\,\%"
