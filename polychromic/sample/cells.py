"""A cell of the grid: train (or load) the adapter of each seed, sample the prompts of a split, write the samples.

The out is the samples and, on dev, the training history. Adapters stay in the content-addressed cache (polychromic.train.adapter):
on a fresh clone `dvc pull` then restores a cell without training it. Each seed's samples are kept there too, so a cell that is killed
goes on with the seed it was at. Which systems a split has, with which seeds and temperatures, is `Params.cells`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

from polychromic.base import paths, processes
from polychromic.base.cache import code_fingerprint, environment
from polychromic.base.errors import UsageError
from polychromic.base.hardware import best_device, cpu_model
from polychromic.base.io import read_json, read_jsonl, sha256_json, together, write_jsonl
from polychromic.data.domains import get_domain
from polychromic.data.records import Record, load_split
from polychromic.models import prompts, weights
from polychromic.models.load import compute_reproducibly, load_causal_lm, load_encoder, rows_at_once, tell_cut
from polychromic.models.readers import LiveReaders
from polychromic.params import Cell, Params
from polychromic.sample.draw import sample_prompts
from polychromic.sample.prompts import prompts_of
from polychromic.train.adapter import Trained, train_adapter

SAMPLING_CODE = ("base/seeds.py", "models", "sample/draw.py")


class Workbench:
    """What the seeds of a cell share: weights, encoder, prompts. Loads a thing when it is first asked for."""

    def __init__(self, params: Params, domain_name: str, cell: Cell, validate: bool = True):
        """validate: whether training measures itself on dev; the adapter is the same either way."""
        compute_reproducibly(params.threads)
        self.device = best_device()
        self.params, self.cell = params, cell
        self.cut: dict[str, int] = {}  # texts longer than the encoder reads -> tokens that it reads
        self.domain, self.settings = get_domain(domain_name), params.domain(domain_name)
        self.method = params.methods[cell.method]
        self.lam = cell.lam if self.method.lam == "lambda" else self.method.lam
        self.variant = prompts.variant(domain_name, self.method.prompt)
        if self.variant.list is not None and self.variant.list < (least := max(10, params.objective.n)):
            raise UsageError(
                f"polychromic/models/prompts.yaml: {domain_name}.{self.method.prompt} asks for lists of {self.variant.list}. "
                f"A list is scored on its own, and pass@10 and sets of objective.n replies need {least}. Raise list."
            )
        self.splits = load_split(domain_name)
        self.validation = self.splits["dev"] if validate else []

    @cached_property
    def _encoder(self):  # noqa: ANN202 - sentence_transformers is imported inside
        return load_encoder(weights.obtain(self.params.encoder), self.device)

    def readers(self) -> LiveReaders:
        """Of one training run, whose operations they count."""
        return LiveReaders(self.domain.name, read_json(paths.norms_file(self.domain.name))["training"], lambda: self._encoder, self.cut)

    def train(self, seed: int) -> Trained:
        records = (self.splits["train"], self.validation, self.readers(), self.splits.get("unlabelled", ()))
        return train_adapter(self.params, self.domain, self.method, self.lam, seed, *records)

    def system(self, seed: int) -> tuple[torch.nn.Module, object, Trained | None, str]:
        """Model ready to sample (adapter merged), tokenizer, the training run if any, and the system's identity."""
        trained = self.train(seed) if self.method.adapter == "lora" else None
        precision = self.params.train.precision if trained else self.params.sampling.precision
        source = self.params.model
        model, tokenizer = load_causal_lm(weights.obtain(source), precision, "cpu", source)
        if trained:
            from peft import PeftModel
            from peft.tuners.lora import LoraLayer

            model = PeftModel.from_pretrained(model, trained.adapter)
            if self.method.scale != 1:
                for module in model.modules():
                    if isinstance(module, LoraLayer):
                        module.set_scale(module.active_adapters[0], self.method.scale)
            if source.quantization == "none":  # in 4 bits what is merged would be rounded anew
                model = model.merge_and_unload()
        if source.placed:
            model = model.eval()
        else:
            model = model.to(self.device, getattr(torch, self.params.sampling.precision)).eval()
        return model, tokenizer, trained, trained.fingerprint if trained else weights.fingerprint(source)

    def encoded_prompts(self, tokenizer, records: Sequence[Record]) -> list[list[int]]:  # noqa: ANN001
        exemplars: list[tuple[str, str]] = []
        if self.variant.exemplars:
            pairs = [(record.prompt, record.references[0]) for record in self.splits["train"]]
            exemplars = prompts.choose_exemplars(pairs, self.params.few_shot.exemplars, self.params.few_shot.seed)
        chats = [prompts.messages(self.method.prompt, self.domain.name, record.prompt, exemplars) for record in records]
        return [prompts.encode(tokenizer, chat) for chat in chats]


