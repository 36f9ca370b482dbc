"""Cost of a training step against a plain Trainer + PEFT step: consecutive steps of real training, side by side in one process.

Every variant trains its own adapter from step 0, with the optimiser, schedule, batches and rollouts of params.yaml, over one
copy of the frozen weights. They take turns at each step (the machine's speed drifts), in an order that rotates. A step is
all of it: batch, rollouts and their scoring, forward, backward, clipping, update. The first step is not counted.

    plain        transformers.Trainer and PEFT as they are documented: prompt and reply in one row, labels -100 on the prompt
    lora         our trainer without an objective: the prompt's key-value cache serves the reply
    polychromic  the headline; beside it every method of params.yaml that has a set objective, ours at other costs and peers
    rft          a step of lora (of polychromic, for a method that has its objective too), plus its pool of samples spread over the
                 domain's steps; the pool's time is that of POOL_PROMPTS prompts, taken half-way, times how many more there are
    naive        rollouts for every prompt by `generate`, prompt by prompt, and each reply scored behind a copy of its prompt;
                 dear, so that it takes every NAIVE_EVERYth step only, from the headline's adapter of that moment

Writes benchmarks/results/step_cost-<domain>.json when a domain has ended: raw seconds, ratios of means with 95 % intervals (bootstrap
over steps, paired), seconds by part.
At 50 steps about 17 minutes for listqa and 8 for replies on one quiet core; it says what it expects after the first step.
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from math import lcm
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from transformers import DataCollatorForSeq2Seq, PreTrainedModel, Trainer

from benchmarks.common import RESULTS, Timers, command, commit_name, device_name, generate_replies, headline, now, relative
from polychromic.base.errors import UsageError
from polychromic.base.io import write_json
from polychromic.base.progress import progress
from polychromic.method.sets import score_sets
from polychromic.models import weights
from polychromic.models.decode import Replies
from polychromic.models.load import attach_lora, load_causal_lm
from polychromic.models.readers import LiveReaders
from polychromic.params import Params, load_params
from polychromic.sample.cells import Workbench
from polychromic.train import rollouts
from polychromic.train import trainer as core
from polychromic.train.adapter import trainer_extras, training_arguments, training_rows
from polychromic.train.rollouts import Sampler
from polychromic.train.self_training import SelfTraining
from polychromic.train.trainer import PolychromicTrainer

ALWAYS = ("plain", "lora", "polychromic")
NAIVE_EVERY = 25
POOL_PROMPTS = 64
# Functions of the trainer, by the part of a step that their time is counted in.
PARTS = {
    "prefill": [(core, "prefill"), (rollouts, "prefill")],
    "encode": [(rollouts, "score_sets")],
    "score": [(core, name) for name in ("shared_states", "repeated_states", "head", "token_loss", "chosen_log_probs")],
}


class NaiveSampler(Sampler):
    """Decodes by one call of `generate` per prompt, from the prompt's tokens instead of its cache."""

    def prefill(self, model, batch):  # noqa: ANN001, ANN201 - Sampler's signature
        return batch["prompt"], batch["prompt_mask"]

    def draw(self, model, start, index, uniform, examples):  # noqa: ANN001, ANN201 - Sampler's signature
        places, n = index.unique(return_counts=True)
        horizon, tokenizer = uniform.shape[1], self.tokenizer
        rows, lengths, finished = [], [], []
        for ids, mask in zip(*(part[places] for part in start), strict=True):
            own = ids[mask.bool()][None]
            tokens, real = generate_replies(model, tokenizer, own, torch.ones_like(own), int(n[0]), horizon)
            rows.append(torch.nn.functional.pad(tokens, (0, horizon - tokens.shape[1]), value=tokenizer.pad_token_id))
            lengths.append(real.sum(-1))
            finished.append((tokens == tokenizer.eos_token_id).any(-1))
        lengths = torch.cat(lengths)
        mask = (torch.arange(int(lengths.max()), device=lengths.device) < lengths[:, None]).long()
        return Replies(torch.cat(rows)[:, : mask.shape[1]], mask, torch.cat(finished))


@dataclass
class Variant:
    """A training run that is driven step by step."""

    trainer: Trainer
    batches: Iterator  # of its training set, without end, in the order of its data seed
    timers: Timers
    seconds: list[float] = field(default_factory=list)  # of each counted step
    parts: Counter = field(default_factory=Counter)  # the same by part, summed

    def step(self, counted: bool) -> float:
        """One optimiser step, as Trainer's own loop takes it without logs, validation and checkpoints; its seconds."""
        trainer, self.timers.spent = self.trainer, Counter()
        started = now()
        batches, items = trainer.get_batch_samples(self.batches, 1, trainer.args.device)
        trainer.current_gradient_accumulation_steps = 1
        trainer.training_step(trainer.model, batches[0], items)
        trainer._clip_grad_norm(trainer.model)
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
        trainer.model.zero_grad()
        trainer.state.global_step += 1
        spent = now() - started
        if counted:
            self.seconds.append(spent)
            self.parts += Counter(self.timers.take())
        return spent

    def part_seconds(self) -> dict[str, float]:
        """Mean seconds of a step by part; they add up to its mean."""
        known = {part: self.parts[part] / len(self.seconds) for part in ("prefill", "decode", "encode", "score", "backward")}
        return known | {"other": float(np.mean(self.seconds)) - sum(known.values())}


