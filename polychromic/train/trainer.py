"""transformers.Trainer with the loss L = L_quality - lambda * D. Knows batches and scoring functions, no domain.

What differs from a plain Trainer step: the prompt is run once and its key-value cache serves the reference
reply (quality loss) and, for a share of the prompts, N sampled replies (score-function gradient of D).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Trainer

from polychromic.base.errors import PolychromicError
from polychromic.method.losses import check_loss, token_loss
from polychromic.method.sets import Example, SetObjectiveConfig, checked
from polychromic.models.decode import causal_lm, check_head, chosen_log_probs, head, prefill
from polychromic.models.layouts import LAYOUTS, packed_states, repeated_states, shared_states
from polychromic.train.batches import Collator
from polychromic.train.bulk import RolloutStore, draw_ahead, importance_weights
from polychromic.train.distributed import call_inside
from polychromic.train.rollouts import RolloutMixin
from polychromic.train.self_training import SelfTraining

IGNORED_LOGS = {"epoch", "train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "train_loss"}


class PolychromicTrainer(RolloutMixin, Trainer):
    """Drop-in for transformers.Trainer whose training loss is a quality loss minus lam * D; its evaluation loss is cross-entropy.

    Args:
        objective: None trains on the quality loss only (standard LoRA).
        loss, loss_settings: a quality loss of polychromic.method.losses.
        layout: of polychromic.models.layouts; with gradient checkpointing it is "packed", whatever is given.
        self_training: rejection-sampled fine-tuning (a peer), None without.
        Everything else as transformers.Trainer. `processing_class` is the tokenizer; datasets have the columns prompt and
        completion (text, chat or token ids) and any others that the quality function reads.

    Each step's log carries ce (the quality loss), and with an objective the step's D, quality and rollout tokens;
    `history` returns them. Trainer keeps its logs in the checkpoint, so a resumed run has the whole history.

    Raises:
        ValueError: an objective with dropout (one policy must sample and score), a model that changes its logits after the
            head, or a loss that does not exist.
        PolychromicError: a loss or gradient that is not finite, with step and prompts; the last checkpoint is left as it is.
    """

    def __init__(
        self,
        *args: Any,
        objective: SetObjectiveConfig | None = None,
        loss: str = "ce",
        loss_settings: dict[str, float] | None = None,
        layout: str = "shared",
        self_training: SelfTraining | None = None,
        **kwargs: Any,
    ):
        if kwargs.get("processing_class") is None:
            raise ValueError("no tokenizer was given; it encodes prompts and decodes rollouts. Pass processing_class=tokenizer.")
        kwargs.setdefault("data_collator", Collator(kwargs["processing_class"]))
        super().__init__(*args, **kwargs)
        self.args.remove_unused_columns = False  # quality functions read the other columns
        self.objective, self.loss_name, self.loss_settings = objective, loss, loss_settings or {}
        check_loss(loss, self.loss_settings)
        checkpointing = self.args.gradient_checkpointing or causal_lm(self.model).is_activation_checkpointing  # without a cache
        self.layout = "packed" if checkpointing else layout
        self.self_training = self_training
        self.model_accepts_loss_kwargs = True  # the loss is divided by the tokens of the whole step, accumulation and processes included
        self.store = RolloutStore()
        self.add_callback(self.store)
        self._parts: dict[str, list[float]] = {}
        self._micro = (-1, 0)  # optimiser step, how many of its batches were seen
        self._seen: list[Example] = []  # rows of this step so far, to name in an error
        self._ahead: list[tuple[list, Tensor]] = []  # bulk mode: batches that were taken ahead of their step
        rates = {m.p for m in self.model.modules() if isinstance(m, torch.nn.Dropout)}
        rates.add(getattr(causal_lm(self.model).config, "attention_dropout", 0.0))  # applied without a module
        dropout = sorted(rate for rate in rates if rate > 0)
        if self_training is not None and objective is not None and objective.reuse > 1:
            raise ValueError("self_training and an objective with reuse > 1 both decide a step's batches; set reuse to 1 or drop one.")
        if layout not in LAYOUTS:
            raise ValueError(f"layout is {layout!r}; allowed: {', '.join(LAYOUTS)}.")
        if missing := [name for name in ("pad_token", "eos_token") if getattr(self.processing_class, f"{name}_id", None) is None]:
            raise ValueError(f"the tokenizer (processing_class) has no {' and no '.join(missing)}; set it, e.g. pad_token = eos_token.")
        if self.args.n_gpu > 1:
            raise ValueError(f"{self.args.n_gpu} GPUs in one process; run one process per GPU: `accelerate launch` or `torchrun`.")
        if objective is not None and dropout:
            raise ValueError(f"the model has dropout {dropout}; one policy must sample and score rollouts. Set it to 0 (lora_dropout=0.0).")
        check_head(self.model)

    # the loss

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):  # noqa: ANN001, ANN201 - Trainer's signature
        module = self.accelerator.unwrap_model(model)
        training = model.training
        if training:
            self._count(inputs["examples"])
        with self.accelerator.autocast():  # accelerate patches the forward of the model, which `_loss` does not go through
            loss = call_inside(model, module, lambda: self._loss(module, inputs, training, num_items_in_batch))
        if training and not torch.isfinite(loss.detach()).all():
            raise self._broken("loss", inputs["examples"])
        return (loss, {"loss": loss}) if return_outputs else loss

    def _loss(self, model: torch.nn.Module, batch: dict[str, Any], training: bool, items: Tensor | None) -> Tensor:
        everyone = torch.arange(len(batch["prompt"]), device=batch["prompt"].device)
        start = prefill(model, batch["prompt"], batch["prompt_mask"]) if self.layout == "shared" else None
        index, tokens, mask, weight, parts = everyone, batch["tokens"], batch["mask"], None, {}
        if training and self._rolls():
            index, tokens, mask, weight, parts = self._with_rollouts(model, start, batch)
        if self.layout == "shared":
            states = shared_states(model, start, index, tokens, mask)
        else:
            place = packed_states if self.layout == "packed" else repeated_states
            states = place(model, batch["prompt"], batch["prompt_mask"], index, tokens, mask)
        b = len(everyone)
        real = mask[:b].bool()
        name, settings = (self.loss_name, self.loss_settings) if training else ("ce", {})
        per_token = token_loss(name, head(model, states[:b][real]), tokens[:b][real], settings)
        row = everyone[:, None].expand_as(real)[real]
        total = (per_token * batch["weight"].to(per_token.dtype)[row]).sum()
        world = self.accelerator.num_processes  # DistributedDataParallel averages over processes what is a sum here
        if training:
            self.note("ce", float(per_token.detach().mean()))
        loss = total / real.sum() if items is None else total * world / items["tokens"]
        if weight is not None:
            surrogate = self._surrogate(model, states[b:], tokens[b:], mask[b:], weight, parts)
            prompts = parts["prompts"] if items is None else items["prompts"] / world
            loss = loss - surrogate / prompts
        return loss

    def _surrogate(
        self, model: torch.nn.Module, states: Tensor, tokens: Tensor, mask: Tensor, weight: Tensor, parts: dict[str, Any]
    ) -> Tensor:
        """A scalar whose gradient is an unbiased estimate of the gradient of lam times the SUM of D over the prompts with a rollout."""
        real = mask.bool()
        log_p = torch.zeros(mask.shape, dtype=torch.float32, device=mask.device)
        if len(mask):
            log_p[real] = chosen_log_probs(head(model, states[real]), tokens[real])
        log_p = log_p.sum(-1)  # (R,) over reply tokens, end token included
        if "old" in parts:
            weight = weight * importance_weights(self.objective.correction, log_p.detach(), parts["old"], self.objective.n, self.note)
        return (log_p * weight).sum()

    def _rolls(self) -> bool:
        return self.objective is not None and self.state.global_step % self.objective.every == 0

    def _count(self, examples: list[Example]) -> None:
        step, micro = self._micro
        again = step == self.state.global_step
        self._micro = (self.state.global_step, micro + 1 if again else 0)
        self._seen = [*self._seen, *examples] if again else list(examples)

    # batches of a step

    def get_batch_samples(self, epoch_iterator: Iterator, num_batches: int, device: torch.device):  # noqa: ANN201 - Trainer's signature
        """As Trainer's; in bulk mode the batches of the next K steps are taken at once and their rollouts drawn."""
        if self.objective is None or self.objective.reuse == 1:
            batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
            if self.self_training is None:
                return batches, items
            batches = self.self_training.replace(self, batches)
            return batches, self._get_num_items_in_batch(batches, device)
        if not self._ahead:
            step = self.state.global_step
            fresh = step >= self.store.until
            for _ in range(self.objective.reuse if fresh else self.store.until - step):
                batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
                if batches:
                    self._ahead.append((batches, items))
            if fresh and self._ahead:
                draw_ahead(self, step, [batches for batches, _ in self._ahead])
        return self._ahead.pop(0) if self._ahead else ([], None)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> dict[str, Tensor] | None:
        """Reply tokens, and prompts with a rollout, of the whole step: accumulation and processes included."""
        if not batch_samples or "mask" not in batch_samples[0]:
            return None
        tokens = torch.stack([batch["mask"].sum() for batch in batch_samples]).sum().to(device)
        prompts = sum(self.chosen_prompts(len(batch["prompt"])) for batch in batch_samples) if self.objective else 0
        return {"tokens": self.accelerator.gather(tokens).sum(), "prompts": torch.tensor(float(prompts), device=device)}

    # evaluation, logs, faults

    def train(self, *args: Any, **kwargs: Any):  # noqa: ANN201 - Trainer's signature
        self._micro, self._ahead = (-1, 0), []  # a second call starts anew, wherever the first one stopped
        self.store.restore(RolloutStore().state()["attributes"])
        if scored := self.objective or self.self_training:
            # Faults of the user's functions show before the first step.
            example = dict(next(iter(self.train_dataset)))
            text = self.texts(torch.tensor([self.data_collator([example])["tokens"][0].tolist()]))[0]
            replies = [text] * (self.objective.n if self.objective else self.self_training.samples)
            checked(scored.quality, example, replies, 1)
            checked(scored.similarity, example, replies, 2)
        return super().train(*args, **kwargs)

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):  # noqa: ANN001, ANN201 - Trainer's signature
        with torch.no_grad():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None

    def _get_grad_norm(self, model, grad_norm=None):  # noqa: ANN001, ANN202 - Trainer's signature
        norm = super()._get_grad_norm(model, grad_norm)  # called at every step, before the update; clipping is not
        if not torch.isfinite(torch.as_tensor(norm)):
            raise self._broken("gradient", self._seen)
        return norm

    def _broken(self, what: str, examples: list[Example]) -> PolychromicError:
        names = "; ".join(str(example["prompt"])[:60] for example in examples[:4])
        return PolychromicError(
            f"the {what} of step {self.state.global_step} is not finite; prompts: {names}. "
            f"The last checkpoint in {self.args.output_dir} is untouched. Lower the learning rate or lambda, or train in float32."
        )

    def _load_callback_state(self) -> None:
        super()._load_callback_state()
        # With restore_callback_states_from_checkpoint Trainer puts callbacks of its own making in the place of ours.
        self.remove_callback(RolloutStore)
        self.add_callback(self.store)
        stored = (self.state.stateful_callbacks or {}).get(type(self.store).__name__)
        if stored:
            self.store.restore(stored["attributes"])

    def note(self, name: str, value: float) -> None:
        self._parts.setdefault(name, []).append(float(value))

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
