"""Cost of a training step against a plain Trainer + PEFT step, measured side by side in one process.

Variants take turns on the same batches (the machine's speed drifts), at the sizes of params.yaml:
    plain        transformers.Trainer, prompt and reply in one row, labels masked on the prompt
    lora         our trainer without an objective: the prompt's key-value cache serves the reply
    polychromic  with rollouts, at the declared share and interval
Writes benchmarks/results/step_cost-<domain>.json: raw seconds, ratios of means, device and commit.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

from polychromic.cells import Workbench
from polychromic.io import write_json
from polychromic.models import weights
from polychromic.models.load import attach_lora, load_causal_lm
from polychromic.params import Params, load_params
from polychromic.progress import progress
from polychromic.seeds import derive_seed
from polychromic.training.run import set_scorer, training_rows
from polychromic.training.trainer import Collator, PolychromicTrainer, SetObjectiveConfig, pad_sequences

RESULTS = Path(__file__).parent / "results"


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def plain_collate(rows: list[dict], pad_token: int) -> dict[str, torch.Tensor]:
    """Prompt and reply in one right-padded row, labels -100 on prompt and padding: the usual supervised batch."""
    ids, mask = pad_sequences([row["prompt"] + row["reply"] for row in rows], pad_token, left=False)
    labels, _ = pad_sequences([[-100] * len(row["prompt"]) + row["reply"] for row in rows], -100, left=False)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def build(params: Params, domain: str, lam: float, folder: str) -> tuple[dict[str, Trainer], list[dict], int]:
    """Three trainers, each with a model of its own, and the rows that they all see."""
    bench = Workbench(params, domain, "polychromic", lam)
    settings, train = bench.settings, bench.splits["train"]
    config = SetObjectiveConfig(
        name=bench.method.objective,
        lam=lam,
        n=params.objective.n,
        share=settings.rollouts.share,
        every=settings.rollouts.every,
        baseline=params.objective.baseline,
        max_new_tokens=settings.max_new_tokens,
        seed=0,
        score=set_scorer(bench.domain, train, bench.domain.similarity, bench.embed),
    )
    trainers: dict[str, Trainer] = {}
    for name in ("plain", "lora", "polychromic"):
        model, tokenizer = load_causal_lm(weights.obtain(params.model), params.train.precision, "cpu")
        model = attach_lora(model, params.lora.rank, params.lora.alpha, params.lora.target_modules, 0)
        arguments = TrainingArguments(
            output_dir=folder, use_cpu=not torch.cuda.is_available(), report_to=[], learning_rate=params.train.learning_rate
        )
        if name == "plain":
            trainers[name] = Trainer(model=model, args=arguments, processing_class=tokenizer)
        else:
            objective = config if name == "polychromic" else None
            trainers[name] = PolychromicTrainer(model=model, args=arguments, processing_class=tokenizer, objective=objective)
        trainers[name].create_optimizer()
        model.train()
    rows = training_rows(train, tokenizer, domain, "zero_shot", all_references=True)
    return trainers, rows, tokenizer.pad_token_id


def one_step(trainer: Trainer, batch: dict[str, torch.Tensor], step: int, limit: float) -> float:
    """Seconds of forward, backward, clipping and update."""
    trainer.state.global_step = step
    started = time.perf_counter()
    trainer.training_step(trainer.model, batch)
    torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), limit)
    trainer.optimizer.step()
    trainer.optimizer.zero_grad()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domain", default="listqa")
    parser.add_argument("--steps", type=int, default=50, help="consecutive steps of each variant")
    parser.add_argument("--warmup", type=int, default=2)
    options = parser.parse_args()
    params = load_params()
    with tempfile.TemporaryDirectory() as folder:
        trainers, rows, pad_token = build(params, options.domain, params.lam, folder)
    torch.set_num_threads(params.threads)
    order = torch.Generator().manual_seed(derive_seed(0, "bench"))
    batches = iter(DataLoader(rows * 100, params.train.batch_size, shuffle=True, generator=order, collate_fn=list))
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    with progress("steps", options.steps + options.warmup) as tick:
        for step in range(options.steps + options.warmup):
            batch = next(batches)
            for name, trainer in trainers.items():
                inputs = plain_collate(batch, pad_token) if name == "plain" else Collator(pad_token)(batch)
                spent = one_step(trainer, inputs, step, params.train.max_grad_norm)
                if step >= options.warmup:
                    seconds[name].append(round(spent, 4))
            tick(step + 1)
    means = {name: float(np.mean(values)) for name, values in seconds.items()}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip() or "unknown"
    settings = params.domain(options.domain)
    document = {
        "device": cpu_name(),
        "threads": params.threads,
        "torch": torch.__version__,
        "commit": commit,
        "domain": options.domain,
        "batch_size": params.train.batch_size,
        "n": params.objective.n,
        "rho": settings.rollouts.share,
        "every": settings.rollouts.every,
        "horizon": settings.max_new_tokens,
        "precision": params.train.precision,
        "steps": options.steps,
        "mean_seconds": {name: round(value, 4) for name, value in means.items()},
        "ratio_to_plain": {name: round(value / means["plain"], 3) for name, value in means.items()},
        "seconds": seconds,
    }
    path = RESULTS / f"step_cost-{options.domain}.json"
    write_json(path, document)
    print(f"{path}: mean step in units of plain: " + ", ".join(f"{k} {v}" for k, v in document["ratio_to_plain"].items()), file=sys.stdout)


if __name__ == "__main__":
    main()
