"""Rollouts of a training step: which prompts get one, N replies to each, and each reply's weight in the gradient of D.

Everything random is drawn over the whole batch of a step, of which each process takes its part, so that the number of
processes does not change what is drawn for an example.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from polychromic.base.seeds import derive_seed
from polychromic.method import advantages as adv
from polychromic.method.sets import Example, ScoredSets, SetObjectiveConfig, merge_equal, score_sets
from polychromic.models.decode import Prefill, Replies, evaluating, prefill, sample, uniforms
from polychromic.models.prompts import end_tokens

DECAY = 0.9  # of the running mean of marginals


class ResumeState(TrainerCallback, ExportableState):
    """What training needs beside weights and optimiser to resume to the same result; Trainer writes it into trainer_state.json."""

    def __init__(self) -> None:
        self.restore()

    def restore(
        self,
        running: float | None = None,
        pool: list[tuple[int, list[int]]] | None = None,
        rounds: int = 0,
        began: float = 0.0,
        flops: float = 0.0,
        checked: int = 0,
    ) -> None:
        self.running = running  # running mean of marginal contributions, None before the first rollout
        self.pool = pool  # accepted (row of the dataset, reply tokens) of rejection-sampled fine-tuning, None before it was sampled
        self.rounds, self.began = rounds, began  # of its sampling: how many there were; FLOPs that had been spent before the first
        self.flops, self.checked = flops, checked  # of training so far (models/flops.py); replies that q and s were asked about

    def state(self) -> dict[str, Any]:
        names = ("running", "pool", "rounds", "began", "flops", "checked")
        return {"args": {}, "attributes": {name: getattr(self, name) for name in names}}


class Sampler:
    """Draws replies with the trainer's tokenizer and precision.

    Args: broken, makes the error about numbers that are not finite, from what they are and the rows of the dataset.
    """

    def __init__(self, tokenizer: Any, accelerator: Accelerator, broken: Callable[[str, Sequence[Example]], Exception]):
        self.tokenizer, self.accelerator, self.broken = tokenizer, accelerator, broken

    # In evaluation mode, since gradient checkpointing switches the cache off in training mode; without dropout the modes are one.

    def prefill(self, model: torch.nn.Module, batch: dict[str, Any]) -> Prefill:
        """A prefill without a graph, for layouts that make none."""
        with evaluating(model), torch.no_grad(), self.accelerator.autocast():
            return prefill(model, batch["prompt"], batch["prompt_mask"])

    def draw(self, model: torch.nn.Module, start: Prefill, index: Tensor, uniform: Tensor, examples: Sequence[Example]) -> Replies:
        """`sample` at temperature 1. examples: the row of each prompt of `start`, to name in an error."""
        broken = (~torch.isfinite(start.hidden.detach()).all(-1)).nonzero().flatten().tolist()
        if broken:  # nothing can be drawn from it
            raise self.broken("model's state after the prompt", [examples[i] for i in broken])
        with evaluating(model), self.accelerator.autocast():
            ends = end_tokens(self.tokenizer, model)
            return sample(model, start, index, uniform, end_tokens=ends, pad_token=self.tokenizer.pad_token_id)

    def texts(self, tokens: Sequence[list[int]]) -> list[str]:
        return [text.strip() for text in self.tokenizer.batch_decode(tokens, skip_special_tokens=True)]

    def everywhere(self, b: int) -> tuple[int, int]:
        """Size of the whole batch, and where this process's b examples begin in it."""
        return b * self.accelerator.num_processes, b * self.accelerator.process_index


class Drawn(NamedTuple):
    """Sampled replies that carry weight in D, and what the step's log says of all that were sampled."""

    rows: list[tuple[int, tuple[int, ...]]]  # (place of the prompt in the batch, tokens) of each reply
    weight: np.ndarray  # (len(rows),) float64, of its log-probability; `sum(weight * log_p)` has the gradient of D, summed over the prompts
    prompts: int  # with a rollout, in this process, at least 1
    notes: dict[str, float]
    index: Tensor  # (R,) prompt, and (R, T) tokens, of all that were drawn
    mask: Tensor


