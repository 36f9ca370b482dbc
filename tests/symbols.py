"""Models over a handful of symbols, what training asks of a tokenizer, and a Trainer over them: small enough to enumerate every reply."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM, TrainerCallback, TrainingArguments

from polychromic.base.io import sha256_file
from polychromic.method.sets import SetObjectiveConfig
from polychromic.models.load import attach_lora
from polychromic.train.trainer import PolychromicTrainer

KINDS = {"llama": (LlamaConfig, LlamaForCausalLM), "qwen3": (Qwen3Config, Qwen3ForCausalLM)}
V, END, PAD = 12, 11, 0


class Symbols:
    """Token i is written as the i-th letter; 0 pads and the last one ends a reply, and neither of the two is written."""

    def __init__(self, size: int):
        self.pad_token_id, self.eos_token_id = 0, size - 1

    def batch_decode(self, rows: Sequence[Sequence[int]], skip_special_tokens: bool) -> list[str]:
        assert skip_special_tokens
        return ["".join(chr(97 + int(token)) for token in row if int(token) not in (self.pad_token_id, self.eos_token_id)) for row in rows]

    def save_pretrained(self, folder: str) -> None:
        """Trainer saves its tokenizer beside each checkpoint; this one is its size alone."""
        Path(folder, "symbols.txt").write_text(str(self.eos_token_id + 1), encoding="utf-8")


def make_symbol_model(kind: str, vocabulary: int, seed: int = 0, spread: float = 0.3, attention: str = "eager") -> torch.nn.Module:
    """A random causal LM with 2 layers of 16; `spread` of the weights makes its distributions uneven."""
    config_class, model_class = KINDS[kind]
    sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=4)
    tokens = dict(vocab_size=vocabulary, bos_token_id=None, eos_token_id=vocabulary - 1, pad_token_id=0, max_position_embeddings=64)
    config = config_class(**sizes, **tokens, tie_word_embeddings=True, initializer_range=spread, attn_implementation=attention)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model_class(config).eval()


def make_adapted_model(kind: str, vocabulary: int, seed: int = 0, perturb: float = 0.1, attention: str = "eager") -> torch.nn.Module:
    """The same with a LoRA adapter on every projection. `perturb` moves B away from 0, where A would have no gradient."""
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = attach_lora(make_symbol_model(kind, vocabulary, seed, attention=attention), 2, 4, names, seed)
    move(model, perturb, seed)
    return model


@torch.no_grad()
def move(model: torch.nn.Module, perturb: float, seed: int = 0) -> None:
    """Add normal noise to every trainable parameter."""
    generator = torch.Generator().manual_seed(seed)
    for _, parameter in lora_parameters(model):
        parameter += perturb * torch.randn(parameter.shape, generator=generator)


def lora_parameters(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def gradient(value: torch.Tensor, model: torch.nn.Module) -> torch.Tensor:
    """Of a scalar, over all trainable parameters in a row; 0 for those that it does not depend on."""
    parameters = [parameter for _, parameter in lora_parameters(model)]
    parts = torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True, retain_graph=True)
    return torch.cat([part.flatten() for part in parts])


def plain_log_probs(model: torch.nn.Module, prompt: Sequence[int], reply: Sequence[int]) -> torch.Tensor:
    """log pi of each reply token by the full text through the model: no cache, no padding, no batch."""
    logits = model(input_ids=torch.tensor([[*prompt, *reply]]), use_cache=False).logits[0]
    table = torch.log_softmax(logits.float(), dim=-1)
    return torch.stack([table[len(prompt) - 1 + t, token] for t, token in enumerate(reply)])


def use_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Architectures compute norms, softmaxes and rotations, and training its log-probabilities, in what torch calls float32."""
    monkeypatch.setattr(torch, "float32", torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


def multisets(count: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Sets of n out of `count` replies without regard to order: members (M, n), and in how many orders each can be drawn (M,)."""
    members = np.array(list(itertools.combinations_with_replacement(range(count), n)))
    orders = np.array([len(set(itertools.permutations(row))) for row in members.tolist()])
    return members, orders


# a Trainer over twelve symbols


def symbol_rows(count: int = 10, seed: int = 0) -> list[dict]:
    """Rows of the dataset: prompts of 1 to 5 symbols, replies of 1 to 3 and the end; "row" is the number."""
    rng = np.random.default_rng(seed)
    pick = lambda longest: rng.integers(1, END, rng.integers(1, longest)).tolist()
    return [{"prompt": pick(6), "completion": [*pick(4), END], "row": i} for i in range(count)]


ROWS = symbol_rows()


def holds_d(example: dict, replies: Sequence[str]) -> np.ndarray:
    """Quality: 1 for a reply with a "d" in it."""
    return np.array([float("d" in reply) for reply in replies])


def length_share(example: dict, replies: Sequence[str]) -> np.ndarray:
    """Quality: how long a reply is, as a share of a horizon of 4; hardly ever the same for a whole set."""
    return np.array([len(reply) / 4 for reply in replies])


def config(**changes) -> SetObjectiveConfig:
    return SetObjectiveConfig(**(dict(quality=holds_d, lam=1.0, n=3, baseline="others", max_new_tokens=4, unfinished=True) | changes))


def make_trainer(
    folder: Path, objective: SetObjectiveConfig | None = None, model: torch.nn.Module | None = None, **changes
) -> PolychromicTrainer:
    """`changes`: arguments of PolychromicTrainer where it has them, else of TrainingArguments."""
    values = dict(output_dir=str(folder / "checkpoints"), max_steps=6, learning_rate=1e-2, lr_scheduler_type="constant", logging_steps=1)
    values |= dict(per_device_train_batch_size=4, per_device_eval_batch_size=4, eval_strategy="no", save_strategy="no", seed=0, data_seed=0)
    values |= dict(use_cpu=True, report_to=[], remove_unused_columns=False, dataloader_pin_memory=False, disable_tqdm=True)
    given = {"trainer_class": PolychromicTrainer, "train_dataset": ROWS, "eval_dataset": ROWS[:5], "processing_class": Symbols(V)}
    for name in (*given, "loss", "loss_settings", "layout", "self_training", "budget", "unlabelled", "callbacks"):
        if name in changes:
            given[name] = changes.pop(name)
    trainer_class = given.pop("trainer_class")
    arguments = TrainingArguments(**(values | changes))
    return trainer_class(model=model or make_adapted_model("llama", V, perturb=0.0), args=arguments, objective=objective, **given)


def adapter_sha(trainer: PolychromicTrainer, folder: Path) -> str:
    trainer.model.save_pretrained(folder)
    return sha256_file(folder / "adapter_model.safetensors")


def trained(
    folder: Path, objective: SetObjectiveConfig | None = None, resume: str | None = None, **changes
) -> tuple[str, PolychromicTrainer]:
    """sha256 of the adapter after training, and the trainer."""
    trainer = make_trainer(folder, objective, **changes)
    trainer.train(resume_from_checkpoint=resume)
    return adapter_sha(trainer, folder), trainer


def step_gradient(trainer: PolychromicTrainer, *batches: Sequence[dict]) -> torch.Tensor:
    """Gradient of one step over these batches of rows, accumulated as Trainer does; the step is trainer.state.global_step."""
    trainer.model.train()
    trainer._micro = (-1, 0)
    inputs = [trainer.data_collator(list(rows)) for rows in batches]
    items = trainer._get_num_items_in_batch(inputs, torch.device("cpu"))
    return sum(gradient(trainer.compute_loss(trainer.model, batch, num_items_in_batch=items), trainer.model) for batch in inputs)


class Gradients(TrainerCallback):
    """Notes each step's gradient, all trainable parameters in a row. For runs with max_grad_norm = 0, so that nothing is clipped."""

    def __init__(self):
        self.steps: list[torch.Tensor] = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **others):
        self.steps.append(torch.cat([parameter.grad.flatten() for _, parameter in lora_parameters(model)]).clone())


def gradients_of_a_run(
    folder: Path, objective: SetObjectiveConfig | None = None, kind: str = "llama", model: torch.nn.Module | None = None, **changes
) -> torch.Tensor:
    """(steps, parameters), as Trainer's own loop has them, unclipped."""
    noted = Gradients()
    make_trainer(folder, objective, model or make_adapted_model(kind, V), callbacks=[noted], max_grad_norm=0.0, **changes).train()
    return torch.stack(noted.steps)


class KilledError(Exception):
    """What stands for the end of the process in the tests of resuming."""


class KillAt(TrainerCallback):
    """Stops training once a step's checkpoint is written."""

    def __init__(self, step: int):
        self.step = step

    def on_save(self, args, state, control, **others):
        if state.global_step == self.step:
            raise KilledError
