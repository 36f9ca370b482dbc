"""How methods, metrics and parameters are printed: names, arrows, rounding, the same in tables, figures and the text. It knows nothing
about results; what a metric is stands in polychromic.score.metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # metrics bring their packages, which names and numbers alone do not need
    from polychromic.score.metrics import Metric

ALPHA = 0.05  # level of the adjusted tests

MINUS = r"\ensuremath{-}"
ESCAPED = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {char: "\\" + char for char in "&%$#_{}"}
)
# In printed order. A method that is not here is printed by its own name, after these.
METHODS: dict[str, str] = {
    "zero_shot": "Zero-shot",
    "few_shot": "Few-shot",
    "list_prompt": "List prompting",
    "lora": "LoRA",
    "lora_min_p": "LoRA, min-p",
    "dco": "Coverage loss",
    "label_smoothing": "Label smoothing",
    "entropy": "CE + entropy",
    "gem": "GEM",
    "tofu": "TOFU",
    "deviation": "Deviation weights",
    "lora_all": "LoRA, all answers",
    "rft": "Rejection-sampled",
    "rft_rounds": "Rejection-sampled, in rounds",
    "dco_pool": "Coverage loss on a pool",
    "reward": "Reward",
    "w_reinforce": "W-REINFORCE",
    "passk": "pass@k (PKPO)",
    "poly_epo": "Poly-EPO",
    "setpo": "SetPO",
    "darling": "DARLING",
    "polychromic_rft": "Polychromic + rejection",
    "polychromic": "Polychromic",
}

DOMAINS: dict[str, str] = {
    "listqa": "list questions",
    "replies": "social replies",
    "creative": "sentences from given words",
    "code": "Python functions",
}


def metric(name: str) -> Metric:
    """The catalogue's entry; raises UsageError for a name that it does not have."""
    from polychromic.score import metrics

    return metrics.metric(name)


ARROWS = {"up": ("\u2191", r"\ensuremath{\uparrow}"), "down": ("\u2193", r"\ensuremath{\downarrow}"), "none": ("", "")}  # plain, LaTeX


def title(name: str, math: bool = False) -> str:
    """A metric as axes and heads (math: in LaTeX) call it: name, unit of a share, arrow of the better direction ("pass@1 (%) \u2191")."""
    info = metric(name)
    unit = "" if not info.percent else r" (\%)" if math else " (%)"
    return f"{escape(info.label) if math else info.label}{unit} {ARROWS[info.direction][math]}".rstrip()


def metric_order(names: Iterable[str]) -> list[str]:
    """Names in the catalogue's order, members of a family by their number."""
    from polychromic.score.metrics import FAMILIES

    families = list(FAMILIES)
    return sorted(set(names), key=lambda name: (families.index(metric(name).family), metric(name).at or 0))


def _family(method: str) -> tuple[str, int]:
    """A method at a cost of its own and the cost: "lora_4c" → ("lora", 4); any other as it is, and 0."""
    family, _, cost = method.rpartition("_")
    named = method not in METHODS and family in METHODS and re.fullmatch(r"\d+c", cost)
    return (family, int(cost[:-1])) if named else (method, 0)


def rank(method: str) -> tuple[int, int, str]:
    """Sorts methods into printed order: as METHODS has them, each followed by itself at other costs, then the others by name."""
    family, cost = _family(method)
    return (list(METHODS).index(family) if family in METHODS else len(METHODS), cost, method)


def system_name(label: str, math: bool = True) -> str:
    """The printed name of a label, in LaTeX or (math=False) as figures print it: "polychromic@0.3" → "Polychromic (λ = 0.3)"; "lora_4c", at
    four times LoRA's cost, → "LoRA, $4C$"; "new_peer", unknown here, → "new peer"."""
    method, _, lam = label.partition("@")
    family, cost = _family(method)
    if cost:
        return f"{METHODS[family]}, ${cost}C$" if math else f"{METHODS[family]}, {cost}C"
    name = METHODS.get(method, method.replace("_", " "))
    name = escape(name) if math else name
    if not lam:
        return name
    return rf"{name} ($\lambda={plain(float(lam))}$)" if math else f"{name} (λ = {plain(float(lam))})"


