"""What the paper says in whole sentences: records, since what may be said depends on the tests, the intervals and the peers. Words of
direction ("higher than", "not distinguishable from") are decided here alone, so that prose cannot claim what the data do not show."""

from __future__ import annotations

from collections.abc import Sequence

from polychromic.report import labels
from polychromic.report.measured_tables import BASELINES
from polychromic.report.results import Compare, Fields, significant, training_cost

TRAINED = "quality"  # the metric that is training's q
ROLES = {"best_without_checker": "does not see the checker", "best_with_checker": "sees the checker"}
BAR = 1.25  # times a plain trainer's step: what diversity may cost
FLOOR, CEILING = 0.05, 0.95  # of LoRA's pass@10: outside, the tasks and not the methods decide


def verdict(contrast: Fields) -> str:
    """ "higher than" or "lower than" only where the interval excludes zero and the adjusted p is below ALPHA."""
    if not significant(contrast):
        return "not distinguishable from"
    return "higher than" if contrast.low > 0 else "lower than"


def rule_text(contrast: Fields, compare: Compare) -> str:
    """How the two sides were brought together, as words."""
    return f"at matched {labels.metric(compare.quality).label}" if contrast.rule == "matched" else "with each at its chosen temperature"


def p_text(p: float) -> str:
    """ "=.031" or "<.001" for mathematics, to stand after the name of the test."""
    return rf"\ensuremath{{{'' if p < 0.001 else '='}{labels.format_p(p)}}}"


def comparison(compare: Compare, contrast: Fields) -> str:
    """A contrast as a sentence: what, against what, how matched, with the claim that its test allows."""
    claim = "was compared with" if contrast.p_adjusted is None else f"is {verdict(contrast)}"
    adjusted = "" if contrast.p_adjusted is None else f", adjusted $p$ {p_text(contrast.p_adjusted)}"
    subject = f"The {labels.metric(contrast.metric).label} of {labels.system_name(contrast.a)}"
    against = f"that of {labels.system_name(contrast.b)} {rule_text(contrast, compare)}"
    side = beyond(compare, contrast)
    caveat = f" Its {labels.metric(compare.quality).label} lies {side.format(peer='the peer')}." if side else ""
    return rf"{subject} {claim} {against} ($\Delta=$ {labels.format_change(contrast.metric, contrast)}{adjusted}).{caveat}"


def beyond(compare: Compare, contrast: Fields) -> str:
    """Where a match has nothing to match with, since a's quality is outside of all that b's frontier has, whose nearest end stands in: the
    side in words, with a place for the peer's name; else ""."""
    if contrast.rule != "matched":
        return ""
    mean = lambda system: system.metrics[compare.quality].mean
    ours = next(mean(s) for s in compare.by_temperature(contrast.a) if s.temperature == contrast.a_temperature)
    theirs = [mean(system) for system in compare.front(contrast.b)]
    if ours < min(theirs):
        return "below {peer}'s whole frontier: it is set beside the low end, which has more of it"
    return "above {peer}'s whole frontier: it is set beside the high end, which has less of it" if ours > max(theirs) else ""


def best_peer(compare: Compare, role: str) -> tuple[str, str]:
    """(the best peer of a role and how the headline compares with it, at matched quality if that was declared; where that stands)."""
    peer = compare.selection.best.get(role)
    if peer is None:
        return f"No peer on this domain {ROLES[role]}.", f"selection/best/{role}"
    chosen = f"The best peer on the development set that {ROLES[role]} is {labels.system_name(peer)}."
    contrast = compare.find(compare.headline, peer, compare.primary, "matched", "chosen")
    if contrast is None:
        return f"{chosen} No contrast with it was declared.", f"selection/best/{role}"
    guard = compare.contrast(compare.headline, peer, compare.quality, "chosen", "matched")
    change = labels.format_change(guard.metric, guard)
    differs = f"Their {labels.metric(compare.quality).label} differs by {change}, each at its chosen temperature."
    return f"{chosen} {comparison(compare, contrast)} {differs}", f"contrasts/{contrast.id}"


def variants(compare: Compare, role: str) -> str:
    """Our other variants against the best peer of a role."""
    peer = compare.selection.best.get(role)
    found = [c for c in compare.contrasts if (c.b, c.metric, c.rule) == (peer, compare.primary, "matched")]
    others = [c for c in found if c.a != compare.headline and compare.methods[labels.method_of(c.a)].ours]
    return " ".join(comparison(compare, one) for one in others) or "No other variant of ours was compared with it."


