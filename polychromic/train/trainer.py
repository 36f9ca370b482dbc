"""transformers.Trainer with the loss L = L_quality - lambda * D. Knows batches and scoring functions, no domain.

What differs from a plain Trainer step: the prompt is run once and its key-value cache serves the reference
reply (quality loss) and, for a share of the prompts, N sampled replies (score-function gradient of D).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Trainer, TrainerCallback

from polychromic.base.errors import PolychromicError
from polychromic.base.seeds import derive_seed
from polychromic.method.losses import check_loss, reply_factor, token_loss
from polychromic.method.sets import Example, SetObjectiveConfig, checked
from polychromic.models.decode import Prefill, causal_lm, check_head, chosen_log_probs, head, prefill
from polychromic.models.flops import Flops, prompts, replies
from polychromic.models.layouts import LAYOUTS, packed_states, repeated_states, shared_states
from polychromic.train.batches import Collator, append_replies
from polychromic.train.rollouts import Drawn, ResumeState, Rollouts, Sampler
from polychromic.train.self_training import SelfTraining

DECAY = 0.2  # of the budget, in which the rate falls to 0
IGNORED_LOGS = {"epoch", "train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "train_loss"}


class PolychromicTrainer(Trainer):
    """Drop-in for transformers.Trainer whose training loss is a quality loss minus lam * D; its evaluation loss is cross-entropy.

    Args:
        objective: None trains on the quality loss only (standard LoRA).
        loss, loss_settings: a quality loss of polychromic.method.losses.
        layout: of polychromic.models.layouts; with gradient checkpointing it is "packed", whatever is given.
        self_training: rejection-sampled fine-tuning (a peer), None without.
        budget: floating-point operations after which training ends (polychromic.models.flops), at a rate that is constant after the
            warm-up and falls to 0 over the last DECAY of it; None: max_steps and the schedule of the arguments.
        unlabelled: rows without a completion, that take part in rollouts (whose prompts are then drawn from all rows instead of being
            the batch's own) and in self-training; with an objective they need its max_grad_norm.
        readers: what the scoring functions ask of models; its `flops` so far are counted, too (polychromic.models.readers).
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
        budget: float | None = None,
        readers: Any = None,
        unlabelled: Sequence[dict[str, Any]] = (),
        **kwargs: Any,
    ):
        tokenizer = kwargs.get("processing_class")
        if tokenizer is None:
            raise ValueError("no tokenizer was given; it encodes prompts and decodes rollouts. Pass processing_class=tokenizer.")
        kwargs.setdefault("data_collator", Collator(tokenizer))
        super().__init__(*args, **kwargs)
        self.args.remove_unused_columns = False  # quality functions read the other columns
        self.model_accepts_loss_kwargs = True  # the loss is divided by the tokens of the whole step, accumulation and processes included
        self.objective, self.loss_name, self.loss_settings, self.self_training = objective, loss, loss_settings or {}, self_training
        self._check(layout)
        checkpointing = self.args.gradient_checkpointing or causal_lm(self.model).is_activation_checkpointing  # without a cache
        self.layout = "packed" if checkpointing else layout
        self.sampler = Sampler(tokenizer, self.accelerator, self._broken)
        self.resume_state = ResumeState()
        self.add_callback(self.resume_state)
        self.budget = budget
        self.flops = Flops.of(self.model) if budget else None
        self._readers, self._read, self.unlabelled = readers, 0.0, unlabelled
        if unlabelled and objective is not None and objective.max_grad_norm is None:
            raise ValueError("prompts without a reference take part in rollouts whose gradient is taken apart. Set max_grad_norm.")
        if budget:
            self.add_callback(EndOfBudget(self))
        self.rollouts = Rollouts(objective, self.sampler, self.resume_state) if objective else None
        self._parts: dict[str, list[float]] = {}
        self._gradient_of_d: list[Tensor] | None = None  # of the step so far, where it is clipped apart
        self._micro = (-1, 0)  # optimiser step, how many of its batches were seen
        self._seen: list[Example] = []  # rows of this step so far, to name in an error

    def _check(self, layout: str) -> None:
        check_loss(self.loss_name, self.loss_settings)
        if layout not in LAYOUTS:
            raise ValueError(f"layout is {layout!r}; allowed: {', '.join(LAYOUTS)}.")
        if missing := [name for name in ("pad_token", "eos_token") if getattr(self.processing_class, f"{name}_id", None) is None]:
            raise ValueError(f"the tokenizer (processing_class) has no {' and no '.join(missing)}; set it, e.g. pad_token = eos_token.")
        if self.args.n_gpu > 1:
            raise ValueError(f"{self.args.n_gpu} GPUs in one process; run one process per GPU: `accelerate launch` or `torchrun`.")
        rates = {m.p for m in self.model.modules() if isinstance(m, torch.nn.Dropout)}
        rates.add(getattr(causal_lm(self.model).config, "attention_dropout", 0.0))  # applied without a module
        if self.objective is not None and (rates := sorted(rate for rate in rates if rate > 0)):
            raise ValueError(f"the model has dropout {rates}; one policy must sample and score rollouts. Set it to 0 (lora_dropout=0.0).")
        check_head(self.model)

    # the loss

    def _loss(self, model: torch.nn.Module, batch: dict[str, Any], training: bool, items: dict[str, Tensor] | None) -> Tensor:
        b, world = len(batch["prompt"]), self.accelerator.num_processes
        start = prefill(model, batch["prompt"], batch["prompt_mask"]) if self.layout == "shared" else None
        drawn, rolled, began = None, batch, start
        if training and self.rollouts and self.rollouts.due(self.state.global_step):
            if self.unlabelled:
                rolled = self._rolled(b)
                began = prefill(model, rolled["prompt"], rolled["prompt_mask"]) if start is not None else None
            drawn = self.rollouts.draw(model, began, rolled, self._micro)
            self._note(**drawn.notes)
        apart = self.objective is not None and self.objective.max_grad_norm is not None  # a gradient of its own wants a pass of its own
        together = drawn.rows if drawn and not apart else []
        index, tokens, mask = append_replies(batch, together, self.processing_class.pad_token_id)
        states = self._states(model, start, batch, index, tokens, mask)
        per_token = self._reference_losses(model, states[:b], tokens[:b], mask[:b].bool(), batch["weight"], training)
        # DistributedDataParallel averages over processes what is a sum here
        quality = per_token.sum() / mask[:b].sum() if items is None else per_token.sum() * world / items["tokens"]
        if drawn is not None and apart:
            index, tokens, mask = append_replies(rolled, drawn.rows, self.processing_class.pad_token_id)
        if training and self.flops:
            self._count(batch, rolled, index[b:], mask[b:], drawn)
        if drawn is None:
            return quality
        count = drawn.prompts if items is None else items["prompts"] / world
        states = states[b:]
        if apart and drawn.rows:
            states = self._states(model, began, rolled, index[b:], tokens[b:], mask[b:])
        D = self._surrogate(model, states, tokens[b:], mask[b:], drawn.weight) / count  # whose gradient estimates that of D
        if apart:
            D = self._gradient_apart(D)
        loss = quality - self.objective.lam * D
        return loss.to(quality.dtype)

    def _rolled(self, b: int) -> dict[str, Any]:
        """A batch of b prompts for rollouts, of all that there are, with a reference and without."""
        whole, first = self.sampler.everywhere(b)
        generator = torch.Generator().manual_seed(derive_seed(self.objective.seed, "prompts", *self._micro))
        places = torch.randint(len(self.train_dataset) + len(self.unlabelled), (whole,), generator=generator)[first : first + b]
        return self._prepare_inputs(self.data_collator([self.prompt_row(place) for place in places.tolist()]))

    def prompt_row(self, place: int) -> dict[str, Any]:
        """A row of the training set, or behind its end one of those without a reference, whose reply is the end token alone."""
        rows = len(self.train_dataset)
        if place < rows:
            return dict(self.train_dataset[place])
        return {**self.unlabelled[place - rows], "completion": [self.processing_class.eos_token_id]}

    def _states(self, model: torch.nn.Module, start: Prefill | None, batch: dict[str, Any], index: Tensor, tokens: Tensor, mask: Tensor):  # noqa: ANN202
        """Hidden states (R, T, d) that predict the tokens, in this trainer's layout."""
        if start is not None:
            return shared_states(model, start, index, tokens, mask)
        place = packed_states if self.layout == "packed" else repeated_states
        return place(model, batch["prompt"], batch["prompt_mask"], index, tokens, mask)

    def _gradient_apart(self, D: Tensor) -> Tensor:
        """Takes the gradient of D now, to be clipped apart from that of L_quality and added to it before the update; D without a graph."""
        if D.requires_grad:
            found = torch.autograd.grad(D, self._trained(), retain_graph=True, allow_unused=True)
            found = [torch.zeros_like(p) if g is None else g for p, g in zip(self._trained(), found, strict=True)]
            self._gradient_of_d = found if self._gradient_of_d is None else [a + b for a, b in zip(self._gradient_of_d, found, strict=True)]
        return D.detach()

    def _trained(self) -> list[Tensor]:
        return [p for p in self.accelerator.unwrap_model(self.model).parameters() if p.requires_grad]

    def _add_gradient_of_d(self) -> None:
        """Before the update, when L_quality's gradient has been clipped: less lam times that of D, clipped at a norm of its own."""
        config, found, self._gradient_of_d = self.objective, self._gradient_of_d, None
        if found is None:  # nothing was drawn, or no reply had weight
            if self.accelerator.num_processes == 1:
                return
            found = [torch.zeros_like(p) for p in self._trained()]  # another process may have some
        if self.accelerator.num_processes > 1:
            found = [self.accelerator.reduce(g, reduction="mean") for g in found]
        norm = torch.nn.utils.get_total_norm(found)
        if not torch.isfinite(norm):
            raise self._broken("gradient of D", self._seen)
        factor = config.lam * float((config.max_grad_norm / (norm + 1e-6)).clamp_max(1.0))
        self._note(objective_grad_norm=float(norm), objective_clipped=float(norm > config.max_grad_norm))
        for parameter, g in zip(self._trained(), found, strict=True):
            parameter.grad = -factor * g if parameter.grad is None else parameter.grad - factor * g

    def _reference_losses(
        self, model: torch.nn.Module, states: Tensor, tokens: Tensor, real: Tensor, weight: Tensor, training: bool
    ) -> Tensor:
        """Quality loss of each token of the references, times its row's weight; cross-entropy in evaluation."""
        name, settings = (self.loss_name, self.loss_settings) if training else ("ce", {})
        per_token = token_loss(name, head(model, states[real]), tokens[real], settings)
        if training:
            self._note(ce=float(per_token.detach().mean()))
        if name == "coverage":  # a loss of whole replies
            row = real.nonzero()[:, 0]
            log_p = torch.zeros(len(real), dtype=per_token.dtype, device=row.device).index_add(0, row, -per_token.detach())
            per_token = per_token * reply_factor(name, log_p, settings).to(per_token.dtype)[row]
        return per_token * weight.to(per_token.dtype)[:, None].expand_as(real)[real]

    def _surrogate(self, model: torch.nn.Module, states: Tensor, tokens: Tensor, mask: Tensor, weight: np.ndarray) -> Tensor:
        """A scalar whose gradient is an unbiased estimate of the gradient of the SUM of D over the prompts with a rollout.

        In float64, so that lam times a weight is rounded once, when the gradient reaches the log-probability.
        """
        real = mask.bool()
        log_p = torch.zeros(mask.shape, dtype=torch.float32, device=mask.device)
        if len(mask):
            log_p[real] = chosen_log_probs(head(model, states[real]), tokens[real])
        return (log_p.sum(-1).double() * torch.as_tensor(weight, device=mask.device)).sum()  # over tokens, end token included; replies

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):  # noqa: ANN001, ANN201 - Trainer's signature
        module, training = self.accelerator.unwrap_model(model), model.training
        if training:
            step, micro = self._micro
            again = step == self.state.global_step
            self._micro = (self.state.global_step, micro + 1 if again else 0)
            self._seen = [*self._seen, *inputs["examples"]] if again else list(inputs["examples"])
        with self.accelerator.autocast():  # accelerate patches the forward of the model, which `_loss` does not go through
            loss = _call_inside(model, module, lambda: self._loss(module, inputs, training, num_items_in_batch))
        if training and not torch.isfinite(loss.detach()).all():
            raise self._broken("loss", inputs["examples"])
        return (loss, {"loss": loss}) if return_outputs else loss

    # cost

    def _count(self, batch: dict[str, Any], rolled: dict[str, Any], index: Tensor, mask: Tensor, drawn: Drawn | None) -> None:
        """Adds a batch: a pass over prompts and references, forth and back; replies that were drawn, forth, and those with weight (index,
        mask), forth and back; what scoring them took; and prompts that rollouts do not share with the references."""
        whole, attended = prompts(batch["prompt_mask"])
        tokens, positions = replies(batch["mask"], batch["prompt_mask"].sum(-1))
        spent = self.flops.training(whole + tokens, attended + positions, tokens)
        if drawn is not None:
            lengths, (whole, attended) = rolled["prompt_mask"].sum(-1), prompts(rolled["prompt_mask"])
            sampled, positions = replies(drawn.mask, lengths[drawn.index])
            spent += self.flops.forward(sampled, positions, sampled)
            tokens, positions = replies(mask, lengths[index])
            spent += self.flops.training(tokens, positions, tokens)
            if rolled is not batch:
                spent += self.flops.forward(whole, attended, 0)
            if drawn.rows and self.objective.max_grad_norm is not None:
                spent += self.flops.backward(whole, attended, 0)
            spent += self.of_scoring()
        self.resume_state.flops += float(self.accelerator.reduce(torch.tensor(spent, dtype=torch.float64), "sum"))

    def of_scoring(self) -> float:
        """What quality and similarity have spent since they were asked for the last time."""
        before, self._read = self._read, getattr(self._readers, "flops", 0.0)
        return self._read - before

    def rate(self) -> float:
        """The learning rate's factor after the warm-up, in [0, 1]: 1, then down to 0 over the last DECAY of the budget."""
        return min(1.0, max(0.0, 1 - self.resume_state.flops / self.budget) / DECAY)

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None):  # noqa: ANN201 - Trainer's signature
        if self.budget is None:
            super().create_scheduler(num_training_steps, optimizer)
        else:
            warmup = self.args.get_warmup_steps(num_training_steps)
            # never 0 before the end: a step at rate 0 teaches nothing
            factor = lambda step: min(1.0, (step + 1) / (warmup + 1)) * self.rate()
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, factor)
        if (config := self.objective) is not None and config.rate != 1:
            given = self.lr_scheduler.lr_lambdas
            self.lr_scheduler.lr_lambdas = [lambda step, g=g: g(step) * (config.rate if step >= config.after else 1.0) for g in given]
        return self.lr_scheduler

    # batches of a step

    def get_batch_samples(self, epoch_iterator: Iterator, num_batches: int, device: torch.device):  # noqa: ANN201 - Trainer's signature
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.self_training is None or self.state.global_step < self.self_training.after:
            return batches, items
        batches = self.self_training.replace(self, self.sampler, self.resume_state, batches)
        self._note(pool=len(self.resume_state.pool))
        return batches, self._get_num_items_in_batch(batches, device)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> dict[str, Tensor] | None:
        """Reply tokens, and prompts with a rollout, of the whole step: accumulation and processes included."""
        if not batch_samples or "mask" not in batch_samples[0]:
            return None
        tokens = torch.stack([batch["mask"].sum() for batch in batch_samples]).sum().to(device)
        prompts = sum(self.rollouts.prompts(len(batch["prompt"])) for batch in batch_samples) if self.rollouts else 0
        return {"tokens": self.accelerator.gather(tokens).sum(), "prompts": torch.tensor(float(prompts), device=device)}

    # evaluation, logs, faults

    def train(self, *args: Any, **kwargs: Any):  # noqa: ANN201 - Trainer's signature
        self._micro = (-1, 0)  # a second call starts anew, wherever the first one stopped
        self.resume_state.restore()
        if scored := self.objective or self.self_training:
            # Faults of the user's functions show before the first step.
            example = dict(next(iter(self.train_dataset)))
            text = self.sampler.texts(self.data_collator([example])["tokens"].tolist())[0]
            replies = [text] * (self.objective.n if self.objective else self.self_training.samples)
            checked(scored.quality, example, replies, 1)
            checked(scored.similarity, example, replies, 2)
            self.of_scoring()
        return super().train(*args, **kwargs)

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):  # noqa: ANN001, ANN201 - Trainer's signature
        with torch.no_grad():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None

    def _get_grad_norm(self, model, grad_norm=None):  # noqa: ANN001, ANN202 - Trainer's signature
        norm = super()._get_grad_norm(model, grad_norm)  # called at every step, before the update; clipping is not
        if not torch.isfinite(torch.as_tensor(norm)):
            raise self._broken("gradient", self._seen)
        if self.objective is not None and self.objective.max_grad_norm is not None and self.objective.lam:
            self._add_gradient_of_d()
        return norm

    def _broken(self, what: str, examples: Sequence[Example]) -> PolychromicError:
        names = "; ".join(str(example["prompt"])[:60] for example in examples[:4])
        return PolychromicError(
            f"the {what} of step {self.state.global_step} is not finite; prompts: {names}. "
            f"The last checkpoint in {self.args.output_dir} is untouched. Lower the learning rate or lambda, or train in float32."
        )

    def _load_callback_state(self) -> None:
        super()._load_callback_state()
        # With restore_callback_states_from_checkpoint Trainer puts callbacks of its own making in the place of ours.
        self.remove_callback(ResumeState)
        self.add_callback(self.resume_state)
        if stored := (self.state.stateful_callbacks or {}).get(ResumeState.__name__):
            self.resume_state.restore(**stored["attributes"])

    def _note(self, **values: float) -> None:
        for name, value in values.items():
            self._parts.setdefault(name, []).append(value)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs |= {name: float(np.mean(values)) for name, values in self._parts.items()}
            if self.budget:
                logs |= {"flops": self.resume_state.flops, "checked": self.resume_state.checked}
            self._parts.clear()
        super().log(logs, start_time)

    @property
    def history(self) -> list[dict[str, float]]:
        """One row per logged step or evaluation, without clocks."""
        kept = [row for row in self.state.log_history if "loss" in row or "eval_loss" in row]
        return [{k: v for k, v in row.items() if k not in IGNORED_LOGS and not k.endswith(("runtime", "per_second"))} for row in kept]


