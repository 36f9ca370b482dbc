"""What dev decided, as records: the best peers and how Polychromic LoRA compares with them, the weight of D, the count of tries.

Whole sentences are records here, since what can be said depends on which peers a domain has and which tests exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from polychromic.base.errors import PolychromicError
from polychromic.report import labels
from polychromic.report.records import Number, contrast_numbers, p_text, rule_text, verdict
from polychromic.report.results import Compare, Contrast, Results
from polychromic.report.selected import Beside, Difference

TRAINED = "quality"  # the metric that is training's q
ROLES = {"best_without_checker": "does not see the checker", "best_with_checker": "sees the checker"}


def choice_numbers(compare: Compare) -> Iterator[Number]:
    """Keys without the domain's name: "<role>.*", "grid.*", "gaming.*", "tries.count", "peers.count"."""
    for role, what in ROLES.items():
        yield from _best(compare, role, what)
    yield from _grid(compare)
    yield from _gaming(compare)
    tries = compare.selection.tries
    yield Number("tries.count", len(tries), str(len(tries)), source="selection/tries")
    peers = [name for name in compare.method_labels() if not compare.methods[name].ours]
    yield Number("peers.count", len(peers), str(len(peers)), source="methods")


def _best(compare: Compare, role: str, what: str) -> Iterator[Number]:
    """ "<role>.name", ".temperature", ".sentence", ".variants.sentence" (our other variants against it), and the fields of its contrast
    with the headline, at matched quality if there is one."""
    source = f"selection/best/{role}"
    peer = compare.selection.best.get(role)
    yield Number(f"{role}.variants.sentence", None, _variants(compare, peer), source="contrasts")
    if peer is None:
        yield Number(f"{role}.name", None, "none", source=source)
        yield Number(f"{role}.sentence", None, f"No peer on this domain {what}.", source=source)
        return
    name = labels.system_name(peer)
    yield Number(f"{role}.name", None, name, source=source)
    yield Number(f"{role}.temperature", compare.chosen(peer).temperature, labels.plain(compare.chosen(peer).temperature), source=source)
    chosen = f"The best peer on the development set that {what} is {name}."
    try:
        contrast = compare.contrast(compare.headline, peer, compare.primary, ("matched", "chosen"))
    except PolychromicError:
        yield Number(f"{role}.sentence", None, f"{chosen} No contrast with it was declared.", source=source)
        return
    yield from contrast_numbers(role, contrast)
    guard = compare.contrast(compare.headline, peer, compare.quality, ("chosen", "matched"))
    text = f"{chosen} {comparison(compare, contrast)} Their {labels.metric(compare.quality).label} differs by {_difference(guard)}, "
    yield Number(f"{role}.sentence", None, text + "each at its chosen temperature.", source=f"contrasts/{contrast.id}")


def _variants(compare: Compare, peer: str | None) -> str:
    """What was declared of our other variants against a peer, at matched quality."""
    found = [c for c in compare.contrasts if (c.b, c.metric, c.rule) == (peer, compare.primary, "matched")]
    others = [c for c in found if c.a != compare.headline and compare.methods[labels.method_of(c.a)].ours]
    return " ".join(comparison(compare, c) for c in others) or "No other variant of ours was compared with it."


def comparison(compare: Results, contrast: Contrast) -> str:
    """A contrast as a sentence: what, against what, how matched, with the claim that its test allows."""
    claim = "was compared with" if contrast.p_adjusted is None else f"is {verdict(contrast)}"
    adjusted = "" if contrast.p_adjusted is None else f", adjusted $p$ {p_text(contrast.p_adjusted)}"
    subject = f"The {labels.metric(contrast.metric).label} of {labels.system_name(contrast.a)}"
    against = f"that of {labels.system_name(contrast.b)} {rule_text(contrast, compare)}"
    side = beyond(compare, contrast)
    caveat = f" Its {labels.metric(compare.quality).label} lies {side.format(peer='the peer')}." if side else ""
    return rf"{subject} {claim} {against} ($\Delta=$ {_difference(contrast)}{adjusted}).{caveat}"


def beyond(compare: Results, contrast: Contrast) -> str:
    """Where a match has nothing to match with: a's quality is outside of all that b's frontier has, whose nearest end stands in.

    Returns: words that tell the side, with a place for the peer's name; "" where the frontier reaches a, or nothing is matched.
    """
    if contrast.rule != "matched":
        return ""
    ours = next(s for s in compare.systems if (s.label, s.temperature) == (contrast.a, contrast.a_temperature)).metrics[compare.quality].mean
    theirs = [system.metrics[compare.quality].mean for system in compare.front(contrast.b)]
    if min(theirs) <= ours <= max(theirs):
        return ""
    if ours < min(theirs):
        return "below {peer}'s whole frontier: it is set beside the low end, which has more of it"
    return "above {peer}'s whole frontier: it is set beside the high end, which has less of it"


def _difference(contrast: Contrast) -> str:
    return _difference_of(contrast.metric, contrast)


def _difference_of(name: str, found: Contrast | Difference) -> str:
    delta = labels.format_value(name, found.delta, unit=True, sign=True)
    return f"{delta} {labels.format_interval(name, found.low, found.high, sign=True)}"


