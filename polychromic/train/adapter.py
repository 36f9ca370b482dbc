"""From records and params to a trained adapter: builds the rows, the model and the Trainer, and caches by content.

A run is identified by everything that its numbers depend on (token rows, weights, params, code, library
versions). The cache holds finished adapters and the checkpoints of unfinished ones, so a killed run resumes
where it was and ends with the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback, TrainingArguments

from polychromic.base import paths, processes
from polychromic.base.cache import code_fingerprint, environment
from polychromic.base.errors import UsageError
from polychromic.base.hardware import best_device
from polychromic.base.io import atomic_open, read_json, sha256_json, together, write_json
from polychromic.base.locks import single_writer
from polychromic.base.progress import Ticker, progress
from polychromic.data.domains import Domain, Embed
from polychromic.data.records import Record
from polychromic.method.losses import deviation_weights
from polychromic.method.sets import SetObjectiveConfig, cosines, set_functions
from polychromic.models import prompts, weights
from polychromic.models.decode import Prefill, evaluating, head, pad_sequences, prefill, sample, uniforms
from polychromic.models.flops import of_rows
from polychromic.models.layouts import shared_states
from polychromic.models.load import attach_lora, load_causal_lm, rows_at_once
from polychromic.models.readers import LiveReaders
from polychromic.params import DomainParams, Method, Params, Train
from polychromic.train.batches import encode_completion
from polychromic.train.self_training import SelfTraining
from polychromic.train.stop import Stop, StoppedError
from polychromic.train.track import follow, reporting
from polychromic.train.trainer import DECAY, PolychromicTrainer
from polychromic.train.trunk import Mark, Marks, furthest

KEPT = ("adapter_config.json", "adapter_model.safetensors", "history.json")
STREAM = 16  # prompts whose replies share a stream of uniforms in `kl_to_base`


def numeric_code(domain: str) -> tuple[str, ...]:
    """Modules and folders of the package that change what training gives."""
    parts = ("text.py", "domains/__init__.py", f"domains/{domain}")
    return ("base/seeds.py", "models", "method", "train", *(f"data/{part}" for part in parts))


def training_rows(records: Sequence[Record], tokenizer, domain: str, method: Method, embed: Embed | None) -> list[dict]:  # noqa: ANN001
    """One row per (prompt, target): {"prompt": ids, "completion": ids ending in the end token, "record": number, "weight": of the loss}.

    Args:
        method: its `targets` say which replies are targets, its `loss` whether they are weighted.
        embed: for loss deviation, which weighs a reply by how far it is from the prompt's others.
    """
    rows = []
    for number, record in enumerate(records):
        prompt = prompts.encode(tokenizer, prompts.messages(method.prompt, domain, record.prompt))
        targets = list(dict.fromkeys([*record.references, *(record.right if method.targets == "valid" else ())]))
        weight = deviation_weights(cosines(embed(targets))) if method.loss == "deviation" else np.ones(len(targets))
        for target, w in zip(targets, weight, strict=True):
            row = {"prompt": prompt, "completion": encode_completion(tokenizer, target), "record": number}
            rows.append(row if w == 1 else row | {"weight": float(w)})
    return rows


def prompt_rows(records: Sequence[Record], tokenizer, domain: str, variant: str, first: int) -> list[dict]:  # noqa: ANN001
    """One row per prompt, without a completion; "record" counts on from `first`."""
    encode = lambda record: prompts.encode(tokenizer, prompts.messages(variant, domain, record.prompt))
    return [{"prompt": encode(record), "record": first + number} for number, record in enumerate(records)]


def validation_rows(records: Sequence[Record], tokenizer, domain: str, variant: str) -> list[dict]:  # noqa: ANN001
    """One row per prompt, with its first reference: what validation cross-entropy is taken on, for every method."""
    encode = lambda record: prompts.encode(tokenizer, prompts.messages(variant, domain, record.prompt))
    return [{"prompt": encode(record), "completion": encode_completion(tokenizer, record.references[0])} for record in records]


@dataclass(frozen=True)
class Trained:
    """adapter: folder in PEFT format, as PeftModel.from_pretrained loads it. history: see PolychromicTrainer.history."""

    adapter: Path
    history: list[dict]
    fingerprint: str


def trainer_extras(
    params: Params, domain: Domain, method: Method, lam: float | None, seed: int, train: Sequence[Record], readers: LiveReaders
) -> dict[str, Any]:
    """What PolychromicTrainer takes for a method beside model, rows and arguments. Args: as `train_adapter`."""
    settings = params.domain(domain.name)
    quality, similarity = set_functions(domain, train, method.similarity, readers)
    shared = {"quality": quality, "similarity": similarity, "max_new_tokens": settings.max_new_tokens, "seed": seed}
    extras: dict[str, Any] = {"loss": method.loss, "loss_settings": method.settings}
    if method.objective != "none":
        rollouts, baseline = method.rollouts or settings.rollouts, method.baseline or params.objective.baseline
        extras["objective"] = SetObjectiveConfig(
            name=method.objective, subset=method.subset, baseline=baseline, lam=lam, n=params.objective.n,
            share=rollouts.share, every=rollouts.every, after=_first_draw(settings, method), rate=method.rate, max_grad_norm=method.clip,
            **shared,
        )  # fmt: skip
    if method.self_training is not None:
        extras["self_training"] = SelfTraining(
            after=_first_draw(settings, method), samples=settings.pool_samples,
            rounds=method.self_training.rounds, spend=method.self_training.spend, **shared,
        )  # fmt: skip
    return extras


def rows_per_process(batch_size: int) -> int:
    """A process's part of a step's rows. Raises UsageError: the batch cannot be shared equally."""
    parts = processes.world()
    if batch_size % parts:
        allowed = f"a multiple of the {parts} processes, so that a step has the same rows on any number of them"
        raise UsageError(f"train.batch_size is {batch_size}. Allowed: {allowed}. Change it, or start another number of processes.")
    return batch_size // parts


def training_arguments(
    settings: Train, steps: int, seed: int, folder: Path, validate: bool = True, checkpointing: bool = False
) -> TrainingArguments:
    """`train:` of params.yaml as transformers has it, with checkpoints in `folder`; evaluated on the way if `validate`."""
    evaluation = {"eval_strategy": "steps", "eval_steps": settings.eval_every} if validate else {"eval_strategy": "no"}
    checkpoints = {"save_strategy": "steps", "save_steps": settings.checkpoint_every, "save_total_limit": 1}
    schedule = {"lr_scheduler_type": settings.schedule, "warmup_steps": settings.warmup_steps, "learning_rate": settings.learning_rate}
    optimiser = {"weight_decay": settings.weight_decay, "max_grad_norm": settings.max_grad_norm, "max_steps": steps}
    machine = {"use_cpu": best_device() == "cpu", "dataloader_pin_memory": False, "remove_unused_columns": False}
    if processes.world() > 1 and best_device() == "cpu":
        machine["ddp_backend"] = "gloo"
    if checkpointing:  # without reentry, frozen embeddings need no gradient of their own
        machine |= {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}}
    return TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=rows_per_process(settings.batch_size),
        per_device_eval_batch_size=rows_at_once(settings.batch_size * 2),
        seed=seed,
        data_seed=seed,
        **(evaluation | checkpoints | schedule | optimiser | machine),
        **{"logging_steps": 1, "disable_tqdm": True, **reporting(settings.report_to, folder.parent)},
    )


def train_adapter(
    params: Params, domain: Domain, method: Method, lam: float | None, seed: int,
    train: Sequence[Record], dev: Sequence[Record], readers: LiveReaders, unlabelled: Sequence[Record] = (),
) -> Trained:  # fmt: skip
    """Train one adapter, or take it from the cache.

    Args:
        lam: weight of D, None for a method without an objective.
        train, dev: records; dev serves validation cross-entropy and the distance from the base model, nothing that is trained on.
            Without any, neither is measured.
        unlabelled: records of which a method that says so uses prompt and checker, and no reference.

    Under torchrun each process computes its part of a step; the first one alone measures and writes.

    Raises:
        PolychromicError: another process is training the very same adapter; or training met a loss that is not finite.
        StoppedError: SIGTERM or Ctrl-C came, and a checkpoint is saved.
    """
    model, tokenizer = load_causal_lm(weights.obtain(params.model), params.train.precision, "cpu", params.model)
    rows = training_rows(train, tokenizer, domain.name, method, readers.embed)
    dev_rows = validation_rows(dev, tokenizer, domain.name, method.prompt)
    unlabelled = [record.model_copy(update={"references": []}) for record in unlabelled] if method.unlabelled else []
    extras = trainer_extras(params, domain, method, lam, seed, [*train, *unlabelled], readers)
    bare = prompt_rows(unlabelled, tokenizer, domain.name, method.prompt, len(train))
    # the learning rate is the method's, where it has one of its own
    settings = params.train.model_copy(update={"learning_rate": method.learning_rate or params.train.learning_rate})
    steps, horizon = round(params.domain(domain.name).steps * method.budget), params.domain(domain.name).max_new_tokens
    plain = lambda extra: {key: value for key, value in vars(extra).items() if not callable(value)} if is_dataclass(extra) else extra
    identity = {
        "weights": weights.fingerprint(params.model),
        "rows": sha256_json([rows, dev_rows]),
        "lora": params.lora.model_dump(),
        "train": settings.model_dump(exclude={"checkpoint_every", "report_to"}) | {"steps": steps},
        "horizon": horizon,
        "seed": seed,
        "threads": params.threads,
        "code": code_fingerprint(numeric_code(domain.name)),
        "libraries": environment(),
        **{name: plain(extra) for name, extra in extras.items()},
    }
    if {"objective", "self_training"} & extras.keys():  # what their two functions are made of
        identity |= {
            "similarity": [domain.similarity, method.similarity],
            "encoder": weights.fingerprint(params.encoder),
            "norms": dict(readers.norms),
            "records": sha256_json([record.model_dump() for record in train]),
        }
    if bare:
        identity["unlabelled"] = sha256_json([bare, [record.model_dump() for record in unlabelled]])
    if method.cost is not None:
        identity["cost"] = method.cost
    if loading := params.model.changed:
        identity["loading"] = loading
    if processes.world() > 1:  # sums of floats in another order
        identity["processes"] = processes.world()
    fingerprint = sha256_json(identity)
    folder = paths.cache_dir() / "runs" / fingerprint
    with single_writer(folder, wait_seconds=3600):
        if not processes.told((folder / "manifest.json").exists()):
            model = attach_lora(model, params.lora.rank, params.lora.alpha, params.lora.target_modules, seed)
            readers.bind(model, tokenizer)
            marks: list[Mark] = []
            if method.cost is not None:
                extras["budget"] = method.cost * steps * settings.batch_size * of_rows(model, rows)
                steps = ceil(2 * method.cost * steps)  # never reached: no step costs less than half of LoRA's mean
                marks = _marks(params, domain, method, identity, extras)
            checkpoints, saving = folder / "checkpoints", params.model.gradient_checkpointing
            arguments, tracker = training_arguments(settings, steps, seed, checkpoints, bool(dev_rows), saving), settings.report_to
            extras |= {"readers": readers, "unlabelled": bare}
            history = _train(model, tokenizer, arguments, extras, rows, dev_rows, marks, tracker)
            if processes.first():
                # PEFT records where the weights lay on this machine; an adapter is for any copy of them.
                model.peft_config["default"].base_model_name_or_path = str(params.model)
                model.save_pretrained(folder)
                if encoded := [row["prompt"] for row in dev_rows]:
                    distance = kl_to_base(model, tokenizer, encoded, settings.kl_samples, horizon, seed, rows_at_once(STREAM))
                    history = [*history, {"step": history[-1]["step"] if method.cost else steps, **distance}]
                write_json(folder / "history.json", history)
                shutil.rmtree(folder / "checkpoints", ignore_errors=True)
                write_json(folder / "manifest.json", {"identity": identity, "fingerprint": fingerprint})
            processes.wait()
    return Trained(folder, read_json(folder / "history.json"), fingerprint)


def _marks(params: Params, domain: Domain, method: Method, identity: dict, extras: dict) -> list[Mark]:
    """Places on the way of a run with a budget that other runs begin with as well, in the order of the way: where its first rollout
    or pool is drawn, until which it is LoRA, and where the rate begins to fall in it and in the same method with smaller budgets."""
    trunks = paths.cache_dir() / "trunks"
    # A pool that a share of the budget pays for is another one at another budget.
    apart = {"cost"} if method.self_training is None or method.self_training.spend is None else set()
    shared = {key: value for key, value in identity.items() if key not in apart}
    alone = {
        key: value
        for key, value in shared.items()
        if key not in ("cost", "objective", "self_training", "similarity", "encoder", "norms", "records", "unlabelled")
    }
    drawing = extras.get("objective") or extras.get("self_training")
    if drawing is not None:
        starts = {drawing.after}
    else:  # LoRA, with which the others begin
        starts = {_first_draw(params.domain(domain.name), other) for other in params.methods.values()} - {None, 0}
    marks = [Mark(trunks / sha256_json([alone, after]), step=after) for after in sorted(starts)]
    cheaper = lambda other: other.cost is not None and other.cost <= method.cost
    costs = {other.cost for other in params.methods.values() if cheaper(other)} if apart else {method.cost}
    falls = {cost: (1 - DECAY) * cost * extras["budget"] / method.cost for cost in sorted(costs)}
    return marks + [Mark(trunks / sha256_json([shared, "rate falls", cost]), flops=flops) for cost, flops in falls.items()]


def _first_draw(settings: DomainParams, method: Method) -> int | None:
    """The step before which a method with rollouts or a pool trains as LoRA does; None for one without."""
    if method.self_training is not None:
        return round(method.self_training.after * round(settings.steps * method.budget))
    return None if method.objective == "none" else round(method.after * settings.steps)


def _train(
    model,  # noqa: ANN001
    tokenizer,  # noqa: ANN001
    arguments: TrainingArguments,
    extras: dict,
    rows: list[dict],
    dev_rows: list[dict],
    marks: list[Mark],
    tracker: str = "none",
) -> list[dict]:
    """Trains the model in place, from the last checkpoint where there is one; the history."""
    trainer = PolychromicTrainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        eval_dataset=dev_rows,
        processing_class=tokenizer,
        # Of the ways to the same loss, the one with least arithmetic; on a GPU the one with fewest kernels, which small models wait for.
        layout="shared" if best_device() == "cpu" else "packed",
        **extras,
    )
    trainer.remove_callback(PrinterCallback)
    follow(trainer, tracker, Path(arguments.output_dir).parent)
    with progress(f"train, seed {arguments.seed}", arguments.max_steps) as tick:
        trainer.add_callback(Tick(tick))
        checkpoints = Path(arguments.output_dir)
        trainer.add_callback(Marks(marks, trainer.resume_state, checkpoints))
        trainer.add_callback(stop := Stop())
        start = processes.told((_last_complete(checkpoints) or furthest(marks)) if processes.first() else None)
        with stop.listening():
            trainer.train(resume_from_checkpoint=None if start is None else str(start))
    if stop.stopped and (trainer.budget is None or trainer.resume_state.flops < trainer.budget):
        done = f"stopped at step {trainer.state.global_step}, which is saved"
        raise StoppedError(f"{done}. Run the same command again to go on.")
    return trainer.history


class Tick(TrainerCallback):
    def __init__(self, tick: Ticker):
        self.tick = tick

    def on_step_end(self, args, state, control, **kwargs):  # noqa: ANN001, ANN003, ANN201 - Trainer's signature
        self.tick(state.global_step)


def _last_complete(checkpoints: Path) -> str | None:
    """The newest checkpoint that was written to its end; Trainer writes trainer_state.json last. Removes the others."""
    done = []
    for path in checkpoints.glob("checkpoint-*"):
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
            done.append(path)
        except (FileNotFoundError, ValueError):
            shutil.rmtree(path)
    return str(max(done, key=lambda path: int(path.name.split("-")[1]))) if done else None


def export_adapter(trained: Trained, out: Path) -> None:
    """Copy a trained adapter to a folder of the user's."""
    with together():
        for name in KEPT:
            with (trained.adapter / name).open("rb") as kept, atomic_open(out / name) as file:
                shutil.copyfileobj(kept, file)


