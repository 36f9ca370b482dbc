"""From records and params to a trained adapter: builds the rows, the model and the Trainer, and caches by content.

A run is identified by everything that its numbers depend on (token rows, weights, params, code, library
versions). The cache holds finished adapters and the checkpoints of unfinished ones, so a killed run resumes
where it was and ends with the same bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import PrinterCallback, TrainerCallback, TrainingArguments

from polychromic.base import paths
from polychromic.base.cache import code_fingerprint, environment
from polychromic.base.hardware import best_device
from polychromic.base.io import read_json, sha256_json, write_json
from polychromic.base.locks import single_writer
from polychromic.base.progress import Ticker, progress
from polychromic.data.domains.base import Domain, Embed
from polychromic.data.records import Record
from polychromic.method.losses import deviation_weights
from polychromic.method.sets import SetObjectiveConfig, cosines, set_functions
from polychromic.models import prompts, weights
from polychromic.models.load import attach_lora, load_causal_lm, rows_at_once
from polychromic.params import DomainParams, Method, Params, Train
from polychromic.train.batches import encode_completion
from polychromic.train.drift import STREAM, kl_to_base
from polychromic.train.self_training import SelfTraining
from polychromic.train.trainer import PolychromicTrainer

KEPT = ("adapter_config.json", "adapter_model.safetensors", "history.json")


def numeric_code(domain: str) -> tuple[str, ...]:
    """Modules and folders of the package that change what training gives."""
    parts = ("__init__", "base", "text", domain)
    return ("base/seeds.py", "models", "method", "train", *(f"data/domains/{part}.py" for part in parts))


def training_rows(records: Sequence[Record], tokenizer, domain: str, method: Method, embed: Embed | None) -> list[dict]:  # noqa: ANN001
    """One row per (prompt, target): {"prompt": ids, "completion": ids ending in the end token, "record": number, "weight": of the loss}.

    Args:
        method: its `targets` say which replies are targets, its `loss` whether they are weighted.
        embed: for loss deviation, which weighs a reply by how far it is from the prompt's others.
    """
    rows = []
    for number, record in enumerate(records):
        prompt = prompts.encode(tokenizer, prompts.messages(method.prompt, domain, record.prompt))
        targets = list(dict.fromkeys([*record.references, *(record.valid if method.targets == "valid" else ())]))
        weight = np.ones(len(targets))
        if method.loss == "deviation":
            weight = deviation_weights([cosines(embed(targets))])[0]
        for target, w in zip(targets, weight, strict=True):
            row = {"prompt": prompt, "completion": encode_completion(tokenizer, target), "record": number}
            rows.append(row if w == 1 else row | {"weight": float(w)})
    return rows


def validation_rows(records: Sequence[Record], tokenizer, domain: str, variant: str) -> list[dict]:  # noqa: ANN001
    """One row per prompt, with its first reference: what validation cross-entropy is taken on, for every method."""
    return [
        {
            "prompt": prompts.encode(tokenizer, prompts.messages(variant, domain, record.prompt)),
            "completion": encode_completion(tokenizer, record.references[0]),
        }
        for record in records
    ]


@dataclass(frozen=True)
class Trained:
    """adapter: folder in PEFT format, as PeftModel.from_pretrained loads it. history: see PolychromicTrainer.history."""

    adapter: Path
    history: list[dict]
    fingerprint: str


def total_steps(settings: DomainParams, method: Method) -> int:
    """Optimiser steps: the domain's, times the method's budget."""
    return round(settings.steps * method.budget)


def train_settings(params: Params, method: Method) -> Train:
    """`train:` of params.yaml with the learning rate of the method, where it has one of its own."""
    return params.train if method.learning_rate is None else params.train.model_copy(update={"learning_rate": method.learning_rate})


def trainer_extras(
    params: Params, domain: Domain, method: Method, lam: float | None, seed: int, train: Sequence[Record], embed: Embed
) -> dict:
    """What PolychromicTrainer takes for a method beside model, rows and arguments: quality loss, set objective, self-training.

    Args: as `train_adapter`.
    """
    settings = params.domain(domain.name)
    similarity = domain.similarity if method.similarity == "domain" else method.similarity
    quality, pairs = set_functions(domain, train, similarity, embed)
    extras: dict = {"loss": method.loss, "loss_settings": method.settings}
    if method.objective != "none":
        extras["objective"] = SetObjectiveConfig(
            quality=quality,
            similarity=pairs,
            name=method.objective,
            subset=method.subset,
            baseline=method.baseline or params.objective.baseline,
            lam=lam,
            n=params.objective.n,
            max_new_tokens=settings.max_new_tokens,
            seed=seed,
            **(method.rollouts or settings.rollouts).model_dump(),
        )
    if method.self_training is not None:
        after = round(method.self_training.after * total_steps(settings, method))
        extras["self_training"] = SelfTraining(after, settings.pool_samples, quality, pairs, settings.max_new_tokens, seed)
    return extras


def training_arguments(settings: Train, steps: int, seed: int, folder: Path, validate: bool = True) -> TrainingArguments:
    """`train:` of params.yaml as transformers has it, with checkpoints in `folder`; evaluated on the way if `validate`."""
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=rows_at_once(settings.batch_size * 2),
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
        lr_scheduler_type=settings.schedule,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        logging_steps=1,
        eval_strategy="steps" if validate else "no",
        eval_steps=settings.eval_every,
        save_strategy="steps",
        save_steps=settings.checkpoint_every,
        save_total_limit=1,
        seed=seed,
        data_seed=seed,
        use_cpu=best_device() == "cpu",
        report_to=[],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )


def train_adapter(
    params: Params,
    domain: Domain,
    method: Method,
    lam: float | None,
    seed: int,
    train: Sequence[Record],
    dev: Sequence[Record],
    embed: Embed,
) -> Trained:
    """Train one adapter, or take it from the cache.

    Args:
        lam: weight of D, None for a method without an objective.
        train, dev: records; dev serves validation cross-entropy and the distance from the base model, nothing that is trained on.
            Without any, neither is measured.

    Raises:
        PolychromicError: another process is training the very same adapter; or training met a loss that is not finite.
    """
    model, tokenizer = load_causal_lm(weights.obtain(params.model), params.train.precision, "cpu")
    rows = training_rows(train, tokenizer, domain.name, method, embed)
    dev_rows = validation_rows(dev, tokenizer, domain.name, method.prompt)
    settings = params.domain(domain.name)
    similarity = domain.similarity if method.similarity == "domain" else method.similarity
    rollouts = method.rollouts or settings.rollouts
    identity = {
        "weights": weights.fingerprint(params.model),
        "rows": sha256_json([rows, dev_rows]),
        "lora": params.lora.model_dump(),
        "train": train_settings(params, method).model_dump(exclude={"checkpoint_every"}) | {"steps": total_steps(settings, method)},
        "loss": {"name": method.loss, **method.settings},
        "horizon": settings.max_new_tokens,
        "seed": seed,
        "threads": params.threads,
        "code": code_fingerprint(numeric_code(domain.name)),
        "libraries": environment(),
    }
    scored = {
        "similarity": similarity,
        "encoder": weights.fingerprint(params.encoder),
        "records": sha256_json([record.model_dump() for record in train]),
    }
    if method.objective != "none":
        baseline = method.baseline or params.objective.baseline
        objective = {"name": method.objective, "n": params.objective.n, "subset": method.subset, "baseline": baseline, "lam": lam}
        identity |= scored | {"objective": objective, "rollouts": rollouts.model_dump()}
    if method.self_training is not None:
        identity |= scored | {"self_training": method.self_training.model_dump() | {"samples": settings.pool_samples}}
    fingerprint = sha256_json(identity)
    folder = paths.cache_dir() / "runs" / fingerprint
    with single_writer(folder, wait_seconds=3600):
        if not (folder / "manifest.json").exists():
            extras = trainer_extras(params, domain, method, lam, seed, train, embed)
            model = attach_lora(model, params.lora.rank, params.lora.alpha, params.lora.target_modules, seed)
            _train(params, method, settings, model, tokenizer, extras, seed, rows, dev_rows, folder)
            write_json(folder / "manifest.json", {"identity": identity, "fingerprint": fingerprint})
    return Trained(folder, read_json(folder / "history.json"), fingerprint)


def _train(  # noqa: ANN202
    params: Params,
    method: Method,
    domain: DomainParams,
    model,
    tokenizer,
    extras: dict,
    seed: int,
    rows: list[dict],
    dev_rows: list[dict],
    folder: Path,  # noqa: ANN001
) -> None:
    settings, steps = train_settings(params, method), total_steps(domain, method)
    checkpoints = folder / "checkpoints"
    arguments = training_arguments(settings, steps, seed, checkpoints, validate=bool(dev_rows))
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
    with progress(f"train, seed {seed}", steps) as tick:
        trainer.add_callback(_Tick(tick))
        trainer.train(resume_from_checkpoint=_last_complete(checkpoints))
    # PEFT records where the weights lay on this machine; an adapter is for any copy of them.
    model.peft_config["default"].base_model_name_or_path = str(params.model)
    model.save_pretrained(folder)
    history = trainer.history
    if prompts_of_dev := [row["prompt"] for row in dev_rows]:
        drift = kl_to_base(model, tokenizer, prompts_of_dev, settings.kl_samples, domain.max_new_tokens, seed, rows_at_once(STREAM))
        history = [*history, {"step": steps, **drift}]
    write_json(folder / "history.json", history)
    shutil.rmtree(checkpoints, ignore_errors=True)


class _Tick(TrainerCallback):
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
    out.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copyfile(trained.adapter / name, out / name)
