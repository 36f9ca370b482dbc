"""What dev decided, as records: the best peers and how Polychromic LoRA compares with them, the weight of D, the count of tries.

Whole sentences are records here, since what can be said depends on which peers a domain has and which tests exist.
"""

from __future__ import annotations

from collections.abc import Iterator

from polychromic.errors import PolychromicError
from polychromic.report import labels
from polychromic.report.records import Number, contrast_numbers, p_text, rule_text, verdict
from polychromic.report.results import Compare, Contrast

ROLES = {"best_without_checker": "does not see the checker", "best_with_checker": "sees the checker"}


def choice_numbers(compare: Compare) -> Iterator[Number]:
    """Keys without the domain's name: "<role>.*", "grid.*", "tries.count", "peers.count"."""
    for role, what in ROLES.items():
        yield from _best(compare, role, what)
    yield from _grid(compare)
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


def comparison(compare: Compare, contrast: Contrast) -> str:
    """A contrast as a sentence: what, against what, how matched, with the claim that its test allows."""
    claim = "was compared with" if contrast.p_adjusted is None else f"is {verdict(contrast)}"
    adjusted = "" if contrast.p_adjusted is None else f", adjusted $p$ {p_text(contrast.p_adjusted)}"
    subject = f"The {labels.metric(contrast.metric).label} of {labels.system_name(contrast.a)}"
    against = f"that of {labels.system_name(contrast.b)} {rule_text(contrast, compare)}"
    return rf"{subject} {claim} {against} ($\Delta=$ {_difference(contrast)}{adjusted})."


def _difference(contrast: Contrast) -> str:
    delta = labels.format_value(contrast.metric, contrast.delta, unit=True, sign=True)
    return f"{delta} {labels.format_interval(contrast.metric, contrast.low, contrast.high, sign=True)}"


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