def endless(trainer: Trainer) -> Iterator:
    """Batches of one epoch after the other."""
    loader = trainer.get_train_dataloader()
    for epoch in count():
        loader.set_epoch(epoch)
        yield from loader


def variants_of(params: Params, domain: str) -> list[str]:
    """Variants of a domain: ALWAYS, the other methods with a set objective or that train on their own samples, and naive."""
    methods = {name: method for name, method in params.methods.items() if params.runs(name, domain) and name not in ALWAYS}
    own = [name for name, method in methods.items() if method.objective != "none" or method.self_training]
    own = [name for name in own if params.trains_like(name) == name]
    return [*dict.fromkeys([*ALWAYS, *own]), "naive"]


class Bench:
    """The variants of a domain, and what they share. `steps`: counted steps."""

    def __init__(self, params: Params, domain: str, steps: int, folder: Path):
        self.params, self.domain, self.steps, self.folder = params, domain, steps, folder
        self.bench = Workbench(params, domain, params.cell(domain, "dev", "lora"))
        self.seed = params.seeds[0]
        self.base, self.tokenizer = load_causal_lm(weights.obtain(params.model), params.train.precision, "cpu")
        self.timers = Timers()

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Within it the functions of PARTS are timed."""
        with ExitStack() as stack:
            for part, functions in PARTS.items():
                for module, name in functions:
                    stack.enter_context(mock.patch.object(module, name, self.timers.wrap(part, getattr(module, name))))
            yield

    def adapted(self) -> PreTrainedModel:
        """The base model with a fresh adapter; the frozen weights are the same tensors in every copy."""
        model = copy.deepcopy(self.base, {id(weight): weight for weight in self.base.parameters()})
        return attach_lora(model, self.params.lora.rank, self.params.lora.alpha, self.params.lora.target_modules, self.seed).train()

    def readers(self, model: PreTrainedModel) -> LiveReaders:
        found = self.bench.readers()
        found.bind(model, self.tokenizer)
        return found

    def make(self, name: str) -> Variant:
        method, lam = headline(self.params, {"plain": "lora", "naive": "polychromic"}.get(name, name))
        train, tokenizer, steps, model = self.bench.splits["train"], self.tokenizer, self.steps + 1, self.adapted()
        readers = self.readers(model)
        rows = training_rows(train, tokenizer, self.domain, method, readers.embed)
        settings = dict(model=model, args=training_arguments(self.params.train, steps, self.seed, self.folder))
        if name == "plain":
            padded_right = copy.deepcopy(tokenizer)
            padded_right.padding_side = "right"
            rows = [
                {"input_ids": row["prompt"] + row["completion"], "labels": [-100] * len(row["prompt"]) + row["completion"]} for row in rows
            ]
            trainer = Trainer(train_dataset=rows, eval_dataset=rows, data_collator=DataCollatorForSeq2Seq(padded_right), **settings)
        else:
            settings |= trainer_extras(self.params, self.bench.domain, method, lam, self.seed, train, readers)
            settings |= dict(train_dataset=rows, eval_dataset=rows, processing_class=tokenizer, readers=readers)
            if name == "naive":
                settings |= {"layout": "repeated", "objective": replace(settings["objective"], share=1.0, every=1)}
            trainer = PolychromicTrainer(**settings)
            if name == "naive":
                trainer.sampler = trainer.rollouts.sampler = NaiveSampler(tokenizer, trainer.accelerator, trainer._broken)
            trainer.sampler.draw = self.timers.wrap("decode", trainer.sampler.draw)
            if trainer.objective is not None:  # the encoder is loaded when it is first asked for
                score_sets(trainer.objective, [rows[0]], ["one"] * trainer.objective.n)
        trainer.accelerator.backward = self.timers.wrap("backward", trainer.accelerator.backward)
        trainer.create_optimizer_and_scheduler(steps)
        return Variant(trainer, endless(trainer), self.timers)

    def pool_seconds(self, name: str, trainer: PolychromicTrainer) -> float:
        """Seconds per step of the domain's training that sampling the pool of method `name` takes, with the model of `trainer`."""
        method, lam = headline(self.params, name)
        extras = trainer_extras(
            self.params, self.bench.domain, method, lam, self.seed, self.bench.splits["train"], self.readers(trainer.model)
        )
        pool: SelfTraining = extras["self_training"]
        rows = list({tuple(row["prompt"]): row for row in trainer.train_dataset}.values())
        stride = max(1, len(rows) // POOL_PROMPTS)
        everything, trainer.train_dataset = trainer.train_dataset, rows[::stride][:POOL_PROMPTS]
        started = now()
        pool.fill(trainer, trainer.sampler)
        steps = self.params.domain(self.domain).steps
        sampled = min(len(rows), (steps - pool.after) * self.params.train.batch_size)  # no more prompts than rows are left
        spent = (now() - started) * sampled / len(trainer.train_dataset)
        trainer.train_dataset = everything
        return spent / steps


def run(params: Params, domain: str, names: Sequence[str], steps: int) -> dict:
    """Train the variants side by side; the document of benchmarks/results/step_cost-<domain>.json.

    Args: steps: of each variant, raised to a multiple of their rollout intervals, so that rollouts come at their rate.
    """
    methods = (params.methods[name] for name in names if name in params.methods)
    interval = lcm(*((method.rollouts or params.domain(domain).rollouts).every for method in methods if method.objective != "none"))
    steps = -(-steps // interval) * interval
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(params, domain, steps, Path(folder))
        self_trained = [name for name in names if name in params.methods and params.methods[name].self_training]
        variants = {name: bench.make(name) for name in names if name not in self_trained}
        pools: dict[str, float] = {}
        with bench.timed(), progress(f"{domain}: steps", steps) as tick:
            for step in range(steps + 1):  # the first sets libraries and optimisers up
                order = [name for name in variants if name != "naive" or (step - 1) % NAIVE_EVERY == 0 or not step]
                turn = step % len(order)
                spent = 0.0
                for name in order[turn:] + order[:turn]:
                    if name == "naive":
                        adapter = get_peft_model_state_dict(variants["polychromic"].trainer.model)
                        set_peft_model_state_dict(variants[name].trainer.model, adapter)
                    share = NAIVE_EVERY if name == "naive" else 1
                    spent += variants[name].step(counted=step > 0) / share
                if not step:
                    print(f"{domain}: {len(order)} variants, about {spent * steps / 60:.1f} minutes for {steps} steps", file=sys.stderr)
                if step == (steps + 1) // 2:
                    pools = {name: bench.pool_seconds(name, variants["lora"].trainer) for name in self_trained}
                tick(step)
    seconds = {name: variant.seconds for name, variant in variants.items()}
    steps_of = {name: "lora" if params.methods[name].objective == "none" else "polychromic" for name in self_trained}
    seconds |= {name: [value + pools[name] for value in seconds[like]] for name, like in steps_of.items()}
    found = {}
    for name in names:
        stride = NAIVE_EVERY if name == "naive" else 1
        own, plain, lora = (np.array(values) for values in (seconds[name], seconds["plain"][::stride], seconds["lora"][::stride]))
        ratio, low, high = relative(own, plain, params.analysis.bootstrap, params.analysis.seed)
        variant = variants.get(name)
        objective = getattr(variants[steps_of.get(name, name)].trainer, "objective", None)
        found[name] = {
            "mean_seconds": float(own.mean()),
            "ratio_to_plain": ratio,
            "ratio_to_lora": float(own.mean() / lora.mean()),
            "low": low,
            "high": high,
            "rho": objective.share if objective else None,
            "every": objective.every if objective else None,
            "part_seconds": variant.part_seconds() if variant and name != "plain" else None,
            "seconds": own.tolist(),
        }
    return {
        "device": device_name(),
        "threads": params.threads,
        "torch": torch.__version__,
        "commit": commit_name(),
        "domain": domain,
        "batch_size": params.train.batch_size,
        "n": params.objective.n,
        "horizon": params.domain(domain).max_new_tokens,
        "precision": params.train.precision,
        "steps": steps,
        "variants": found,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domain", action="append", help="a domain of params.yaml; may be given several times (default: all)")
    parser.add_argument("--steps", type=int, default=50, help="counted steps of each variant, at least")
    parser.add_argument("--variants", help=f"names with commas between, beside {', '.join(ALWAYS)} (default: all)")
    options = parser.parse_args(arguments)
    params = load_params()
    if options.steps < 1:
        raise UsageError(f"--steps is {options.steps}; a mean needs 1 or more. Leave the option out for 50.")
    wanted = {}
    for domain in options.domain or params.domains:
        if domain not in params.domains:
            raise UsageError(f"--domain is {domain!r}; allowed: {', '.join(params.domains)}.")
        allowed = variants_of(params, domain)
        chosen = {*ALWAYS, *options.variants.split(",")} if options.variants else set(allowed)
        if unknown := sorted(chosen - set(allowed)):
            raise UsageError(f"--variants names {', '.join(unknown)}; allowed for {domain}: {', '.join(allowed)}.")
        wanted[domain] = [name for name in allowed if name in chosen]
    for domain, names in wanted.items():
        document = run(params, domain, names, options.steps)
        path = RESULTS / f"step_cost-{domain}.json"
        write_json(path, document)
        ratios = (f"{name} {values['ratio_to_plain']:.3f}" for name, values in document["variants"].items())
        print(f"{path}: mean step in units of plain: " + ", ".join(ratios))


if __name__ == "__main__":
    command(main)
