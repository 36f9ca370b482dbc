"""How methods and metrics are called and printed: the one place for names, directions (↑/↓) and decimals.

It knows nothing about results. Tables, figures and numbers all ask here, so a metric cannot be rounded
one way in a table and another way in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from polychromic.errors import PolychromicError

ALPHA = 0.05  # level of the Holm-adjusted tests

MINUS = r"\ensuremath{-}"


@dataclass(frozen=True)
class Metric:
    """One metric as printed.

    Attributes:
        name: plain text, as figures print it.
        direction: "up" when more is better, "down" when less is, "none" when it is only reported.
        decimals: digits after the point, after scaling.
        percent: the value is a share in [0, 1], printed in per cent; its differences are points.
    """

    name: str
    direction: Literal["up", "down", "none"]
    decimals: int
    percent: bool = False

    @property
    def unit(self) -> str:
        return "%" if self.percent else ""

    @property
    def arrow(self) -> str:
        """LaTeX arrow of the better direction; empty for a metric without one."""
        return {"up": r"\ensuremath{\uparrow}", "down": r"\ensuremath{\downarrow}", "none": ""}[self.direction]

    @property
    def unicode_arrow(self) -> str:
        return {"up": " \u2191", "down": " \u2193", "none": ""}[self.direction]

    def better(self, delta: float) -> bool:
        """Whether a difference a - b of `delta` favours a."""
        return (self.direction == "up" and delta > 0) or (self.direction == "down" and delta < 0)


METRICS: dict[str, Metric] = {
    "valid_distinct@10": Metric("valid distinct@10", "up", 2),
    "pass@1": Metric("pass@1", "up", 1, percent=True),
    "pass@3": Metric("pass@3", "up", 1, percent=True),
    "pass@5": Metric("pass@5", "up", 1, percent=True),
    "pass@10": Metric("pass@10", "up", 1, percent=True),
    "quality": Metric("training quality q", "up", 3),
    "distinct@10": Metric("distinct@10", "up", 2),
    "semantic_diversity": Metric("semantic diversity", "up", 3),
    "self_bleu": Metric("Self-BLEU", "down", 3),
    "distinct_1": Metric("distinct-1", "up", 3),
    "distinct_2": Metric("distinct-2", "up", 3),
    "rouge_l": Metric("ROUGE-L", "up", 3),
    "tokens": Metric("tokens", "none", 1),
    "objective": Metric("set objective D", "up", 3),
}

# In printed order. A method that is not here is printed by its own name, after these.
METHODS: dict[str, str] = {
    "zero_shot": "Zero-shot",
    "few_shot": "Few-shot",
    "list_prompt": "List prompting",
    "lora": "LoRA",
    "lora_long": "LoRA, more steps",
    "lora_min_p": "LoRA, min-p",
    "lora_scaled": "LoRA, scaled",
    "label_smoothing": "Label smoothing",
    "entropy": "CE + entropy",
    "gem": "GEM",
    "tofu": "TOFU",
    "deviation": "Deviation weights",
    "polychromic_plain": "Plain diversity",
    "lora_all": "LoRA, all answers",
    "rft": "Rejection-sampled",
    "gated": "Gated diversity",
    "reward": "Reward",
    "passk": "pass@k (PKPO)",
    "poly_epo": "Poly-EPO",
    "polychromic_full": "Polychromic, full",
    "polychromic_quarter": "Polychromic, quarter",
    "polychromic_tenth": "Polychromic, tenth",
    "polychromic_bulk": "Polychromic, bulk",
    "polychromic": "Polychromic",
}

DOMAINS: dict[str, str] = {"listqa": "list questions", "replies": "social replies"}


def metric(name: str) -> Metric:
    """The Metric called `name`; PolychromicError when labels.py does not know it."""
    if name not in METRICS:
        raise PolychromicError(
            f"metric {name!r} in compare.json has no entry in METRICS (polychromic/report/labels.py). "
            f"Known: {', '.join(METRICS)}. Add its name, direction and decimals there."
        )
    return METRICS[name]


def method_of(label: str) -> str:
    """The method of a label: "polychromic@0.3" → "polychromic"."""
    return label.partition("@")[0]


def rank(method: str) -> tuple[int, str]:
    """Sorts methods into printed order: as METHODS has them, then the others by name."""
    return (list(METHODS).index(method) if method in METHODS else len(METHODS), method)


def system_name(label: str, math: bool = True) -> str:
    """The printed name of a label: "polychromic@0.3" → "Polychromic (λ = 0.3)"; "new_peer", unknown here, → "new peer".

    Args:
        math: True gives LaTeX, False plain text for figures.
    """
    method, _, lam = label.partition("@")
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


def escape(text: str) -> str:
    """Text for LaTeX, every special character made literal."""
    table = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    table |= {char: "\\" + char for char in "&%$#_{}"}
    return "".join(table.get(char, char) for char in text)


def format_value(name: str, value: float, unit: bool = False, sign: bool = False) -> str:
    """A metric's value (or, with sign=True, a difference) as LaTeX text, rounded by the metric's rule.

    Args:
        unit: append the unit ("%" for a value, "points" for a difference of per cents).
    """
    info = metric(name)
    text = f"{value * (100 if info.percent else 1):{'+' if sign else ''}.{info.decimals}f}"
    text = tex_minus(signed_zero(text))
    if unit and info.percent:
        text += "~points" if sign else r"\,\%"
    return text


def format_interval(name: str, low: float, high: float, sign: bool = False) -> str:
    return f"[{format_value(name, low, sign=sign)}, {format_value(name, high, sign=sign)}]"


def plain_interval(name: str, mean: float, low: float, high: float) -> str:
    """ "1.23 [1.10, 1.36]" without LaTeX, by the metric's rounding."""
    info = metric(name)
    value, below, above = (signed_zero(f"{x * (100 if info.percent else 1):.{info.decimals}f}") for x in (mean, low, high))
    return f"{value} [{below}, {above}]"


def format_p(p: float) -> str:
    """A p-value: three decimals without the leading zero, "<.001" below that."""
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def format_effect(value: float) -> str:
    """A standardised effect size: two decimals, signed."""
    return tex_minus(signed_zero(f"{value:+.2f}"))
