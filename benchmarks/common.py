"""What the benchmarks share: where results go, what ran them, clocks, and sampling as `generate` does it."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig

from polychromic.base.errors import PolychromicError
from polychromic.base.hardware import cpu_model
from polychromic.models.prompts import end_tokens
from polychromic.params import Method, Params
from polychromic.provenance.commit import current

RESULTS = Path("benchmarks") / "results"


def device_name() -> str:
    """The accelerator's name where there is one, else the processor's."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return cpu_model()


def commit_name() -> str:
    """Short commit of the workspace, with -dirty where files differ from it; "unknown" outside of a repository."""
    return current().name


def command(main: Callable[[], None]) -> None:
    """Run a benchmark as a command: a domain error is one message on stderr and its exit code."""
    try:
        main()
    except PolychromicError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


def now() -> float:
    """Seconds on a clock that waits for the accelerator."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def headline(params: Params, name: str) -> tuple[Method, float | None]:
    """A method and its weight of D: the headline's where the grid has several."""
    method = params.methods[name]
    return method, params.lam if method.lam == "lambda" else method.lam


def relative(a: np.ndarray, b: np.ndarray, resamples: int, seed: int) -> tuple[float, float, float]:
    """mean(a) / mean(b), paired (n,), and its 95 % bootstrap interval over the n."""
    draws = np.random.default_rng(seed).integers(0, len(a), (resamples, len(a)))
    low, high = np.quantile(a[draws].mean(-1) / b[draws].mean(-1), [0.025, 0.975])
    return float(a.mean() / b.mean()), float(low), float(high)


class Timers:
    """Seconds spent in wrapped functions, by the name of a part. Functions of one part must not call each other."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()

    def wrap(self, part: str, function: Callable) -> Callable:
        @wraps(function)
        def timed(*args, **kwargs):  # noqa: ANN002, ANN003, ANN202 - the wrapped function's
            started = now()
            try:
                return function(*args, **kwargs)
            finally:
                self.spent[part] += now() - started

        return timed

    def take(self) -> dict[str, float]:
        """Seconds by part since the last call."""
        spent, self.spent = dict(self.spent), Counter()
        return spent


def generate_replies(model: torch.nn.Module, tokenizer, ids: Tensor, mask: Tensor, n: int, horizon: int) -> tuple[Tensor, Tensor]:  # noqa: ANN001
    """n replies to each prompt by `model.generate` at temperature 1, nothing truncated: tokens and mask, (B * n, T), end token included.

    Args: ids, mask (B, P), left padded. horizon: T, where replies are cut.
    """
    ends = end_tokens(tokenizer, model)
    settings = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        num_return_sequences=n,
        max_new_tokens=horizon,
        eos_token_id=ends,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.no_grad():
        tokens = model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)[:, ids.shape[1] :]
    end = torch.isin(tokens, torch.tensor(ends, device=tokens.device)).long()
    return tokens, (end.cumsum(-1) - end == 0).long()
