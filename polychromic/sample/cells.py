"""A cell of the grid: train (or load) the adapter of each seed, sample the prompts of dev, write the samples.

The out is the samples and the history. Adapters stay in the content-addressed cache (polychromic.train.adapter):
on a fresh clone `dvc pull` then restores a cell without training it. Each seed's samples are kept there too, so a
cell that is killed goes on with the seed it was at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from polychromic.base import paths
from polychromic.base.cache import code_fingerprint, environment
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.hardware import best_device
from polychromic.base.io import read_json, read_jsonl, sha256_json, write_jsonl
from polychromic.data.domains import get_domain
from polychromic.data.records import Record, read_records
from polychromic.models import prompts, weights
from polychromic.models.load import compute_reproducibly, embed, load_causal_lm, load_encoder, rows_at_once
from polychromic.params import Method, Params
from polychromic.sample.draw import sample_prompts
from polychromic.train.adapter import Trained, train_adapter

SAMPLING_CODE = ("base/seeds.py", "models", "sample/draw.py")


def cell_name(method: str, lam: float | None) -> str:
    """Folder of a cell: the method's name, with lambda where it is the grid's axis."""
    return method if lam is None else f"{method}-{lam}"


def resolve(params: Params, name: str, lam: float | None) -> tuple[Method, float | None]:
    """The method and the weight it trains with.

    Raises:
        UsageError: no such method; or --lam given to a method that takes none, or missing for one that does.
    """
    if name not in params.methods:
        allowed = ", ".join(params.methods)
        raise UsageError(f"method {name!r} does not exist. Allowed: {allowed}. Methods are declared under `methods:` in params.yaml.")
    method = params.methods[name]
    if method.lam == "lambda":
        if lam is None:
            raise UsageError(f"method {name!r} needs a weight: add --lam, such as --lam {params.lam}.")
        return method, lam
    if lam is not None:
        raise UsageError(f"method {name!r} takes no --lam: params.yaml sets methods.{name}.lam to {method.lam}. Leave the option out.")
    return method, method.lam


def load_split(domain: str) -> dict[str, list[Record]]:
    """Records by split, in the order of the split file.

    Raises:
        PolychromicError: the split names a record that the data file does not hold (they are of different versions).
    """
    records = {record.id: record for record in read_records(paths.data_file(domain))}
    splits = read_json(paths.split_file(domain))["splits"]
    missing = [i for ids in splits.values() for i in ids if i not in records]
    if missing:
        where = paths.split_file(domain)
        raise PolychromicError(f"{where}: {len(missing)} ids, {missing[0]!r} first, are not in {paths.data_file(domain)}. Run `dvc repro`.")
    return {name: [records[i] for i in ids] for name, ids in splits.items()}


class Workbench:
    """What the seeds of a cell share: weights, encoder, prompts. Loads a thing when it is first asked for."""

    def __init__(self, params: Params, domain_name: str, method_name: str, lam: float | None, validate: bool = True):
        """validate: whether training measures itself on dev; the adapter is the same either way."""
        compute_reproducibly(params.threads)
        self.device = best_device()
        self.params = params
        self.domain = get_domain(domain_name)
        self.settings = params.domain(domain_name)
        self.name = method_name
        self.method, self.lam = resolve(params, method_name, lam)
        self.variant = prompts.variant(domain_name, self.method.prompt)
        least = max(10, params.objective.n)
        if self.variant.list is not None and self.variant.list < least:
            raise UsageError(
                f"polychromic/models/prompts.yaml: {domain_name}.{self.method.prompt} asks for lists of {self.variant.list}. "
                f"A list is scored on its own, and pass@10 and sets of objective.n replies need {least}. Raise list."
            )
        self.splits = load_split(domain_name)
        self.validation = self.splits["dev"] if validate else []
        self._encoder = None

    def embed(self, texts: Sequence[str]):  # noqa: ANN201 - numpy stays out of this signature
        if self._encoder is None:
            self._encoder = load_encoder(weights.obtain(self.params.encoder), self.device)
        return embed(self._encoder, texts)

    def train(self, seed: int) -> Trained:
        return train_adapter(self.params, self.domain, self.method, self.lam, seed, self.splits["train"], self.validation, self.embed)

    def system(self, seed: int) -> tuple[torch.nn.Module, object, Trained | None, str]:
        """Model ready to sample (adapter merged), tokenizer, the training run if any, and the system's identity."""
        trained = self.train(seed) if self.method.adapter == "lora" else None
        precision = self.params.train.precision if trained else self.params.sampling.precision
        model, tokenizer = load_causal_lm(weights.obtain(self.params.model), precision, "cpu")
        if trained:
            from peft import PeftModel
            from peft.tuners.lora import LoraLayer

            model = PeftModel.from_pretrained(model, trained.adapter)
            if self.method.scale != 1:
                for module in model.modules():
                    if isinstance(module, LoraLayer):
                        module.set_scale(module.active_adapters[0], self.method.scale)
            model = model.merge_and_unload()
        model = model.to(self.device, getattr(torch, self.params.sampling.precision)).eval()
        return model, tokenizer, trained, trained.fingerprint if trained else weights.fingerprint(self.params.model)

    def encoded_prompts(self, tokenizer, records: Sequence[Record]) -> list[list[int]]:  # noqa: ANN001
        exemplars: list[tuple[str, str]] = []
        if self.variant.exemplars:
            pairs = [(record.prompt, record.references[0]) for record in self.splits["train"]]
            exemplars = prompts.choose_exemplars(pairs, self.params.few_shot.exemplars, self.params.few_shot.seed)
        chats = [prompts.messages(self.method.prompt, self.domain.name, record.prompt, exemplars) for record in records]
        return [prompts.encode(tokenizer, chat) for chat in chats]