def recommended(compare: Compare) -> str:
    """The largest weight of the grid that training's cross-entropy allows."""
    grid = compare.selection.lam
    within = f"keeps the validation cross-entropy within {labels.plain(grid.ce_margin)} nats of LoRA's"
    if grid.recommended == 0:
        return f"No weight of the grid {within}."
    side = "below" if grid.headline > grid.recommended else "above"
    place = "the headline's" if grid.headline == grid.recommended else f"{side} the headline's, {labels.plain(grid.headline)}"
    return rf"The largest weight that {within} is $\lambda={labels.plain(grid.recommended)}$, {place}."


def trend(compare: Compare) -> str:
    """Whether D rises with λ, by Page's test."""
    found = compare.selection.lam.trend
    if found is None:
        return r"The trend of $D$ over $\lambda$ was not tested: it needs three weights, each sampled at temperature 1."
    levels = ", ".join(map(labels.plain, found.levels))
    means = ", ".join(labels.format_value("objective", mean) for mean in found.means)
    claim = "rises" if found.p < labels.ALPHA else "is not shown to rise"
    return (
        rf"On the development prompts, at temperature 1, $D$ {claim} with $\lambda$ over {levels}: its means are {means} "
        rf"(Page's trend test over {found.n_prompts} prompts, $L={found.page_l:.1f}$, one-sided $p$ {p_text(found.p)})."
    )


def gamed(row: Fields, decides: str) -> str:
    """ "gamed" where the quality q that training sees rose above LoRA's while the metric that decides fell below LoRA's, by both intervals;
    "not gamed" where one of them excludes it; "undecided" else: a rise that is not shown is no proof of honesty."""
    seen, unseen = row.metrics[TRAINED], row.metrics[decides]
    if seen.low > 0 and unseen.high < 0:
        return "gamed"
    return "not gamed" if seen.high <= 0 or unseen.low >= 0 else "undecided"


def gaming(compare: Compare) -> str:
    """The verdicts of `gamed` by weight and temperature, and the differences at the headline's place."""
    rows, name = compare.selection.lam.gaming, labels.metric(compare.quality).label
    places: dict[float, dict[str, list[str]]] = {}
    for row in rows:
        places.setdefault(row.lam, {}).setdefault(gamed(row, compare.quality), []).append(labels.plain(row.temperature))
    parts = []
    for lam, verdicts in sorted(places.items()):
        said = " and ".join(f"{verdict} at {', '.join(where)}" for verdict, where in sorted(verdicts.items()))
        parts.append(rf"with $\lambda={labels.plain(lam)}$ it is {said}")
    headline = compare.chosen(compare.headline)
    shown = next(row for row in rows if (row.label, row.temperature) == (headline.label, headline.temperature))
    names = dict.fromkeys([TRAINED, compare.quality, *labels.metric_order(shown.metrics)])
    differences = [f"{'$q$' if n == TRAINED else labels.metric(n).label} by {labels.format_change(n, shown.metrics[n])}" for n in names]
    return (
        f"The training quality $q$ is gamed where it is above LoRA's at the same temperature while {name} is below LoRA's, each with its "
        f"interval beyond zero; it is not where one of the two intervals excludes that; else this is undecided. "
        f"Over {rows[0].n_prompts} development prompts, by temperature, {'; '.join(parts)}. "
        f"At the headline's weight and temperature ({labels.plain(shown.temperature)}), what training sees and does not see differs from "
        f"LoRA's: {', '.join(differences)}."
    )


def family(compare: Compare) -> str:
    """How many contrasts of the primary family go which way."""
    primary = [c for c in compare.contrasts if c.family == "primary"]
    higher, lower = (sum(significant(c) and (c.low > 0) == up for c in primary) for up in (True, False))
    text = f"In the primary family of {len(primary)} contrasts, the first system is higher in {higher}, lower in {lower} and not "
    return f"{text}distinguishable in {len(primary) - higher - lower}."


def summary(compares: Sequence[Compare]) -> str:
    """Where the headline gains over LoRA, and where a match did not reach."""
    claims: dict[str, list[str]] = {}
    caveats: dict[str, list[str]] = {}
    for compare in compares:
        contrast, name = compare.gain(), compare.domain_name
        claims.setdefault(verdict(contrast), []).append(name)
        if side := beyond(compare, contrast):
            caveats.setdefault(f"its {labels.metric(compare.quality).label} lies {side.format(peer='LoRA')}", []).append(name)
    parts = [f"{claim} LoRA's on {labels.listed(names)}" for claim, names in claims.items()]
    text = f"At matched quality, the primary metric of Polychromic is {', and '.join(parts)}."
    return text + "".join(f" On {labels.listed(names)}, {caveat}." for caveat, names in caveats.items())


