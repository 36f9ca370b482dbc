"""`polychromic plan`: what the cells of params.yaml will cost, before anything is spent: tokens, FLOPs, hours, dollars and memory.

Prompts and references are counted with the model's tokenizer; replies that are drawn are taken to be as long as they may be. A method with
`cost` spends its budget whatever it spends it on. An adapter that several cells share is counted where it comes first. Of a hub model only
configuration and tokenizer are fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from math import ceil
from typing import Any

from rich.table import Table

from polychromic.base import paths
from polychromic.base.errors import UsageError
from polychromic.data.records import Record, read_records
from polychromic.models import prompts, weights
from polychromic.models.load import GPU_BATCH
from polychromic.params import Cell, Params
from polychromic.pipeline.devices import GIB, Device, calibrated

LOOKED_AT = 200  # records of a domain whose tokens are counted
KEY = "Millions of tokens trained on and drawn to evaluate. An estimate: replies as long as they may be, scoring left out."
OVERHEAD = 1.5 * GIB  # of CUDA's context and the allocator
ADAM = 16  # bytes of a trained parameter: itself, its gradient and two moments, in float32
NF4 = 0.52  # bytes of a weight in 4 bits, its scales included (2305.14314, sec. 3)
BYTES = {"bfloat16": 2, "float32": 4}


@dataclass(frozen=True)
class Shape:
    """A language model as it costs. linear: weights of its matrices; other: of embeddings, head and norms; adapter: of LoRA."""

    flops: Any  # polychromic.models.flops.Flops, with the adapter
    linear: float
    other: float
    adapter: float
    layers: int
    hidden: int
    kv: int  # numbers of a token's keys and values in a layer
    vocabulary: int

    def weights(self, params: Params) -> float:
        """Bytes of the frozen weights."""
        size = BYTES[params.train.precision]
        return self.linear * (NF4 if params.model.quantization == "nf4" else size) + self.other * size


@dataclass(frozen=True)
class Cost:
    """A cell's, over its seeds. tokens: of references (or what the budget would pay of them) and of replies drawn for evaluation."""

    cell: str
    seeds: int
    training_tokens: float
    sampled_tokens: float
    flops: float
    hours: float
    memory: float


