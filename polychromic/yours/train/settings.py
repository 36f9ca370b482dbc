"""What decides a training run beside its rows and its base, and what is taken where the user says nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any

from polychromic.base.errors import UsageError

METHODS = ("lora", "polychromic", "rft")
PASSES = 3  # over the rows, where --steps is not given
LEAST_STEPS, MOST_STEPS = 30, 300
RANK, SCALE = 16, 2  # LoRA's rank, and alpha / rank
LARGE, RATES = 1e9, (5e-4, 2e-4)  # parameters from which on the second rate is taken
CLIP, MAX_GRAD_NORM = 10.0, 5.0  # of D's gradient apart, and of the quality loss's
LONGEST = 256  # tokens of a reply, at most, where --max-new-tokens is not given
SLACK = 1.25  # room beyond the length that 95 % of the completions have
POOL = 8  # replies per prompt of rejection-sampled fine-tuning


# What a preset puts in place of the options that are not given. Few rows are learned by heart: less of everything, and the end where
# held-out cross-entropy says so. DROPOUT is for the methods that draw no rollouts, whose policy must be the one that is scored.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "conservative": {"rank": 8, "rate": 1e-4, "lam": 1.0, "n": 2, "dev_share": 0.15, "test_share": 0.15, "dropout": 0.05, "patience": 3},
}


@dataclass(frozen=True)
class Settings:
    """As asked for; None is filled in by `filled`."""

    method: str = "polychromic"
    lam: float = 3.0
    n: int = 4
    steps: int | None = None
    batch: int = 8
    rate: float | None = None
    warm_up: float = 0.5
    share: float = 1.0
    every: int = 1
    clip: float = CLIP
    rank: int = RANK
    max_new_tokens: int | None = None
    max_length: int = 1024
    good: float = 0.5
    dev_share: float = 0.2
    seed: int = 0
    system: str | None = None
    plain: bool = False
    precision: str = "auto"
    test_share: float = 0.0
    dropout: float = 0.0
    patience: int = 0

    def preset(self, name: str, given: Collection[str]) -> Settings:
        """With the preset's values but where the user gave one. Raises UsageError: no such preset."""
        if name not in PRESETS:
            raise UsageError(f"--preset {name}. Allowed: {', '.join(PRESETS)}. Choose one.")
        values = {key: value for key, value in PRESETS[name].items() if key not in given}
        if self.method != "lora":
            values.pop("dropout", None)
        return replace(self, **values)

    def check(self) -> None:
        """Raises UsageError that lists all that is out of range."""
        rules = {
            "method": (self.method in METHODS, f"one of {', '.join(METHODS)}"), "lam": (0 <= self.lam < float("inf"), "0 or more"),
            "n": (self.n >= 2, "2 or more"), "steps": (self.steps is None or self.steps >= 2, "2 or more"),
            "batch": (self.batch >= 2, "2 or more"), "rate": (self.rate is None or 0 < self.rate < 1, "above 0 and below 1"),
            "warm_up": (0 <= self.warm_up < 1, "0 or more and below 1, a share of the steps"),
            "share": (0 < self.share <= 1, "above 0, at most 1"), "every": (self.every >= 1, "1 or more"),
            "clip": (0 < self.clip < float("inf"), "above 0"), "rank": (self.rank >= 1, "1 or more"),
            "max_new_tokens": (self.max_new_tokens is None or self.max_new_tokens >= 1, "1 or more"),
            "max_length": (self.max_length >= 8, "8 or more tokens"), "good": (0 < self.good <= 1, "above 0, at most 1"),
            "dev_share": (0 <= self.dev_share < 1, "0 or more and below 1"),
            "test_share": (0 <= self.test_share < 1 - self.dev_share, "0 or more, and below 1 together with --dev-share"),
            "dropout": (0 <= self.dropout < 1 and self.method == "lora" or not self.dropout, "0 or more, below 1; 0 unless --method lora"),
            "patience": (self.patience >= 0, "0 or more validations; 0: train to the end"), "seed": (0 <= self.seed < 2**31, "0 or more"),
        }  # fmt: skip
        if wrong := [f"{option(name)} is {getattr(self, name)}. Allowed: {rule}" for name, (fits, rule) in rules.items() if not fits]:
            raise UsageError(f"train: {'; '.join(wrong)}. Correct them.")

    def filled(self, rows: int, reply_tokens: Sequence[int], parameters: float) -> Settings:
        """With what depends on the rows (their number, and the tokens of each completion) and on the model's size."""
        ordered = sorted(reply_tokens)
        typical = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        own = {
            "steps": self.steps or min(MOST_STEPS, max(LEAST_STEPS, ceil(PASSES * rows / self.batch))),
            "rate": self.rate or RATES[parameters >= LARGE],
            "max_new_tokens": self.max_new_tokens or min(LONGEST, max(8, ceil(SLACK * typical))),
        }
        return Settings(**asdict(self) | own)

    @property
    def after(self) -> int:
        """The step before which a method with rollouts or a pool trains as LoRA does."""
        return round(self.warm_up * (self.steps or 0))

    def public(self) -> dict[str, Any]:
        """As the card has them; what the method makes no use of is left out."""
        unused = {"lora": ("lam", "warm_up", "share", "every", "clip"), "rft": ("lam", "share", "every", "clip"), "polychromic": ()}
        return {name: value for name, value in asdict(self).items() if name not in unused[self.method] and value is not None}


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