class Rollouts:
    """Draws and scores sets of replies for the steps of one training run."""

    def __init__(self, config: SetObjectiveConfig, sampler: Sampler, state: ResumeState):
        self.config, self.sampler, self.state = config, sampler, state

    def due(self, step: int) -> bool:
        return step >= self.config.after and (step - self.config.after) % self.config.every == 0

    def prompts(self, b: int) -> int:
        """How many prompts of a batch of b per process get a rollout, over all processes."""
        return max(1, round(self.config.share * self.sampler.everywhere(b)[0]))

    def chosen(self, b: int, names: tuple[int, int]) -> np.ndarray:
        """Which of this process's b examples get a rollout. names: (optimiser step, number of the batch within it)."""
        whole, first = self.sampler.everywhere(b)
        generator = torch.Generator().manual_seed(derive_seed(self.config.seed, "chosen", *names))
        chosen = np.sort(torch.randperm(whole, generator=generator).numpy()[: self.prompts(b)])
        return chosen[(chosen >= first) & (chosen < first + b)] - first

    def uniforms(self, b: int, names: tuple[int, int], here: np.ndarray) -> Tensor:
        """(chosen * N, T): each example of the whole batch has uniforms of its own, whichever process holds it."""
        config, (whole, first) = self.config, self.sampler.everywhere(b)
        numbers = uniforms(whole * config.n, config.max_new_tokens, config.seed, "rollout", *names)
        return numbers.view(whole, config.n, -1)[first + here].flatten(0, 1)

    def draw(self, model: torch.nn.Module, start: Prefill | None, batch: dict[str, Any], names: tuple[int, int]) -> Drawn:
        """The batch's rollouts. Replies without weight are left out; at lam = 0 all are: the step is standard LoRA's to the last bit.

        Args: start, the prefill of the batch, None to make one. names: (optimiser step, number of the batch within it).
        """
        config, b = self.config, len(batch["prompt"])
        here = self.chosen(b, names)
        scored, rows, notes, mask = None, [], {}, torch.zeros(0, 1)
        index = torch.as_tensor(here, device=batch["prompt"].device).repeat_interleave(config.n)
        if len(here):
            start = start or self.sampler.prefill(model, batch)
            replies = self.sampler.draw(model, start, index, self.uniforms(b, names, here), batch["examples"])
            examples, ended = [batch["examples"][i] for i in here], replies.finished.tolist()
            scored = score_sets(config, examples, self.sampler.texts(replies.contents()), ended)
            mask = replies.mask
            rows = [(int(i), tuple(row[real].tolist())) for i, row, real in zip(index, replies.tokens, mask.bool(), strict=True)]
            notes = {"objective": scored.f.mean(), "quality": scored.q.mean(), "rollout_tokens": mask.sum(-1).float().mean()}
            self.state.checked += len(rows)
        advantages = self.advantages(scored, here, b).reshape(-1)
        rows, weight = merge_equal(rows, config.every * advantages) if config.lam else ([], np.zeros(0))
        return Drawn(rows, weight, max(1, len(here)), {name: float(value) for name, value in notes.items()}, index, mask)

    def advantages(self, scored: ScoredSets | None, here: Sequence[int], b: int) -> np.ndarray:
        """(chosen, N) of sets that stand at places `here` of b. Means over other prompts are taken over all processes."""
        accelerator = self.sampler.accelerator
        means = torch.full((b,), torch.nan, dtype=torch.float64, device=accelerator.device)
        if scored is not None:
            means[torch.as_tensor(here)] = torch.as_tensor(scored.marginals.mean(axis=1), device=means.device)
        everywhere = accelerator.gather(means).cpu().numpy()
        everywhere = everywhere[~np.isnan(everywhere)]
        now, before = float(everywhere.mean()), self.state.running
        # a step's baseline is the mean before it, which its own replies cannot move
        self.state.running = now if before is None else DECAY * before + (1 - DECAY) * now
        if scored is None:
            return np.zeros((0, self.config.n))
        others = adv.mean_of_others(scored.marginals.mean(axis=1), everywhere)
        return adv.advantages(self.config.baseline, self.config.objective, scored.q, scored.s, others=others, running=before)
