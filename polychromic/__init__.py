"""Polychromic LoRA: fine-tune a language model so that a *set* of its replies is good and diverse.

    from polychromic import PolychromicTrainer, SetObjectiveConfig, evaluate

`PolychromicTrainer` is transformers.Trainer with the loss L = L_quality - lam * D, `SetObjectiveConfig` says what D is, and
`evaluate` judges replies of any model as sets. docs/library.md shows all three. Everything else is the paper's own pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

__version__ = "0.1.0"
__all__ = ["PolychromicTrainer", "SetObjectiveConfig", "evaluate"]
_HOMES = {"PolychromicTrainer": "polychromic.train.trainer", "SetObjectiveConfig": "polychromic.method.sets"}


def evaluate(
    samples: Sequence[Mapping[str, Any] | str | PathLike],
    metrics: Sequence[str] | None = None,
    *,
    ks: Sequence[int] | None = None,
    encoder: bool = True,
    seed: int = 0,
    bootstrap: int = 10_000,
) -> dict[str, Any]:
    """Metrics of replies, as `polychromic evaluate --samples` has them, with 95 % intervals over prompts.

    Args:
        samples: rows {"id", "prompt", "samples": [text, ...]} and, where there are such, "references", "valid", "system",
            "temperature" and "seed" (polychromic.yours.evaluate.inputs); or files and folders of such rows.
        metrics: names such as "pass@10" and "self_bleu"; None takes all that the rows allow.
        ks: numbers of drafts that a person sees, for the metrics taken by default.
        encoder: whether metrics may read sentence vectors, whose model is downloaded once.
        seed, bootstrap: of the intervals' resamples, and their number.

    Returns:
        {"systems": [{"system", "n_prompts", "n_samples", "metrics": {name: {"mean", "low", "high", ...}}, ...}], "signatures", "notes"}.

    Raises:
        PolychromicError: rows that are not as above, or a metric that does not exist for them; it says which, and what to do.
    """
    from polychromic.yours.evaluate import evaluate as evaluation
    from polychromic.yours.evaluate.inputs import group, read_row, read_systems

    if all(isinstance(row, Mapping) for row in samples):
        rows = [read_row(f"row {number}", dict(row), system="samples") for number, row in enumerate(samples)]
        systems = group(Path("samples"), rows)
    else:
        systems = read_systems([Path(path) for path in samples])
    return evaluation.evaluate(systems, evaluation.Asked(metrics, ks, encoder, seed, bootstrap))


def __getattr__(name: str) -> Any:
    """Training is imported when it is first asked for: `import polychromic` takes no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its public names: {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)
