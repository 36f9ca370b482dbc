"""The costs as records: steps, sampler and gradient variance, from benchmarks/results/. Claims follow the intervals."""

from __future__ import annotations

from collections.abc import Iterator

from polychromic.report import labels
from polychromic.report.choices import comparison
from polychromic.report.costs import BASELINES, GradientVariance, Sampler, StepCost, variant_name, variants
from polychromic.report.records import Number, unique
from polychromic.report.results import Compare

BAR = 1.25  # times a plain trainer's step: what diversity may cost


def cost_numbers(cost: StepCost, sampler: Sampler, variance: GradientVariance, headline: str) -> list[Number]:
    """All records of the costs, sorted by key: "cost.*", "sampler.*", "gradient.*".

    Args:
        headline: the variant that the text speaks of; without it among the variants the text says so.
    """
    return unique([*_steps(cost, headline), *_sampler(sampler), *_variance(variance)])


def _steps(cost: StepCost, headline: str) -> Iterator[Number]:
    source = f"benchmarks/results/step_cost-{cost.domain}.json"
    for key in ("device", "commit", "precision"):
        yield Number(f"cost.{key}", None, labels.escape(getattr(cost, key)), source=source)
    for key in ("threads", "steps", "batch_size", "n", "horizon"):
        yield Number(f"cost.{key}", getattr(cost, key), str(getattr(cost, key)), source=source)
    for name in variants(cost):
        v, where = cost.variants[name], f"{source}#variants/{name}"
        yield Number(f"cost.{name}.ratio_to_plain", v.ratio_to_plain, f"{v.ratio_to_plain:.2f}", low=v.low, high=v.high, source=where)
        yield Number(f"cost.{name}.ratio_to_plain.ci", None, f"[{v.low:.2f}, {v.high:.2f}]", source=where)
        yield Number(f"cost.{name}.ratio_to_lora", v.ratio_to_lora, f"{v.ratio_to_lora:.2f}", source=where)
        yield Number(f"cost.{name}.seconds", v.mean_seconds, f"{v.mean_seconds:.3f}", source=where)
    yield from headline_numbers(cost, headline, "cost")


def headline_numbers(cost: StepCost, headline: str, prefix: str) -> Iterator[Number]:
    """ "<prefix>.headline.sentence" and "<prefix>.bar.sentence": what a step of the headline costs, and whether that is within BAR."""
    source = f"benchmarks/results/step_cost-{cost.domain}.json"
    name, v = variant_name(headline), cost.variants.get(headline)
    text = (
        f"The step of {name} was not measured."
        if v is None
        else f"A step of {name} takes {v.ratio_to_plain:.2f} [{v.low:.2f}, {v.high:.2f}] times as long as one of the plain trainer "
        f"and {v.ratio_to_lora:.2f} times as long as one of LoRA in this trainer."
    )
    yield Number(f"{prefix}.headline.sentence", None, text, source=source)
    if v is None:
        return
    side = "within" if v.ratio_to_plain <= BAR else "above"
    interval = "lies within it" if v.high <= BAR else "lies above it" if v.low > BAR else "reaches to both sides of it"
    bar = f"That is {side} the bound of {BAR} that we had set; the interval {interval}."
    yield Number(f"{prefix}.bar.sentence", None, bar, source=source)


def equal_cost_numbers(cost: StepCost, compare: Compare) -> Iterator[Number]:
    """ "equal_cost.sentence": the headline against peers that were given more steps, with what each training cost."""
    texts = []
    for label in compare.method_labels():
        about = compare.methods[label]
        ours, theirs = cost.training(compare.methods[labels.method_of(compare.headline)]), cost.training(about)
        found = [c for c in compare.contrasts if (c.a, c.b, c.metric, c.rule) == (compare.headline, label, compare.primary, "matched")]
        if about.ours or about.budget <= 1 or not found or ours is None or theirs is None:
            continue
        texts.append(
            f"{labels.system_name(label)} takes {theirs:.2f} times as long to train as LoRA, Polychromic {ours:.2f} times. "
            f"{comparison(compare, found[0])}"
        )
    text = " ".join(texts) or "No peer with more steps was compared on this domain."
    source = f"benchmarks/results/step_cost-{cost.domain}.json; results/{compare.domain}/compare.json#contrasts"
    yield Number(f"{compare.domain}.equal_cost.sentence", None, text, source=source)


def _sampler(sampler: Sampler) -> Iterator[Number]:
    source = "benchmarks/results/sampler.json"
    ratios = [r.ratio for r in sampler.rows]
    low, high = (f"{ratio:.2f}" for ratio in (min(ratios), max(ratios)))
    between = f"{low} times" if low == high else f"{low} to {high} times"
    yield Number("sampler.device", None, labels.escape(sampler.device), source=source)
    yield Number("sampler.ratio.low", min(ratios), low, source=source)
    yield Number("sampler.ratio.high", max(ratios), high, source=source)
    yield Number("sampler.sentence", None, f"It decodes {between} the tokens per second of the library's own generation.", source=source)


def _variance(variance: GradientVariance) -> Iterator[Number]:
    source = "benchmarks/results/gradient_variance.json"
    for key in ("prompts", "draws"):
        yield Number(f"gradient.{key}", getattr(variance, key), str(getattr(variance, key)), source=source)
    yield Number("gradient.device", None, labels.escape(variance.device), source=source)
    yield Number("gradient.objective", None, labels.escape(variance.objective.replace("_", " ")), source=source)
    for r in variance.rows:
        where, key = f"{source}#rows/{r.baseline}@N={r.n}", f"gradient.{r.baseline}.n{r.n}"
        yield Number(key, r.relative_to_marginal, f"{r.relative_to_marginal:.2f}", low=r.low, high=r.high, source=where)
        yield Number(f"{key}.ci", None, f"[{r.low:.2f}, {r.high:.2f}]", source=where)
    yield Number("gradient.sentence", None, " ".join(_comparisons(variance)), source=source)


def _comparisons(variance: GradientVariance) -> Iterator[str]:
    """Per N, the unbiased baselines of more and of less variance than the marginal contribution; silent where the interval holds 1."""
    for n in sorted({r.n for r in variance.rows}):
        others = [r for r in variance.rows if r.n == n and r.baseline != "marginal" and not r.biased]
        parts = []
        for what, members in (("larger", [r for r in others if r.low > 1]), ("smaller", [r for r in others if r.high < 1])):
            names = [f"{BASELINES.get(r.baseline, r.baseline)} ({r.relative_to_marginal:.2f})" for r in members]
            if names:
                parts.append(f"{what} with {', '.join(names)}")
        found = " and ".join(parts) or "not distinguishable with any other unbiased baseline"
        yield f"At $N={n}$ the variance, relative to the marginal contribution alone, is {found}."
