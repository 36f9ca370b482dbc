"""From records and params to a trained adapter: builds the rows, the model and the Trainer, and caches by content.

A run is identified by everything that its numbers depend on (token rows, weights, params, code, library
versions). The cache holds finished adapters and the checkpoints of unfinished ones, so a killed run resumes
where it was and ends with the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PrinterCallback, TrainerCallback, TrainingArguments

from polychromic import paths, prompts
from polychromic.data.records import Record
from polychromic.domains.base import Domain, Embed
from polychromic.io import read_json, sha256_json, write_json
from polychromic.models import weights
from polychromic.models.load import attach_lora, load_causal_lm
from polychromic.params import Method, Params
from polychromic.progress import Ticker, progress
from polychromic.training.trainer import Collator, PolychromicTrainer, ScoreSets, SetObjectiveConfig

LIBRARIES = ("torch", "transformers", "peft", "accelerate", "sentence-transformers")
NUMERIC_CODE = ("seeds.py", "prompts.py", "training", "models/load.py", "domains")
KEPT = ("adapter_config.json", "adapter_model.safetensors", "history.json")


def code_fingerprint(names: Sequence[str] = NUMERIC_CODE) -> str:
    """sha256 over the source of the modules that change numbers."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for name in names:
        path = package / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def library_versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def training_rows(records: Sequence[Record], tokenizer, domain: str, variant: str, all_references: bool) -> list[dict]:  # noqa: ANN001
    """One row per (prompt, reference): {"prompt": ids, "reply": ids ending in the end token, "row": number of the record}."""
    rows = []
    for number, record in enumerate(records):
        prompt = prompts.encode(tokenizer, prompts.messages(variant, domain, record.prompt))
        for reference in record.references if all_references else record.references[:1]:
            reply = tokenizer(reference, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
            rows.append({"prompt": prompt, "reply": reply, "row": number})
    return rows


def set_scorer(domain: Domain, records: Sequence[Record], similarity: str, embed: Embed) -> ScoreSets:
    """Quality and similarity of sampled replies, as the set objective takes them."""

    def score(numbers: Sequence[int], sets: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        quality, pairs = [], []
        for number, replies in zip(numbers, sets, strict=True):
            record = records[number]
            quality.append(domain.training_quality(record, replies, embed))
            if similarity == "exact":
                keys = np.array([domain.key(record, reply) for reply in replies], dtype=object)
                same = (keys[:, None] == keys[None, :]).astype(float)
            else:
                vectors = embed(replies).astype(float)
                same = np.clip(vectors @ vectors.T, 0.0, 1.0)
                np.fill_diagonal(same, 1.0)
            pairs.append(same)
        return np.stack(quality), np.stack(pairs)

    return score


@dataclass(frozen=True)
class Trained:
    """adapter: folder in PEFT format, as PeftModel.from_pretrained loads it. history: see PolychromicTrainer.history."""

    adapter: Path
    history: list[dict]
    fingerprint: str


def train_adapter(
    params: Params, domain: Domain, method: Method, lam: float | None, seed: int, train: Sequence[Record], dev: Sequence[Record], embed: Embed
) -> Trained:
    """Train one adapter, or take it from the cache.

    Args:
        lam: weight of D, None for a method without an objective.
        train, dev: records; dev serves validation cross-entropy only.
    """
    model, tokenizer = load_causal_lm(weights.obtain(params.model), params.train.precision, "cpu")
    rows = training_rows(train, tokenizer, domain.name, method.prompt, all_references=True)
    dev_rows = training_rows(dev, tokenizer, domain.name, method.prompt, all_references=False)
    settings = params.domain(domain.name)
    similarity = domain.similarity if method.similarity == "domain" else method.similarity
    identity = {
        "weights": weights.fingerprint(params.model),
        "rows": sha256_json([rows, dev_rows]),
        "lora": params.lora.model_dump(),
        "train": params.train.model_dump(exclude={"checkpoint_every"}) | {"steps": settings.steps},
        "seed": seed,
        "threads": params.threads,
        "code": code_fingerprint(),
        "libraries": library_versions(),
    }
    if method.objective != "none":
        identity |= {
            "objective": params.objective.model_dump() | {"name": method.objective, "lam": lam, "similarity": similarity},
            "rollouts": settings.rollouts.model_dump(),
            "horizon": settings.max_new_tokens,
            "encoder": weights.fingerprint(params.encoder),
            "records": sha256_json([record.model_dump() for record in train]),
        }
    fingerprint = sha256_json(identity)
    folder = paths.cache_dir() / "runs" / fingerprint
    if not (folder / "manifest.json").exists():
        config = None
        if method.objective != "none":
            config = SetObjectiveConfig(
                name=method.objective,
                lam=lam,
                n=params.objective.n,
                share=settings.rollouts.share,
                every=settings.rollouts.every,
                baseline=params.objective.baseline,
                max_new_tokens=settings.max_new_tokens,
                seed=seed,
                score=set_scorer(domain, train, similarity, embed),
            )
        model = attach_lora(model, params.lora.rank, params.lora.alpha, params.lora.target_modules, seed)
        _train(params, settings.steps, model, tokenizer, config, seed, rows, dev_rows, folder)
        write_json(folder / "manifest.json", {"identity": identity, "fingerprint": fingerprint})
    return Trained(folder, read_json(folder / "history.json"), fingerprint)


def _train(params: Params, steps: int, model, tokenizer, config, seed: int, rows: list[dict], dev_rows: list[dict], folder: Path) -> None:  # noqa: ANN001
    settings = params.train
    checkpoints = folder / "checkpoints"
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=steps,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size * 2,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
        lr_scheduler_type=settings.schedule,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=settings.eval_every,
        save_strategy="steps",
        save_steps=settings.checkpoint_every,
        save_total_limit=1,
        seed=seed,
        data_seed=seed,
        use_cpu=not torch.cuda.is_available(),
        report_to=[],
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )
    trainer = PolychromicTrainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        eval_dataset=dev_rows,
        data_collator=Collator(tokenizer.pad_token_id),
        processing_class=tokenizer,
        objective=config,
    )
    trainer.remove_callback(PrinterCallback)
    with progress(f"train, seed {seed}", steps) as tick:
        trainer.add_callback(_Tick(tick))
        trainer.train(resume_from_checkpoint=_last_complete(checkpoints))
    # PEFT records where the weights lay on this machine; an adapter is for any copy of them.
    model.peft_config["default"].base_model_name_or_path = str(params.model)
    model.save_pretrained(folder)
    write_json(folder / "history.json", trainer.history)
    shutil.rmtree(checkpoints, ignore_errors=True)


class _Tick(TrainerCallback):
    def __init__(self, tick: Ticker):
        self.tick = tick

    def on_step_end(self, args, state, control, **kwargs):  # noqa: ANN001, ANN003, ANN201 - Trainer's signature
        self.tick(state.global_step)


def _last_complete(checkpoints: Path) -> str | None:
    """The newest checkpoint that was written to its end; Trainer writes trainer_state.json last."""
    done = [path for path in checkpoints.glob("checkpoint-*") if (path / "trainer_state.json").exists()]
    for path in set(checkpoints.glob("checkpoint-*")) - set(done):
        shutil.rmtree(path)
    return str(max(done, key=lambda path: int(path.name.split("-")[1]))) if done else None


def export_adapter(trained: Trained, out: Path) -> None:
    """Copy a trained adapter to a folder of the user's."""
    out.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copyfile(trained.adapter / name, out / name)