def plain(number: float) -> str:
    """A parameter as people write it: 3.0 → "3", 0.3 → "0.3", 0.0001 → "0.0001"."""
    return f"{number:.6g}"


def signed_zero(text: str) -> str:
    """No "-0.00": a value that rounds to zero carries no sign."""
    return text.lstrip("+-") if re.fullmatch(r"[+-]0\.?0*", text) else text


def tex_minus(text: str) -> str:
    return text.replace("-", MINUS)


def signed(number: str) -> str:
    """A formatted number as LaTeX: its minus is a minus, and zero has none."""
    return tex_minus(signed_zero(number))


def escape(text: str) -> str:
    """Text for LaTeX, every special character made literal."""
    return text.translate(ESCAPED)


def _rounded(name: str, value: float, sign: str = "") -> str:
    """By the metric's rule, a share in per cent."""
    info = metric(name)
    return f"{value * (100 if info.percent else 1):{sign}.{info.decimals}f}"


def format_value(name: str, value: float, unit: bool = False, sign: bool = False) -> str:
    """A metric's value (or, with sign=True, a difference) as LaTeX text, rounded by the metric's rule; with its unit, which is "%" for a
    value and "points" for a difference of per cents."""
    text = signed(_rounded(name, value, "+" if sign else ""))
    return text + ("~points" if sign else r"\,\%") if unit and metric(name).percent else text


def format_interval(name: str, low: float, high: float, sign: bool = False) -> str:
    return f"[{format_value(name, low, sign=sign)}, {format_value(name, high, sign=sign)}]"


def plain_value(name: str, value: float, sign: str = "") -> str:
    """Without LaTeX, by the metric's rounding."""
    return signed_zero(_rounded(name, value, sign))


def plain_interval(name: str, mean: float, low: float, high: float, sign: str = "") -> str:
    """ "1.23 [1.10, 1.36]" without LaTeX, by the metric's rounding."""
    value, below, above = (plain_value(name, x, sign) for x in (mean, low, high))
    return f"{value} [{below}, {above}]"


def plus_minus(name: str, found: Mapping[str, Any]) -> str:
    """ "1.23 ± 0.10" for LaTeX: a mean and half of its interval, the latter small; as it is where there is no interval."""
    half = (found["high"] - found["low"]) / 2
    return rf"{format_value(name, found['mean'])} {{\scriptsize $\pm$ {_rounded(name, half)}}}"


def bracketed(low: float, high: float, percent: bool = False) -> str:
    """The interval of what is no metric: a share in per cent, or a ratio."""
    return f"[{', '.join(signed(f'{100 * end:.1f}' if percent else f'{end:.2f}') for end in (low, high))}]"


def format_p(p: float) -> str:
    """A p-value: three decimals without the leading zero, "<.001" below that."""
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def listed(names: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def thousands(count: float) -> str:
    return f"{count:,.0f}".replace(",", r"\,")


def flatten(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested mappings in file order, keys joined with dots."""
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value


def param_text(value: Any) -> str:
    """A parameter as LaTeX: 1e-05 → $10^{-5}$, true → yes, null → none, a long hash → its first 12 digits."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, int | float):
        if isinstance(value, int) or value == 0 or 0.001 <= abs(value) < 1e6:
            return tex_minus(f"{value:.6g}" if isinstance(value, float) else str(value))
        mantissa, exponent = (float(part) for part in f"{value:.5e}".split("e"))
        factor = "" if mantissa == 1 else rf"{mantissa:g}\times "
        return rf"\ensuremath{{{factor}10^{{{exponent:.0f}}}}}"
    if isinstance(value, list):
        return ", ".join(param_text(item) for item in value) or "none"
    text = str(value)
    return escape(text[:12] if re.fullmatch("[0-9a-f]{40,}", text) else text)
