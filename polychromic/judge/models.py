"""Who may judge, for how much: models.yaml, which has a date, and the dollars of measured usage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from polychromic.base.errors import UsageError

FILE = Path(__file__).parent / "models.yaml"
MILLION = 1e6
CACHE_WRITE, CACHE_READ = 1.25, 0.1  # of the price of input


@dataclass(frozen=True)
class Usage:
    """Tokens of a call as the service counted them. Hidden reasoning is among `output`."""

    input: int = 0
    output: int = 0
    cache_write: int = 0
    cache_read: int = 0


@dataclass(frozen=True)
class Price:
    """Dollars per million tokens of direct calls, and what a batch costs relative to them. checked: the day; "" where the user gave it."""

    input: float
    output: float
    batch: float = 1.0
    checked: str = ""

    def dollars(self, usage: Usage, batch: bool) -> float:
        read = usage.input + CACHE_WRITE * usage.cache_write + CACHE_READ * usage.cache_read
        return (self.batch if batch else 1.0) * (self.input * read + self.output * usage.output) / MILLION


@cache
def table() -> dict[str, Any]:
    """models.yaml."""
    return YAML(typ="safe").load(FILE)


def price_of(model: str) -> Price:
    """Raises UsageError for a model whose price is not known."""
    found, models = table(), table()["models"]
    if model not in models:
        allowed = f"{', '.join(models)} (prices of {found['checked']})"
        raise UsageError(
            f"model {model!r} has no price in {FILE.name}, so its cost is not known. Allowed: {allowed}. Add the model with its price, or "
            f"give one with --price IN,OUT (dollars per million tokens)."
        )
    one = models[model]
    return Price(one["input"], one["output"], found["batch"], str(found["checked"]))


def effort_of(model: str) -> str | None:
    return table()["models"].get(model, {}).get("effort")


def parse_price(text: str) -> Price:
    """IN,OUT of the command line. Raises UsageError."""
    try:
        read, written = (float(part) for part in text.split(","))
        if not (0 <= read < 1e5 and 0 <= written < 1e5):
            raise ValueError
    except ValueError:
        allowed = "two numbers of 0 or more, dollars per million tokens of input and of output, such as 0.10,0.50"
        raise UsageError(f"--price is {text!r}. Allowed: {allowed}. Correct it.") from None
    return Price(read, written)