def _grid(compare: Compare) -> Iterator[Number]:
    """What training with each λ left, and what follows: "grid.recommended", "grid.<field>.lora|headline", "grid.*.sentence"."""
    grid, source = compare.selection.grid, "selection/lambda"
    rows = {"lora": grid.rows[0]}
    rows |= {{compare.headline: "headline"}.get(weight.label, weight.label): weight for weight in grid.rows[1:]}
    for which, weight in rows.items():
        values = {
            "validation_ce": f"{weight.validation_ce:.3f}",
            "kl_to_base": f"{weight.kl_to_base:.2f}",
            "reply_tokens": f"{weight.reply_tokens:.1f}",
        }
        for field, text in values.items():
            yield Number(f"grid.{field}.{which}", getattr(weight, field), text, source=f"{source}/{weight.label}")
    yield Number("grid.recommended", grid.recommended, labels.plain(grid.recommended), source=source)
    yield Number("grid.recommended.sentence", None, _recommended(compare), source=source)
    yield Number("grid.trend.sentence", None, _trend(compare), source=f"{source}/trend")
    if grid.trend:
        yield Number("grid.trend.page_l", grid.trend.page_l, f"{grid.trend.page_l:.1f}", n=grid.trend.n_prompts, source=f"{source}/trend")
        yield Number("grid.trend.p", grid.trend.p, p_text(grid.trend.p), n=grid.trend.n_prompts, source=f"{source}/trend")


def _recommended(compare: Compare) -> str:
    grid = compare.selection.grid
    within = f"keeps the validation cross-entropy within {labels.plain(grid.ce_margin)} nats of LoRA's"
    if grid.recommended == 0:
        return f"No weight of the grid {within}."
    place = (
        "the headline's"
        if grid.headline == grid.recommended
        else f"{'below' if grid.headline > grid.recommended else 'above'} the headline's, {labels.plain(grid.headline)}"
    )
    return rf"The largest weight that {within} is $\lambda={labels.plain(grid.recommended)}$, {place}."


def _trend(compare: Compare) -> str:
    trend = compare.selection.grid.trend
    if trend is None:
        return r"The trend of $D$ over $\lambda$ was not tested: it needs three weights, each sampled at temperature 1."
    levels = ", ".join(map(labels.plain, trend.levels))
    means = ", ".join(labels.format_value("objective", mean) for mean in trend.means)
    claim = "rises" if trend.p < labels.ALPHA else "is not shown to rise"
    return (
        rf"On the development prompts, at temperature 1, $D$ {claim} with $\lambda$ over {levels}: its means are {means} "
        rf"(Page's trend test over {trend.n_prompts} prompts, $L={trend.page_l:.1f}$, one-sided $p$ {p_text(trend.p)})."
    )


def gamed(row: Beside, decides: str) -> str:
    """Whether the quality q that training sees rose above LoRA's while the metric that decides fell below LoRA's.

    "gamed" where both intervals say so; "not gamed" where one of the two excludes it (q did not rise, or the metric did not fall);
    "undecided" else: a rise that is not shown is no proof of honesty.
    """
    seen, unseen = row.metrics[TRAINED], row.metrics[decides]
    if seen.low > 0 and unseen.high < 0:
        return "gamed"
    return "not gamed" if seen.high <= 0 or unseen.low >= 0 else "undecided"


def _gaming(compare: Compare) -> Iterator[Number]:
    """ "gaming.<label>.T<temperature>.<metric>" and ".ci", ".verdict", and "gaming.sentence"; none where training sees pass@1 itself."""
    rows, source = compare.selection.grid.gaming, "selection/lambda/gaming"
    if rows is None:
        return
    for row in rows:
        key = f"gaming.{row.label}.T{labels.plain(row.temperature)}"
        for name, found in row.metrics.items():
            unit = "points" if labels.metric(name).percent else ""
            text = labels.format_value(name, found.delta, unit=True, sign=True)
            base = Number(f"{key}.{name}", found.delta, text, unit, found.low, found.high, row.n_prompts, source=source)
            yield base
            interval = labels.format_interval(name, found.low, found.high, sign=True)
            yield replace(base, key=f"{key}.{name}.ci", value=None, text=interval)
        yield Number(f"{key}.verdict", None, gamed(row, compare.quality), n=row.n_prompts, source=source)
    yield Number("gaming.sentence", None, _gaming_text(compare, rows), source=source)


def _gaming_text(compare: Compare, rows: list[Beside]) -> str:
    if not rows:
        return "Whether the training quality was gamed could not be told: no weight was sampled at a temperature of LoRA's."
    name = labels.metric(compare.quality).label
    parts = []
    for lam in sorted({row.lam for row in rows}):
        places: dict[str, list[str]] = {}
        for row in rows:
            if row.lam == lam:
                places.setdefault(gamed(row, compare.quality), []).append(labels.plain(row.temperature))
        verdicts = " and ".join(f"{verdict} at {', '.join(where)}" for verdict, where in sorted(places.items()))
        parts.append(rf"with $\lambda={labels.plain(lam)}$ it is {verdicts}")
    text = (
        f"The training quality $q$ is gamed where it is above LoRA's at the same temperature while {name} is below LoRA's, each with its "
        f"interval beyond zero; it is not where one of the two intervals excludes that; else this is undecided. "
        f"Over {rows[0].n_prompts} development prompts, by temperature, {'; '.join(parts)}."
    )
    shown = next((row for row in rows if (row.label, row.temperature) == _headline_place(compare)), None)
    if shown is None:
        return text
    first = (TRAINED, compare.quality)
    differences = [
        f"{'$q$' if metric == TRAINED else labels.metric(metric).label} by {_difference_of(metric, shown.metrics[metric])}"
        for metric in (*first, *(name for name in labels.metric_order(shown.metrics) if name not in first))
    ]
    place = rf"At the headline's weight and temperature ({labels.plain(shown.temperature)})"
    return f"{text} {place}, what training sees and does not see differs from LoRA's: {', '.join(differences)}."


def _headline_place(compare: Compare) -> tuple[str, float]:
    return compare.headline, compare.chosen(compare.headline).temperature