def shape(params: Params) -> tuple[Shape, Any]:
    """(shape, tokenizer), from configuration and tokenizer alone: weights are made on torch's meta device."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from polychromic.models.flops import Flops

    folder = weights.described(params.model)
    tokenizer, config = AutoTokenizer.from_pretrained(folder), AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    outer = {id(module) for module in (model.get_output_embeddings(), model.get_input_embeddings())}
    linear = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and id(module) not in outer}
    adapted = [module for name, module in linear.items() if name.rpartition(".")[2] in params.lora.target_modules]
    adapter = float(params.lora.rank * sum(module.in_features + module.out_features for module in adapted))
    inner = float(sum(module.weight.numel() for module in linear.values()))
    found, text = Flops.of(model.requires_grad_(False)), config.get_text_config()
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return Shape(
        Flops(found.frozen, adapter, found.head, found.attention), inner, sum(p.numel() for p in model.parameters()) - inner, adapter,
        text.num_hidden_layers, text.hidden_size, 2 * text.num_key_value_heads * width, text.vocab_size,
    ), tokenizer  # fmt: skip


class Plan:
    """What cells of a parameter file cost on a device."""

    def __init__(self, params: Params, device: Device | None, form: Shape, tokenizer: Any):
        self.params, self.shape, self.tokenizer = params, form, tokenizer
        self.device = device or self._calibrated()
        self.lengths = cache(self._lengths)

    def _calibrated(self) -> Device:
        from polychromic.base.hardware import best_device
        from polychromic.models.load import attach_lora, compute_reproducibly, load_causal_lm

        compute_reproducibly(self.params.threads)
        source, lora = self.params.model, self.params.lora
        model, _ = load_causal_lm(weights.obtain(source), self.params.train.precision, best_device(), source)
        model = attach_lora(model, lora.rank, lora.alpha, lora.target_modules, 0).train()
        return calibrated(model, 64, self.params.train.batch_size, self.shape.flops)

    def _lengths(self, domain: str, variant: str) -> tuple[float, float]:
        """Mean tokens of a prompt as it is asked, and of a reference with its end."""
        records: Sequence[Record] = read_records(paths.data_file(domain), domain)
        part = records[:: max(1, len(records) // LOOKED_AT)]
        asked = [len(prompts.encode(self.tokenizer, prompts.messages(variant, domain, record.prompt))) for record in part]
        said = [len(self.tokenizer(record.references[0], add_special_tokens=False)["input_ids"]) + 1 for record in part]
        return sum(asked) / len(part), sum(said) / len(part)

    def costs(self, domain: str, split: str) -> Iterator[Cost]:
        """Of each cell, in the order of the grid."""
        trained: set[Any] = set()
        params = self.params.on(domain, split)
        for cell in params.cells(domain, split):
            new = [adapter for adapter in params.adapters(domain, cell) if adapter not in trained]
            trained.update(new)
            yield self._cost(params, domain, split, cell, len(new))

    def _cost(self, params: Params, domain: str, split: str, cell: Cell, adapters: int) -> Cost:
        method, settings, f = params.methods[cell.method], params.domain(domain), self.shape.flops
        p, c = self.lengths(domain, method.prompt)
        c, t, n = min(c, settings.max_new_tokens), settings.max_new_tokens, params.objective.n
        row = f.training(p + c, p * p / 2 + c * p + c * c / 2, c)
        reply = f.forward(t, t * p + t * t / 2, t)
        spent = drawn = passes = taken = 0.0
        if adapters:
            batch, steps = params.train.batch_size, settings.steps * method.budget
            roll = method.rollouts or settings.rollouts
            per_step = 0.0 if method.objective == "none" else max(1, round(roll.share * batch)) * n / roll.every
            drawing = per_step * (reply + f.training(t, t * p + t * t / 2, t)) + (batch * f.backward(p, p * p / 2, 0) if method.clip else 0)
            after = method.after * settings.steps
            if method.cost is not None:
                spent = method.cost * steps * batch * row
                rest = max(0.0, spent - after * batch * row) / (batch * row + drawing) if per_step else 0.0
            else:
                rest = max(0.0, steps - after) if per_step else 0.0
                spent = steps * batch * row + rest * drawing
            drawn, passes = rest * per_step * reply, rest / roll.every * t
            taken = after + rest if per_step else spent / (batch * row)
            if pool := method.self_training:
                replies = settings.sizes.train * settings.pool_samples
                share = pool.spend * (1 - pool.after) * spent / reply if pool.spend else replies
                drawn, passes = drawn + min(share, replies) * reply, passes + ceil(min(share, replies) / self._rows(params)) * t
                spent += 0.0 if pool.spend else replies * reply
        prompted = self._prompts(params, domain, split)
        replies = prompted * len(cell.temperatures) * params.sampling.n
        evaluation = prompted * len(cell.temperatures) * f.forward(p, p * p / 2, 0) + replies * reply
        decoding = ceil(replies / self._rows(params)) * t
        size = self.shape.weights(params)
        seconds = adapters * self.device.seconds(spent - drawn, drawn, taken, passes, size, self.shape.layers)
        seconds += len(cell.seeds) * self.device.seconds(0.0, evaluation, 0.0, decoding, size, self.shape.layers)
        return Cost(
            cell.name, len(cell.seeds), adapters * spent / row * (p + c), float(len(cell.seeds) * replies * t),
            adapters * spent + len(cell.seeds) * evaluation, seconds / 3600, self.memory(params, p + t, adapters > 0),
        )  # fmt: skip

    def _prompts(self, params: Params, domain: str, split: str) -> int:
        sizes = params.domain(domain).sizes
        return params.test_plan(domain).prompts or sizes.test if split == "test" else sizes.dev

    def _rows(self, params: Params) -> int:
        return params.sampling.rows * GPU_BATCH

    def memory(self, params: Params, tokens: float, trains: bool) -> float:
        """Bytes at the peak, of training and of sampling. tokens: of a prompt with its longest reply.

        Activations of training as in 2205.05198 (34 bytes per token, layer and hidden unit in 16 bits; 2 and one layer's with gradient
        checkpointing); logits of the replies in float32, with their gradient; in sampling keys and values.
        """
        s, size = self.shape, BYTES[params.train.precision]
        frozen = s.weights(params) + OVERHEAD
        cached = self._rows(params) * tokens * s.layers * s.kv * size
        if not trains:
            return frozen + cached
        rows = params.train.batch_size * (1 + params.objective.n)
        per_token = s.hidden * size / 2 * (2 * s.layers + 34 if params.model.gradient_checkpointing else 34 * s.layers)
        training = s.adapter * ADAM + rows * tokens * per_token + rows * tokens / 2 * s.vocabulary * 8
        return frozen + max(training, cached)

    def remedies(self, params: Params, domain: str) -> list[str]:
        """What to change, one after the other, until a cell of the domain that trains fits; all of it where nothing makes it fit."""
        tokens, found, changed = sum(self.lengths(domain, "zero_shot")) + params.domain(domain).max_new_tokens, [], params
        for text, change in CHANGES:
            if self.memory(changed, tokens, True) <= self.device.memory:
                return found
            if (nxt := change(changed)) != changed:
                found.append(text)
                changed = nxt
        if self.memory(changed, tokens, True) > self.device.memory:
            found.append("or take a device with more memory")
        return found


def _model(**values: Any) -> Any:
    return lambda params: params.model_copy(update={"model": params.model.model_copy(update=values)})


def _fewer_rows(params: Params) -> Params:
    return params.model_copy(update={"sampling": params.sampling.model_copy(update={"rows": max(1, params.sampling.rows // 8)})})


def _smaller_batch(params: Params) -> Params:
    return params.model_copy(update={"train": params.train.model_copy(update={"batch_size": max(2, params.train.batch_size // 2)})})


# In the order of what they cost: time alone, time alone, the frozen weights' last bits, another gradient.
CHANGES = (
    ("sampling.rows: an eighth", _fewer_rows),
    ("gradient_checkpointing: true (of the model's entry)", _model(gradient_checkpointing=True)),
    ("quantization: nf4 (of the model's entry)", _model(quantization="nf4")),
    ("train.batch_size: half", _smaller_batch),
)


def document(plan: Plan, domains: Sequence[str], split: str, price: float | None) -> dict[str, Any]:
    """{"device", "model", "price_per_hour", "domains": {name: [cells]}, "total", "does_not_fit": {domain: what to change}}."""
    cells = {domain: [asdict(cost) for cost in plan.costs(domain, split)] for domain in domains}
    rows = [row for found in cells.values() for row in found]
    for row in rows:
        row["dollars"] = None if price is None else row["hours"] * price
        row["fits"] = row["memory"] <= plan.device.memory
    total = {name: sum(row[name] for row in rows) for name in ("training_tokens", "sampled_tokens", "flops", "hours")}
    lacking = {name: plan.remedies(plan.params, name) for name, found in cells.items() if not all(row["fits"] for row in found)}
    return {
        "device": asdict(plan.device), "model": str(plan.params.model), "split": split, "price_per_hour": price, "domains": cells,
        "total": total | {"dollars": None if price is None else total["hours"] * price}, "does_not_fit": lacking,
    }  # fmt: skip


def render(found: dict[str, Any]) -> Table:
    device, money = found["device"], lambda value: "" if value is None else f"{value:.2f}"
    about = f"{found['model']} on {device['name']} ({device['memory'] / GIB:.0f} GiB; {device['source']})"
    table = Table(title=f"Cells of {found['split']}: {about}", title_justify="left", box=None)
    for head in ("cell", "seeds", "Mtok", "drawn", "FLOPs", "hours", "$", "GiB"):
        table.add_column(head, justify="left" if head == "cell" else "right")
    for domain, rows in found["domains"].items():
        for row in rows:
            tokens = (f"{row[name] / 1e6:.2f}" for name in ("training_tokens", "sampled_tokens"))
            memory = f"{row['memory'] / GIB:.1f}{'' if row['fits'] else ' !'}"
            cost = (f"{row['flops']:.1e}", f"{row['hours']:.2f}", money(row["dollars"]))
            table.add_row(f"{domain} {row['cell']}", str(row["seeds"]), *tokens, *cost, memory)
    total = found["total"]
    tokens = (f"{total[name] / 1e6:.2f}" for name in ("training_tokens", "sampled_tokens"))
    table.add_row("all", "", *tokens, f"{total['flops']:.1e}", f"{total['hours']:.2f}", money(total["dollars"]), "")
    notes = [f"{domain} does not fit (!); change {', then '.join(texts)}" for domain, texts in found["does_not_fit"].items()]
    table.caption = "\n".join([KEY, *notes])
    return table


def make(params: Params, domains: Sequence[str], device: Device | None) -> Plan:
    """Raises UsageError: a domain without data; what weights cannot be had raises as `weights.obtain`."""
    for domain in domains:
        if not paths.data_file(domain).is_file():
            raise UsageError(f"{paths.data_file(domain)}: file not found. Allowed: domains whose data are here. Run `dvc pull data.dvc`.")
    form, tokenizer = shape(params)
    return Plan(params, device, form, tokenizer)