def sample_cell(params: Params, domain: str, split: str, cell: Cell, out: Path) -> None:
    """Train and sample every seed, then write `out`/samples.jsonl.gz and, of what was trained for dev, `out`/history.jsonl; on test always.

    On test each row says which machine drew it, since test may be computed elsewhere than dev.

    Raises:
        as prompts_of; PolychromicError: training met a loss that is not finite.
    """
    records = prompts_of(params, domain, split)
    bench = Workbench(params.on(domain, split), domain, cell, validate=split != "test")
    samples, history = [], []
    for seed in cell.seeds:
        if not processes.first():  # which trains with the first one, and leaves sampling to it
            if bench.method.adapter == "lora":
                bench.train(seed)
            continue
        rows, log = sample_seed(bench, seed, split, records)
        samples += rows
        history += [{"seed": seed, **row} for row in log]
    if not processes.first():
        return
    tell_cut(f"{domain} {cell.name}", bench.cut)
    if split == "test":  # the machine as a reader would look for it
        found = environment()
        machine = f"{found.get('gpu') or cpu_model()}, torch {found['torch']}"
        samples = [{**row, "machine": machine} for row in samples]
    with together():
        write_jsonl(out / paths.SAMPLES, samples)
        if split == "test" or (split == "dev" and history):  # empty of what is only prompted, since test's cells are one kind of stage
            write_jsonl(out / paths.HISTORY, history)


def sample_seed(bench: Workbench, seed: int, split: str, records: Sequence[Record]) -> tuple[list[dict], list[dict]]:
    """One seed of a cell, trained if it is not in the cache: the rows of its samples, by temperature, and the training history.

    Samples are cached by all that they are drawn from, as the model said them: the reading of a list may change without sampling anew.
    """
    params, listed = bench.params, bench.variant.list or 1
    model, tokenizer, trained, identity = bench.system(seed)
    encoded = bench.encoded_prompts(tokenizer, records)
    horizon = bench.settings.max_new_tokens * listed
    shared = {
        "system": identity,
        "prompts": encoded,
        "seed": seed,
        "min_p": bench.method.min_p,
        "scale": bench.method.scale,
        "list": bench.variant.list,
        "horizon": horizon,
        "sampling": params.sampling.model_dump(),
        "threads": params.threads,
        "code": code_fingerprint(SAMPLING_CODE),
        "libraries": environment(),
    }
    if loading := params.model.changed:
        shared["loading"] = loading
    rows: list[dict] = []
    for temperature in bench.cell.temperatures:
        path = paths.cache_dir() / "samples" / f"{sha256_json(shared | {'temperature': temperature})}.jsonl.gz"
        if not path.exists():
            said = sample_prompts(
                model, tokenizer, encoded, n=-(-params.sampling.n // listed), temperature=temperature, min_p=bench.method.min_p,
                max_new_tokens=horizon, rows=rows_at_once(params.sampling.rows), seed=seed,
                what=f"sample, seed {seed}, temperature {temperature}",
            )  # fmt: skip
            write_jsonl(path, said)
        for record, (_, drawn) in zip(records, read_jsonl(path), strict=True):
            replies = unlist(drawn, listed) if bench.variant.list else drawn
            rows.append({"seed": seed, "temperature": temperature, "split": split, "id": record.id, **replies})
    return rows, trained.history if trained else []


def unlist(row: dict, count: int) -> dict:
    """A row of lists as a row of replies, `count` of each list; "block" says that replies of one list belong together."""
    samples = [reply for text in row["samples"] for reply in prompts.split_list(text, count)]
    per_reply = [round(tokens / count, 2) for tokens in row["tokens"] for _ in range(count)]
    return {"samples": samples, "tokens": per_reply, "finished": [done for done in row["finished"] for _ in range(count)], "block": count}
