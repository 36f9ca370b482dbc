"""The part of the Trainer that draws rollouts: for which prompts, from which uniforms, and with which weights they return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from polychromic.base.seeds import derive_seed
from polychromic.method import advantages as adv
from polychromic.method.sets import Example, ScoredSets, SetObjectiveConfig, merge_equal, score_sets
from polychromic.models.decode import Prefill, Replies, prefill, sample, uniforms
from polychromic.train.batches import append_replies

if TYPE_CHECKING:
    from accelerate import Accelerator

    from polychromic.train.bulk import RolloutStore


class RolloutMixin:
    """Beside transformers.Trainer, whose accelerator and processing_class it uses.

    Everything random is drawn over the whole batch of a step, of which each process takes its part, so that the number of
    processes does not change what is drawn for an example.
    """

    accelerator: Accelerator
    objective: SetObjectiveConfig | None
    store: RolloutStore
    _micro: tuple[int, int]

    def chosen(self, b: int, names: tuple[int, int]) -> np.ndarray:
        """Which of this process's b examples get a rollout. Drawn over the whole batch, so that processes do not matter.

        Args: names: (optimiser step, number of the batch within it).
        """
        whole, first = b * self.accelerator.num_processes, b * self.accelerator.process_index
        generator = torch.Generator().manual_seed(derive_seed(self.objective.seed, "chosen", *names))
        order = torch.randperm(whole, generator=generator).numpy()
        chosen = np.sort(order[: self.chosen_prompts(b)])
        return chosen[(chosen >= first) & (chosen < first + b)] - first

    def uniforms_of(self, b: int, names: tuple[int, int], here: np.ndarray) -> Tensor:
        """(chosen, N, T): each example of the whole batch has uniforms of its own, whichever process holds it."""
        whole, first = b * self.accelerator.num_processes, b * self.accelerator.process_index
        config = self.objective
        return uniforms(whole * config.n, config.max_new_tokens, config.seed, "rollout", *names).view(whole, config.n, -1)[first + here]

    def chosen_prompts(self, b: int) -> int:
        """How many prompts of a batch of b per process get a rollout, over all processes."""
        return max(1, round(self.objective.share * b * self.accelerator.num_processes))

    def draw_replies(self, model: torch.nn.Module, start: Prefill, index: Tensor, uniform: Tensor, examples: Sequence[Example]) -> Replies:
        """`sample` with the trainer's tokenizer and precision. examples: the row of each prompt of `start`, to name in an error."""
        broken = (~torch.isfinite(start.hidden.detach()).all(-1)).nonzero().flatten().tolist()
        if broken:  # nothing can be drawn from it
            raise self._broken("model's state after the prompt", [examples[i] for i in broken])
        tokenizer, training = self.processing_class, model.training
        model.eval()  # gradient checkpointing switches the cache off in training mode; without dropout the modes are one
        with self.accelerator.autocast():
            replies = sample(model, start, index, uniform, end_token=tokenizer.eos_token_id, pad_token=tokenizer.pad_token_id)
        model.train(training)
        return replies

    def prefill_for_decoding(self, model: torch.nn.Module, batch: dict[str, Any]) -> Prefill:
        """A prefill without a graph, for layouts that make none, and for bulk mode."""
        training = model.training
        model.eval()
        with torch.no_grad(), self.accelerator.autocast():
            start = prefill(model, batch["prompt"], batch["prompt_mask"])
        model.train(training)
        return start

    def texts(self, tokens: Tensor) -> list[str]:
        return [text.strip() for text in self.processing_class.batch_decode(tokens, skip_special_tokens=True)]

    def _with_rollouts(self, model: torch.nn.Module, start: Prefill | None, batch: dict[str, Any]) -> tuple:
        """References with the sampled replies that carry weight behind them: (index, tokens, mask, weight of the latter, notes).

        A reply without weight is not scored; at lam = 0 none is, so that the step is standard LoRA's to the last bit.
        """
        config, names, b, pad = self.objective, self._micro, len(batch["prompt"]), self.processing_class.pad_token_id
        if config.reuse > 1:
            stored = self.store.take(*names, b)
            rows = [(place, tuple(reply)) for place, entry in stored for reply in entry.tokens]
            weight = config.lam * np.array([advantage for _, entry in stored for advantage in entry.advantages])
            old = np.array([log_p for _, entry in stored for log_p in entry.log_p])
            # The weight of a set needs the probability of all of its replies.
            kept = np.arange(len(rows)) if config.correction == "set" and config.lam else np.flatnonzero(weight)
            parts = {"prompts": max(1, len(stored)), "old": torch.as_tensor(old[kept], dtype=torch.float32, device=batch["prompt"].device)}
            return *append_replies(batch, [rows[i] for i in kept], weight[kept], pad), parts
        here = self.chosen(b, names)
        index = torch.as_tensor(here, device=batch["prompt"].device).repeat_interleave(config.n)
        start = start or self.prefill_for_decoding(model, batch)
        scored, rows = None, []
        if len(here):
            replies = self.draw_replies(model, start, index, self.uniforms_of(b, names, here).flatten(0, 1), batch["examples"])
            scored = score_sets(config, [batch["examples"][i] for i in here], self.texts(replies.tokens))
            self.note_sets(scored, replies)
            rows = [(int(i), tuple(row[real].tolist())) for i, row, real in zip(index, replies.tokens, replies.mask.bool(), strict=True)]
        kept, weight = merge_equal(rows, config.lam * config.every * self.advantages(scored, here, b).reshape(-1))
        return *append_replies(batch, [rows[i] for i in kept], weight, pad), {"prompts": max(1, len(here))}

    def advantages(self, scored: ScoredSets | None, here: Sequence[int], b: int) -> np.ndarray:
        """(chosen, N) of sets that stand at places `here` of b. Means over other prompts are taken over all processes."""
        means = torch.full((b,), torch.nan, dtype=torch.float64, device=self.accelerator.device)
        if scored is not None:
            means[torch.as_tensor(here)] = torch.as_tensor(scored.marginals.mean(axis=1), device=means.device)
        everywhere = self.accelerator.gather(means).cpu().numpy()
        everywhere = everywhere[~np.isnan(everywhere)]
        running = self._running_mean(float(everywhere.mean()))
        if scored is None:
            return np.zeros((0, self.objective.n))
        own = scored.marginals.mean(axis=1)
        others = (everywhere.sum() - own) / (len(everywhere) - 1) if len(everywhere) > 1 else np.zeros_like(own)
        return adv.advantages(self.objective.baseline, self.objective.objective, scored.q, scored.s, others=others, running=running)

    def _running_mean(self, now: float, decay: float = 0.9) -> float:
        """The mean before this step, which replies of this step cannot move; then moved by this step's."""
        before = self.store.running
        self.store.running = now if before is None else decay * before + (1 - decay) * now
        return before or 0.0

    def note_sets(self, scored: ScoredSets, replies: Replies) -> None:
        self.note("objective", float(scored.f.mean()))
        self.note("quality", float(scored.q.mean()))
        self.note("rollout_tokens", float(replies.mask.sum(-1).float().mean()))