class EndOfBudget(TrainerCallback):
    """Ends training after the step that used the budget up."""

    def __init__(self, trainer: PolychromicTrainer):
        self.trainer = trainer

    def on_train_begin(self, args, state, control, **kwargs):  # noqa: ANN001, ANN003, ANN201 - Trainer's signature
        # A checkpoint may be of a run with another budget, whose rate was saved with it.
        scheduler = self.trainer.lr_scheduler
        rates = [base * factor(scheduler.last_epoch) for base, factor in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)]
        for group, rate in zip(self.trainer.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        scheduler._last_lr = rates  # what the log reads

    def on_step_end(self, args, state, control, **kwargs):  # noqa: ANN001, ANN003, ANN201
        if self.trainer.resume_state.flops >= self.trainer.budget:
            control.should_training_stop = True
            control.should_evaluate |= args.eval_strategy != "no"  # wherever the last step falls: what is compared is what was trained


def _call_inside(wrapper: torch.nn.Module, module: torch.nn.Module, function) -> Tensor:  # noqa: ANN001
    """Run `function` inside wrapper.forward, so that DistributedDataParallel sees the pass and averages its gradients."""
    if wrapper is module:
        return function()
    original = module.forward

    def once(*args: Any, **kwargs: Any) -> Tensor:
        module.forward = original
        return function()

    module.forward = once
    try:
        return wrapper()
    finally:
        module.forward = original
