"""transformers.Trainer with the loss L = L_quality - lambda * D. Knows batches and a scoring function, no domain.

What differs from a plain Trainer step: the prompt is run once and its key-value cache serves the reference
reply (cross-entropy) and, for a share of the prompts, N sampled replies (score-function gradient of D).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Trainer

from polychromic.seeds import derive_seed
from polychromic.training.advantages import BASELINES, marginal_contributions
from polychromic.training.objective import OBJECTIVES, evaluate
from polychromic.training.rollout import Prefill, log_probs, prefill, sample

IGNORED_LOGS = {"epoch", "train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "train_loss"}

# (row numbers of the training set, N replies for each) -> q (B, N), s (B, N, N)
ScoreSets = Callable[[Sequence[int], Sequence[Sequence[str]]], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class SetObjectiveConfig:
    """How D enters the loss.

    Attributes:
        name: a key of polychromic.training.objective.OBJECTIVES.
        lam: weight of D in L = L_quality - lam * D; 0 draws rollouts and leaves training untouched.
        n: replies per set, N >= 2.
        share: share of the batch's prompts that get a rollout, in (0, 1].
        every: rollouts are drawn at every m-th step, and D's gradient is multiplied by m there. Neither share nor
            every changes the gradient's mean.
        baseline: a key of polychromic.training.advantages.BASELINES.
        max_new_tokens: horizon T; replies are cut there.
        seed: of the rollout streams.
        score: gives quality and similarity of sampled replies.
    """

    name: str
    lam: float
    n: int
    share: float
    every: int
    baseline: str
    max_new_tokens: int
    seed: int
    score: ScoreSets


def pad_sequences(sequences: Sequence[list[int]], pad_token: int, left: bool) -> tuple[Tensor, Tensor]:
    """Token ids of different lengths to (ids, mask), both (len(sequences), longest)."""
    width = max(map(len, sequences))
    ids, mask = [], []
    for sequence in sequences:
        gap = width - len(sequence)
        filler, ones, zeros = [pad_token] * gap, [1] * len(sequence), [0] * gap
        ids.append(filler + sequence if left else sequence + filler)
        mask.append(zeros + ones if left else ones + zeros)
    return torch.tensor(ids), torch.tensor(mask)


@dataclass(frozen=True)
class Collator:
    """Rows {"prompt": [ids], "reply": [ids], "row": int} to tensors: prompts padded left, replies right."""

    pad_token: int

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        prompt, prompt_mask = pad_sequences([row["prompt"] for row in rows], self.pad_token, left=True)
        reply, reply_mask = pad_sequences([row["reply"] for row in rows], self.pad_token, left=False)
        return {
            "prompt": prompt,
            "prompt_mask": prompt_mask,
            "reply": reply,
            "reply_mask": reply_mask,
            "row": torch.tensor([row["row"] for row in rows]),
        }


class PolychromicTrainer(Trainer):
    """Trainer whose training loss is token-mean cross-entropy minus lam * D, and whose evaluation loss is cross-entropy alone.

    Args:
        objective: None trains on cross-entropy only (standard LoRA).
        Everything else as transformers.Trainer; `processing_class` must be the tokenizer.

    Each step's log carries ce, and with an objective the step's D, quality and rollout_tokens; `history` returns
    them. Trainer keeps its logs in the checkpoint, so a resumed run has the whole history.
    """

    def __init__(self, *args: Any, objective: SetObjectiveConfig | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.objective = objective
        self.model_accepts_loss_kwargs = False  # the loss below is a mean already; Trainer divides by the accumulation steps
        self._parts: dict[str, list[float]] = {}
        if objective is not None and self.args.gradient_checkpointing:
            raise ValueError("rollouts share the prompt's key-value cache, which gradient checkpointing switches off; turn it off")

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):  # noqa: ANN001, ANN201 - Trainer's signature
        start = prefill(model, inputs["prompt"], inputs["prompt_mask"])
        everyone = torch.arange(len(inputs["prompt"]), device=inputs["prompt"].device)
        log_p = log_probs(model, start, everyone, inputs["reply"], inputs["reply_mask"])
        loss = -log_p.sum() / inputs["reply_mask"].sum()
        if model.training:
            self._note("ce", loss.detach())
            if self.objective is not None and self.state.global_step % self.objective.every == 0:
                loss = loss - self.objective.lam * self.objective.every * self._surrogate(model, start, inputs["row"])
        return (loss, {"loss": loss}) if return_outputs else loss

    def _surrogate(self, model: torch.nn.Module, start: Prefill, row: Tensor) -> Tensor:
        """A scalar whose gradient is an unbiased estimate of the gradient of D over the batch's prompts."""
        config, tokenizer = self.objective, self.processing_class
        device = start.logits.device
        micro_step = len(self._parts.get("objective", ()))
        generator = torch.Generator(device=device).manual_seed(derive_seed(config.seed, "rollout", self.state.global_step, micro_step))
        b = len(row)
        chosen = torch.randperm(b, generator=generator, device=device)[: max(1, round(config.share * b))]
        index = chosen.repeat_interleave(config.n)
        replies = sample(
            model,
            start,
            index,
            end_token=tokenizer.eos_token_id,
            pad_token=tokenizer.pad_token_id,
            max_new_tokens=config.max_new_tokens,
            temperature=1.0,
            generator=generator,
        )
        texts = tokenizer.batch_decode(replies.tokens, skip_special_tokens=True)
        sets = [texts[i : i + config.n] for i in range(0, len(texts), config.n)]
        q, s = config.score(row[chosen].tolist(), sets)
        objective = OBJECTIVES[config.name]
        advantages = BASELINES[config.baseline](marginal_contributions(objective, q, s))
        log_p = log_probs(model, start, index, replies.tokens, replies.mask).sum(-1)  # (R,) sum over tokens, end token included
        weight = torch.as_tensor(advantages.reshape(-1), dtype=log_p.dtype, device=device)
        self._note("objective", float(evaluate(objective, q, s).mean()))
        self._note("quality", float(q.mean()))
        self._note("rollout_tokens", float(replies.mask.sum(-1).float().mean()))
        return (log_p * weight).sum() / len(chosen)

    def _note(self, name: str, value: float | Tensor) -> None:
        self._parts.setdefault(name, []).append(float(value))

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):  # noqa: ANN001, ANN201 - Trainer's signature
        with torch.no_grad():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs |= {name: float(np.mean(values)) for name, values in self._parts.items()}
            self._parts.clear()
        super().log(logs, start_time)

    @property
    def history(self) -> list[dict[str, float]]:
        """One row per logged step or evaluation, without clocks."""
        kept = [row for row in self.state.log_history if "loss" in row or "eval_loss" in row]
        return [{k: v for k, v in row.items() if k not in IGNORED_LOGS and not k.endswith(("runtime", "per_second"))} for row in kept]
