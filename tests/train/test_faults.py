"""What is refused before training, and what a step says that met numbers that are not finite."""

from __future__ import annotations

import json
import math

import pytest
import torch
from transformers import TrainerCallback

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file
from polychromic.method.sets import equal_text
from polychromic.train.self_training import SelfTraining
from tests.symbols import ROWS, Symbols, V, config, holds_d, lora_parameters, make_adapted_model, make_trainer


def test_dropout_is_refused_with_an_objective_only(tmp_path):
    model = make_adapted_model("llama", V)
    for module in model.modules():
        if isinstance(module, torch.nn.ModuleDict) and "default" in module and isinstance(module["default"], torch.nn.Identity):
            module["default"] = torch.nn.Dropout(0.1)
    assert any(isinstance(module, torch.nn.Dropout) for module in model.modules())
    with pytest.raises(ValueError, match=r"the model has dropout \[0.1\]; .*lora_dropout=0.0"):
        make_trainer(tmp_path, config(), model)
    make_trainer(tmp_path, None, model, max_steps=1).train()


def test_attention_dropout_of_the_base_model_is_refused_too(tmp_path):
    model = make_adapted_model("qwen3", V)
    model.get_base_model().config.attention_dropout = 0.2
    with pytest.raises(ValueError, match=r"the model has dropout \[0.2\]"):
        make_trainer(tmp_path, config(), model)


@pytest.mark.parametrize(("name", "said"), [("pad_token_id", "no pad_token;"), ("eos_token_id", "no eos_token;")])
def test_a_tokenizer_without_padding_or_end_is_refused(tmp_path, name, said):
    tokenizer = Symbols(V)
    setattr(tokenizer, name, None)
    with pytest.raises(ValueError, match=said):
        make_trainer(tmp_path, config(), processing_class=tokenizer)
    with pytest.raises(ValueError, match="no tokenizer was given"):
        make_trainer(tmp_path, config(), processing_class=None)


def test_bulk_rollouts_and_self_training_exclude_each_other(tmp_path):
    pool = SelfTraining(2, 4, holds_d, equal_text, 4, seed=0)
    with pytest.raises(ValueError, match="self_training and an objective with reuse > 1"):
        make_trainer(tmp_path, config(reuse=2), self_training=pool)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "gems"}, "loss is 'gems'; allowed: ce, label_smoothing"),
        ({"loss": "gem"}, "loss gem: beta is missing"),
        ({"loss": "gem", "loss_settings": {"beta": 0.0}}, "loss gem: beta is 0.0; allowed: beta > 0"),
    ],
)
def test_losses_that_do_not_exist_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(tmp_path, **changes)


# numbers that are not finite


class Break(TrainerCallback):
    """At the third step: a weight that is not a number, or a gradient."""

    def __init__(self, what: str):
        self.what = what

    def on_step_begin(self, args, state, control, model=None, **others):
        parameter = lora_parameters(model)[-1][1]
        if state.global_step == 2 and self.what == "weight":
            with torch.no_grad():
                parameter[0, 0] = math.nan
        if state.global_step == 2 and self.what == "gradient":
            parameter.register_hook(lambda found: found * math.inf)


@pytest.mark.parametrize("clip", [0.0, 1.0])
@pytest.mark.parametrize(
    ("what", "objective", "named"),
    [
        ("weight", None, "loss"),
        ("weight", config(), "model's state after the prompt"),
        ("weight", config(reuse=2), "model's state after the prompt|loss"),
        ("gradient", None, "gradient"),
        ("gradient", config(), "gradient"),
    ],
)
def test_a_step_that_is_not_finite_stops_with_step_and_prompts_and_leaves_the_checkpoint(what, objective, named, clip, tmp_path):
    """Rows in order, so that the third step's prompts are known."""
    settings = dict(save_strategy="steps", save_steps=1, max_grad_norm=clip, train_sampling_strategy="sequential")
    files = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt")
    whole = make_trainer(tmp_path / "whole", objective, per_device_train_batch_size=2, **settings | {"max_steps": 2})
    whole.train()
    trainer = make_trainer(tmp_path, objective, per_device_train_batch_size=2, callbacks=[Break(what)], **settings)
    with pytest.raises(PolychromicError, match=f"the ({named}) of step 2 is not finite") as error:
        trainer.train()
    message = str(error.value)
    assert str(ROWS[4]["prompt"]) in message and str(ROWS[5]["prompt"]) in message
    assert not any(str(row["prompt"]) in message for row in ROWS if row not in ROWS[4:6] and len(row["prompt"]) > 1)
    assert "checkpoints is untouched. Lower the learning rate" in message
    kept = tmp_path / "checkpoints"
    assert sorted(path.name for path in kept.iterdir()) == ["checkpoint-1", "checkpoint-2"]
    for name in files:
        there = tmp_path / "whole" / "checkpoints" / "checkpoint-2" / name
        assert sha256_file(kept / "checkpoint-2" / name) == sha256_file(there)
    state, expected = (json.loads((path / "checkpoint-2" / "trainer_state.json").read_text()) for path in (kept, there.parents[1]))
    assert (state["global_step"], state["log_history"]) == (2, expected["log_history"])
