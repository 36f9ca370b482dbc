"""Bulk mode: one large rollout serves the prompts of the next K steps, and what of it must survive a kill.

Decoding costs far less per token in large batches. The price is that samples grow old: at their use the policy has
moved, and an importance weight corrects for it (`SetObjectiveConfig.correction`). Drawn with the same uniforms as
rollouts at each step would be, so that at a learning rate of 0 both give the same gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from polychromic.method.sets import score_sets

if TYPE_CHECKING:
    from polychromic.train.trainer import PolychromicTrainer


@dataclass(frozen=True)
class StoredSet:
    """N replies to one prompt: tokens (end token included), log-probability when drawn, advantage."""

    tokens: list[list[int]]
    log_p: list[float]
    advantages: list[float]


class RolloutStore(TrainerCallback, ExportableState):
    """What training needs beside weights and optimiser to resume to the same result; Trainer writes it into trainer_state.json.

    Attributes:
        until: first step that the stored sets do not serve.
        sets: "step/batch/place" -> StoredSet.
        running: running mean of marginal contributions, None before the first rollout.
        pool: accepted (row of the dataset, reply tokens) of rejection-sampled fine-tuning, None before it was sampled.
    """

    def __init__(self) -> None:
        self.until = 0
        self.sets: dict[str, StoredSet] = {}
        self.running: float | None = None
        self.pool: list[tuple[int, list[int]]] | None = None

    def state(self) -> dict[str, Any]:
        sets = {key: asdict(entry) for key, entry in self.sets.items()}
        return {"args": {}, "attributes": {"until": self.until, "sets": sets, "running": self.running, "pool": self.pool}}

    def restore(self, attributes: dict[str, Any]) -> None:
        self.until, self.running, self.pool = attributes["until"], attributes["running"], attributes["pool"]
        self.sets = {key: StoredSet(**entry) for key, entry in attributes["sets"].items()}

    def put(self, step: int, micro: int, place: int, entry: StoredSet) -> None:
        self.sets[f"{step}/{micro}/{place}"] = entry

    def take(self, step: int, micro: int, b: int) -> list[tuple[int, StoredSet]]:
        """(place in the batch, set) of the batch's prompts that have one."""
        found = ((place, self.sets.get(f"{step}/{micro}/{place}")) for place in range(b))
        return [(place, entry) for place, entry in found if entry is not None]


def draw_ahead(trainer: PolychromicTrainer, step: int, steps: Sequence[Sequence[dict[str, Any]]]) -> None:
    """Draw and score the rollouts of `steps` (the batches of each coming step) at once, into the trainer's store."""
    config, store = trainer.objective, trainer.store
    examples, uniform, keys, places, total = [], [], [], [], 0
    for ahead, batches in enumerate(steps):
        for micro, batch in enumerate(batches):
            names, b = (step + ahead, micro), len(batch["prompt"])
            here = trainer.chosen(b, names)
            uniform.append(trainer.uniforms_of(b, names, here))
            examples += [batch["examples"][place] for place in here]
            keys += [(*names, int(place)) for place in here]
            places += [total + int(place) for place in here]
            total += b
    store.sets, store.until = {}, step + len(steps)
    model = trainer.accelerator.unwrap_model(trainer.model)
    if examples:
        batch = trainer._prepare_inputs(trainer.data_collator(examples))
        index = torch.arange(len(examples), device=batch["prompt"].device).repeat_interleave(config.n)
        replies = trainer.draw_replies(model, trainer.prefill_for_decoding(model, batch), index, torch.cat(uniform).flatten(0, 1), examples)
        scored = score_sets(config, examples, trainer.texts(replies.tokens))
        trainer.note_sets(scored, replies)
    weights = trainer.advantages(scored if examples else None, places, total)
    for number, (key, weight) in enumerate(zip(keys, weights, strict=True)):
        part = slice(number * config.n, (number + 1) * config.n)
        tokens = [row[keep].tolist() for row, keep in zip(replies.tokens[part], replies.mask[part].bool(), strict=True)]
        store.put(*key, StoredSet(tokens, replies.log_p[part].tolist(), weight.tolist()))


def importance_weights(correction: str, log_p: Tensor, old: Tensor, n: int, note: Callable[[str, float], None]) -> Tensor:
    """Weight of each reply under the present policy, and the effective sample size as a share ("ess") to `note`.

    Args:
        correction: "set": product of the ratios of all N replies of its set, which makes the gradient unbiased;
            "reply": its own ratio, as if the others had been drawn now; "none": 1.
        log_p, old: (R,) log-probabilities now and when drawn; for "set" R = sets * n, one set after the other.
    """
    if correction == "none" or not len(log_p):
        return torch.ones_like(log_p)
    ratio = (log_p - old).view(-1, n).sum(-1).exp() if correction == "set" else (log_p - old).exp()
    note("ess", float(ratio.sum() ** 2 / (len(ratio) * (ratio**2).sum())))
    return ratio.repeat_interleave(n) if correction == "set" else ratio