def run_cell(params: Params, domain: str, method: str, lam: float | None, out: Path) -> None:
    """Train and sample every seed, then write `out`/samples.jsonl.gz and, for a trained method, `out`/history.jsonl."""
    bench = Workbench(params, domain, method, lam)
    temperatures = params.temperatures(bench.name, bench.domain.name)
    samples, history = [], []
    for seed in params.seeds_of(method, lam):
        rows, log = sample_seed(bench, seed, "dev", bench.splits["dev"], temperatures)
        samples += rows
        history += [{"seed": seed, **row} for row in log]
    write_jsonl(out / "samples.jsonl.gz", samples)
    write_jsonl(out / "history.jsonl", history)


def sample_seed(
    bench: Workbench, seed: int, split: str, records: Sequence[Record], temperatures: Sequence[float]
) -> tuple[list[dict], list[dict]]:
    """One seed of a cell, trained if it is not in the cache: the rows of its samples, by temperature, and the training history."""
    params, settings = bench.params, bench.settings
    model, tokenizer, trained, identity = bench.system(seed)
    encoded = bench.encoded_prompts(tokenizer, records)
    listed = bench.variant.list
    horizon = settings.max_new_tokens * (listed or 1)
    rows: list[dict] = []
    for temperature in temperatures:
        key = sha256_json(
            {
                "system": identity,
                "prompts": encoded,
                "seed": seed,
                "temperature": temperature,
                "scale": bench.method.scale,
                "min_p": bench.method.min_p,
                "list": listed,
                "horizon": horizon,
                "sampling": params.sampling.model_dump(),
                "threads": params.threads,
                "code": code_fingerprint(SAMPLING_CODE),
                "libraries": environment(),
            }
        )

        def draw(temperature: float = temperature) -> list[dict]:
            return sample_prompts(
                model,
                tokenizer,
                encoded,
                n=-(-params.sampling.n // (listed or 1)),
                temperature=temperature,
                min_p=bench.method.min_p,
                max_new_tokens=horizon,
                rows=rows_at_once(params.sampling.rows),
                seed=seed,
                what=f"sample, seed {seed}, temperature {temperature}",
            )

        # What is cached is what the model said, so the reading of a list may change without sampling anew.
        for record, drawn in zip(records, _cached(key, draw), strict=True):
            replies = unlist(drawn, listed) if listed else drawn
            rows.append({"seed": seed, "temperature": temperature, "split": split, "id": record.id, **replies})
    return rows, trained.history if trained else []


def unlist(row: dict, count: int) -> dict:
    """A row of lists as a row of replies, `count` of each list; "block" says that replies of one list belong together."""
    samples = [reply for text in row["samples"] for reply in prompts.split_list(text, count)]
    per_reply = [round(tokens / count, 2) for tokens in row["tokens"] for _ in range(count)]
    return {"samples": samples, "tokens": per_reply, "finished": [done for done in row["finished"] for _ in range(count)], "block": count}


def _cached(key: str, make: Callable[[], list[dict]]) -> list[dict]:
    path = paths.cache_dir() / "samples" / f"{key}.jsonl.gz"
    if not path.exists():
        write_jsonl(path, make())
    return [row for _, row in read_jsonl(path)]
