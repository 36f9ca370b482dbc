"""Rejection-sampled fine-tuning, the strongest peer that sees the checker: train, sample, keep what is good, train on.

After a share of the steps the model samples replies to every training prompt, once or every so many steps; the distinct good ones
become the training set of the remaining steps (Yuan et al. 2023, 2308.01825). Same optimiser, same schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import Trainer

from polychromic.base.seeds import derive_seed
from polychromic.method.sets import Quality, Similarity, checked
from polychromic.models.decode import uniforms
from polychromic.models.flops import prompts
from polychromic.models.flops import replies as attended
from polychromic.train.rollouts import ResumeState, Sampler

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
    """When and how the pool is sampled."""

    after: int  # optimiser step before which references are trained on
    samples: int  # replies per training prompt, at temperature 1
    quality: Quality
    similarity: Similarity
    max_new_tokens: int
    seed: int
    rows: int = 256  # replies decoded at once
    every: int | None = None  # steps from one round of sampling to the next, each adding to the pool; None: one round

    def replace(self, trainer: Trainer, sampler: Sampler, state: ResumeState, batches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The batches of a step, with pairs from the pool in their places; unchanged if nothing was good. Fills state.pool."""
        since = trainer.state.global_step - self.after
        if state.pool is None or (self.every and since % self.every == 0 and since):
            round_ = since // self.every if self.every else 0
            before = dict.fromkeys((row, tuple(tokens)) for row, tokens in state.pool or [])
            found = dict.fromkeys((row, tuple(tokens)) for row, tokens in self.fill(trainer, sampler, round_))
            state.pool = [(row, list(tokens)) for row, tokens in before | found]
        if not state.pool:
            return list(batches)
        replaced = []
        for micro, batch in enumerate(batches):
            b = len(batch["prompt"])
            whole, first = sampler.everywhere(b)
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "pool", trainer.state.global_step, micro))
            pairs = [state.pool[i] for i in torch.randint(len(state.pool), (whole,), generator=generator)[first : first + b]]
            rows = [trainer.prompt_row(row) | {"completion": tokens, "weight": 1.0} for row, tokens in pairs]
            replaced.append(trainer._prepare_inputs(trainer.data_collator(rows)))
        return replaced

    def fill(self, trainer: Trainer, sampler: Sampler, number: int = 0) -> list[tuple[int, list[int]]]:
        """Sample the distinct prompts of the training set, those without a reference behind them; (row, reply tokens) of the distinct good
        replies.

        Of more prompts than rows are left to train on, as many are drawn: others would be paid for and hardly used.
        """
        model = trainer.accelerator.unwrap_model(trainer.model)
        first: dict[tuple[int, ...], int] = {}
        for row in range(len(trainer.train_dataset) + len(trainer.unlabelled)):
            first.setdefault(tuple(trainer.data_collator([trainer.prompt_row(row)])["prompt"][0].tolist()), row)
        lengths = {row: len(prompt) for prompt, row in first.items()}
        rows = list(lengths)
        per_step = sampler.everywhere(trainer.args.per_device_train_batch_size * trainer.args.gradient_accumulation_steps)[0]
        left = (trainer.state.max_steps - trainer.state.global_step) * per_step
        if 0 < left < len(rows):
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "pool prompts"))
            rows = [rows[i] for i in torch.randperm(len(rows), generator=generator)[:left].tolist()]
        rows = sorted(rows, key=lambda row: (lengths[row], row))
        pool: list[tuple[int, list[int]]] = []
        at_once = max(1, self.rows // self.samples)
        for begin in range(0, len(rows), at_once):
            examples = {row: trainer.prompt_row(row) for row in rows[begin : begin + at_once]}
            batch = trainer._prepare_inputs(trainer.data_collator(list(examples.values())))
            index = torch.arange(len(examples), device=batch["prompt"].device).repeat_interleave(self.samples)
            numbers = uniforms(len(index), self.max_new_tokens, self.seed, "pool", begin, *([number] if number else []))
            replies = sampler.draw(model, sampler.prefill(model, batch), index, numbers, list(examples.values()))
            texts = sampler.texts(replies.contents())
            state = trainer.resume_state
            state.checked += len(texts)
            if trainer.flops:
                lengths, mask = batch["prompt_mask"].sum(-1), replies.mask
                tokens, positions = attended(mask, lengths[index])
                whole, before = prompts(batch["prompt_mask"])
                state.flops += trainer.flops.forward(whole + tokens, before + positions, tokens)
            for place, (row, example) in enumerate(examples.items()):
                part = slice(place * self.samples, (place + 1) * self.samples)
                # A reply that was cut at the horizon must not teach the model to stop there.
                q = checked(self.quality, example, texts[part], 1) * replies.finished[part].cpu().numpy()
                for i in distinct_good(q, checked(self.similarity, example, texts[part], 2)):
                    pool.append((row, replies.tokens[part][i][replies.mask[part][i].bool()].tolist()))
            if trainer.flops:
                state.flops += trainer.of_scoring()
        return pool