@torch.no_grad()
def kl_to_base(
    model, tokenizer, encoded: Sequence[list[int]], n: int, horizon: int, seed: int, prompts_at_once: int = STREAM
) -> dict[str, float]:  # noqa: ANN001
    """How far an adapter is from the base model: mean over prompts and sampled replies of the KL(policy || base) of a reply.

    The sum over tokens of the exact KL at each step of a sampled reply has the mean of log pi - log pi_base and less variance.

    Args:
        model: PEFT model; its adapter is switched off for the base.
        encoded: token ids of the prompts. n: replies per prompt, at temperature 1. horizon: where replies are cut.
        prompts_at_once: a multiple of STREAM draws the same replies, up to rounding, whatever it is.

    Returns: {"kl_to_base": nats per reply, "reply_tokens": mean length, end token included}.
    """
    total, lengths = 0.0, 0

    def log_probs(start: Prefill) -> Tensor:
        """(reply tokens, V), float32."""
        states = shared_states(model, start, index, replies.tokens, replies.mask)
        return torch.log_softmax(head(model, states[replies.mask.bool()]).float(), dim=-1)

    with evaluating(model):
        for first in range(0, len(encoded), prompts_at_once):
            part = encoded[first : first + prompts_at_once]
            ids, mask = (tensor.to(model.device) for tensor in pad_sequences(part, tokenizer.pad_token_id, left=True))
            index = torch.arange(len(part), device=model.device).repeat_interleave(n)
            streams = [(begin, min(STREAM, len(part) - begin)) for begin in range(0, len(part), STREAM)]
            numbers = torch.cat([uniforms(size * n, horizon, seed, "drift", first + begin) for begin, size in streams])
            policy = prefill(model, ids, mask)
            ends = prompts.end_tokens(tokenizer, model)
            replies = sample(model, policy, index, numbers, end_tokens=ends, pad_token=tokenizer.pad_token_id)
            log_p = log_probs(policy)
            with model.disable_adapter():
                log_q = log_probs(prefill(model, ids, mask))
            total += float((log_p.exp() * (log_p - log_q)).sum(-1).clamp_min(0).sum())
            lengths += int(replies.mask.sum())
    return {"kl_to_base": total / (len(encoded) * n), "reply_tokens": lengths / (len(encoded) * n)}