def task_range(compares: Sequence[Compare]) -> str:
    """Whether LoRA's pass@10 is away from floor and ceiling."""
    shares = {compare.domain_name: compare.chosen("lora").metrics["pass@10"].mean for compare in compares}
    percent = lambda share: labels.format_value("pass@10", share, unit=True)
    outside = [name for name, value in shares.items() if not FLOOR < value < CEILING]
    text = f"At its chosen temperature, LoRA's pass@10 lies between {percent(min(shares.values()))} and {percent(max(shares.values()))} "
    if not outside:
        return f"{text}over the domains. No domain is at its floor or ceiling ({percent(FLOOR)}, {percent(CEILING)})."
    lies = f"it lies outside {percent(FLOOR)} to {percent(CEILING)}, where tasks more than methods decide."
    return f"{text}over the domains. On {labels.listed(outside)} {lies}"


def step_cost(cost: Fields, headline: str) -> tuple[str, str]:
    """What a step of the headline, which must have been measured, costs; and whether that is within BAR."""
    v, name = cost.variants[headline], labels.system_name(headline)
    plain = f"{v.ratio_to_plain:.2f} [{v.low:.2f}, {v.high:.2f}] times as long as one of the plain trainer"
    takes = f"A step of {name} takes {plain} and {v.ratio_to_lora:.2f} times as long as one of LoRA in this trainer."
    side = "within" if v.ratio_to_plain <= BAR else "above"
    interval = "lies within it" if v.high <= BAR else "lies above it" if v.low > BAR else "reaches to both sides of it"
    return takes, f"That is {side} the bound of {BAR} that we had set; the interval {interval}."


def equal_cost(cost: Fields, compare: Compare) -> str:
    """The headline against peers that were given more steps, with what each training cost."""
    texts, ours = [], training_cost(cost, compare.methods[compare.headline])
    for label in compare.method_labels():
        about = compare.methods[label]
        theirs, found = training_cost(cost, about), compare.find(compare.headline, label, compare.primary, "matched")
        if not about.ours and about.budget > 1 and found and ours is not None and theirs is not None:
            takes = f"takes {theirs:.2f} times as long to train as LoRA, Polychromic {ours:.2f} times."
            texts.append(f"{labels.system_name(label)} {takes} {comparison(compare, found)}")
    return " ".join(texts) or "No peer with more steps was compared on this domain."


def sampler_speed(sampler: Fields) -> str:
    low, high = (pick(r.ratio for r in sampler.rows) for pick in (min, max))
    return f"It decodes {low:.2f} to {high:.2f} times the tokens per second of the library's own generation."


def gradient_variance(variance: Fields) -> str:
    """Per N, the unbiased baselines of more and of less variance than the marginal contribution; silent where the interval holds 1."""
    said = []
    for n in sorted({r.n for r in variance.rows}):
        others = [r for r in variance.rows if r.n == n and r.baseline != "marginal" and not r.biased]
        apart = {"larger": [r for r in others if r.low > 1], "smaller": [r for r in others if r.high < 1]}
        named = lambda rows: ", ".join(f"{BASELINES.get(r.baseline, r.baseline)} ({r.relative_to_marginal:.2f})" for r in rows)
        found = " and ".join(f"{what} with {named(rows)}" for what, rows in apart.items() if rows)
        found = found or "not distinguishable with any other unbiased baseline"
        said.append(f"At $N={n}$ the variance, relative to the marginal contribution alone, is {found}.")
    return " ".join(said)


def smallest_effect(designs: Fields) -> str:
    """What a comparison with as many prompts as were tried can find."""
    prompts, effect = max((r.prompts, r.minimum_detectable_effect) for r in designs.rows)
    return f"With {prompts} prompts, a difference of {100 * effect:.1f} points is found with a probability of four in five."


def alike(pair: Fields) -> str:
    """What may be said of R of two systems, by the difference that is paired by message."""
    ours, theirs = labels.system_name(pair.a), labels.system_name(pair.b)
    if pair.low > 0 or pair.high < 0:
        text = f"The drafts of {ours} are {'more' if pair.low > 0 else 'less'} alike than those of {theirs}"
    else:
        text = f"The drafts of {ours} and of {theirs} are not told apart in how alike they are"
    delta, low, high = (labels.signed(f"{value:+.2f}") for value in (pair.value, pair.low, pair.high))
    return f"{text} (difference of $R$, paired by message: {delta} [{low}, {high}])."
