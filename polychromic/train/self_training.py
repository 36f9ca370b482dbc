"""Rejection-sampled fine-tuning, the strongest peer that sees the checker: train, sample, keep what is good, train on.

After a share of the steps the model samples replies to every training prompt once; the distinct good ones become the
training set of the remaining steps (Yuan et al. 2023, 2308.01825). Same optimiser, same schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from polychromic.base.seeds import derive_seed
from polychromic.method.sets import Quality, Similarity, checked
from polychromic.models.decode import uniforms

if TYPE_CHECKING:
    from polychromic.train.trainer import PolychromicTrainer

SAME = 1.0 - 1e-6  # similarity from which two replies count as one


def distinct_good(q: np.ndarray, s: np.ndarray) -> list[int]:
    """The replies with q > 0 that are not the same as an earlier one of them. q (N,), s (N, N)."""
    kept: list[int] = []
    for i in np.flatnonzero(q > 0):
        if not any(s[i, j] >= SAME for j in kept):
            kept.append(int(i))
    return kept


@dataclass(frozen=True)
class SelfTraining:
    """When and how the pool is sampled.

    Attributes:
        after: optimiser step before which references are trained on.
        samples: replies per training prompt, at temperature 1.
        rows: replies decoded at once.
    """

    after: int
    samples: int
    quality: Quality
    similarity: Similarity
    max_new_tokens: int
    seed: int
    rows: int = 256

    def replace(self, trainer: PolychromicTrainer, batches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The batches of a step, with pairs from the pool in their places once it is due; unchanged if nothing was good."""
        step = trainer.state.global_step
        if step < self.after:
            return list(batches)
        if trainer.store.pool is None:
            trainer.store.pool = self.fill(trainer)
        trainer.note("pool", len(trainer.store.pool))
        return [self._draw(trainer, batch, step, micro) for micro, batch in enumerate(batches)] if trainer.store.pool else list(batches)

    def _draw(self, trainer: PolychromicTrainer, batch: dict[str, Any], step: int, micro: int) -> dict[str, Any]:
        b, accelerator = len(batch["prompt"]), trainer.accelerator
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "pool", step, micro))
        everywhere = torch.randint(len(trainer.store.pool), (b * accelerator.num_processes,), generator=generator).tolist()
        mine = everywhere[b * accelerator.process_index : b * (accelerator.process_index + 1)]
        pairs = [trainer.store.pool[i] for i in mine]
        rows = [dict(trainer.train_dataset[row]) | {"completion": tokens, "weight": 1.0} for row, tokens in pairs]
        return trainer._prepare_inputs(trainer.data_collator(rows))

    def fill(self, trainer: PolychromicTrainer) -> list[tuple[int, list[int]]]:
        """Sample the distinct prompts of the training set; (row, reply tokens) of the distinct good replies.

        Of more prompts than rows are left to train on, as many are drawn: others would be paid for and hardly used.
        """
        model = trainer.accelerator.unwrap_model(trainer.model)
        first: dict[tuple[int, ...], int] = {}
        for row in range(len(trainer.train_dataset)):
            batch = trainer.data_collator([trainer.train_dataset[row]])
            first.setdefault(tuple(batch["prompt"][0].tolist()), row)
        arguments = trainer.args
        per_step = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * trainer.accelerator.num_processes
        left = (trainer.state.max_steps - trainer.state.global_step) * per_step
        rows = list(first.values())
        if 0 < left < len(rows):
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "pool prompts"))
            rows = [rows[i] for i in torch.randperm(len(rows), generator=generator)[:left].tolist()]
        rows = sorted(rows, key=lambda row: (len(trainer.data_collator([trainer.train_dataset[row]])["prompt"][0]), row))
        pool: list[tuple[int, list[int]]] = []
        at_once = max(1, self.rows // self.samples)
        for begin in range(0, len(rows), at_once):
            chosen = rows[begin : begin + at_once]
            examples = [dict(trainer.train_dataset[row]) for row in chosen]
            batch = trainer._prepare_inputs(trainer.data_collator(examples))
            index = torch.arange(len(chosen), device=batch["prompt"].device).repeat_interleave(self.samples)
            numbers = uniforms(len(index), self.max_new_tokens, self.seed, "pool", begin)
            replies = trainer.draw_replies(model, trainer.prefill_for_decoding(model, batch), index, numbers, examples)
            texts = trainer.texts(replies.tokens)
            for place, (row, example) in enumerate(zip(chosen, examples, strict=True)):
                part = slice(place * self.samples, (place + 1) * self.samples)
                # A reply that was cut at the horizon must not teach the model to stop there.
                q = checked(self.quality, example, texts[part], 1) * replies.finished[part].cpu().numpy()
                for i in distinct_good(q, checked(self.similarity, example, texts[part], 2)):
                    pool.append((row, replies.tokens[part][i][replies.mask[part][i].bool()].tolist()))
        return pool
