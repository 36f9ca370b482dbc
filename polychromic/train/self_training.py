"""Rejection-sampled fine-tuning, the strongest peer that sees the checker: train, sample, keep what is good, train on.

After a number of steps the model samples replies to training prompts, once or in several rounds; the distinct good ones become the
training set of the remaining steps (Yuan et al. 2023, 2308.01825; with several rounds, ReST, 2308.08998). Same optimiser, same schedule.
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
    # Of a training with a budget: how often the pool is added to, at equal shares of what the budget leaves after the first steps, and how
    # much of such a share is spent on sampling, of as many prompts as that pays for. None: one round, of all prompts.
    rounds: int = 1
    spend: float | None = None

    def replace(self, trainer: Trainer, sampler: Sampler, state: ResumeState, batches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The batches of a step, with pairs from the pool in their places; unchanged if nothing was good. Fills state.pool."""
        if self.due(trainer.budget, state):
            if not state.rounds:
                state.began = state.flops
            before = dict.fromkeys((row, tuple(tokens)) for row, tokens in state.pool or [])
            found = dict.fromkeys((row, tuple(tokens)) for row, tokens in self.fill(trainer, sampler, state.rounds))
            state.pool = [(row, list(tokens)) for row, tokens in before | found]
            state.rounds += 1
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

    def due(self, budget: float | None, state: ResumeState) -> bool:
        """Whether the next round is."""
        if not state.rounds or budget is None:
            return not state.rounds
        share = (budget - state.began) / self.rounds
        return state.rounds < self.rounds and state.flops >= state.began + state.rounds * share

    def fill(self, trainer: Trainer, sampler: Sampler, number: int = 0) -> list[tuple[int, list[int]]]:
        """Sample the distinct prompts of the training set, those without a reference behind them; (row, reply tokens) of the distinct good
        replies.

        Of more prompts than rows are left to train on, as many are drawn: others would be paid for and hardly used. With `spend`, prompts
        are taken in an order of their own until the round has spent its share.
        """
        model = trainer.accelerator.unwrap_model(trainer.model)
        first: dict[tuple[int, ...], int] = {}
        for row in range(len(trainer.train_dataset) + len(trainer.unlabelled)):
            first.setdefault(tuple(trainer.data_collator([trainer.prompt_row(row)])["prompt"][0].tolist()), row)
        lengths = {row: len(prompt) for prompt, row in first.items()}
        rows = list(lengths)
        per_step = sampler.everywhere(trainer.args.per_device_train_batch_size * trainer.args.gradient_accumulation_steps)[0]
        left = (trainer.state.max_steps - trainer.state.global_step) * per_step
        state, most = trainer.resume_state, float("inf")
        if self.spend is not None and trainer.budget:
            most = state.flops + self.spend * (trainer.budget - state.began) / self.rounds
        if 0 < left < len(rows) or most < float("inf"):
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "pool prompts", *([number] if number else [])))
            rows = [rows[i] for i in torch.randperm(len(rows), generator=generator)[: left or None].tolist()]
        if most == float("inf"):
            rows = sorted(rows, key=lambda row: (lengths[row], row))
        pool: list[tuple[int, list[int]]] = []
        at_once = max(1, self.rows // self.samples)
        for begin in range(0, len(rows), at_once):
            if state.flops >= most:
                break
            examples = {row: trainer.prompt_row(row) for row in rows[begin : begin + at_once]}
            batch = trainer._prepare_inputs(trainer.data_collator(list(examples.values())))
            index = torch.arange(len(examples), device=batch["prompt"].device).repeat_interleave(self.samples)
            numbers = uniforms(len(index), self.max_new_tokens, self.seed, "pool", begin, *([number] if number else []))
            replies = sampler.draw(model, sampler.prefill(model, batch), index, numbers, list(examples.values()))
            texts = sampler.texts(replies.contents())
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
