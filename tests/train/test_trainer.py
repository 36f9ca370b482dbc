"""The Trainer on models of twelve symbols: what is in the loss, what a rollout may touch, what is refused, and what survives a kill."""

from __future__ import annotations

import json
import math

import pytest
import torch
from transformers import TrainerCallback

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file
from polychromic.method.losses import LOSSES, token_loss
from polychromic.method.sets import equal_text
from polychromic.models import decode
from polychromic.models.decode import causal_lm
from polychromic.train.self_training import SelfTraining
from polychromic.train.trainer import PolychromicTrainer
from tests import symbols as toy

ROLLOUT_LOGS = {"objective", "quality", "rollout_tokens"}
SETTINGS = {"label_smoothing": {"epsilon": 0.1}, "entropy": {"beta": 0.05}, "gem": {"beta": 0.7}, "tofu": {"beta": 0.8, "gamma": 3.0}}
SETTINGS["coverage"] = {"n": 8}


def token_mean_ce(model, rows) -> float:
    """By hand: over the reply tokens, the end included, of full texts through the plain model."""
    parts = torch.cat([-toy.plain_log_probs(model, row["prompt"], row["completion"]) for row in rows])
    return float(parts.detach().double().mean())


@pytest.mark.parametrize("layout", ["shared", "packed", "repeated"])
def test_evaluation_loss_is_cross_entropy_alone(tmp_path, layout):
    never = lambda row, replies: pytest.fail("evaluation scored a rollout")
    for settings in ({}, {"objective": toy.config(lam=50.0, quality=never)}, {"loss": "gem", "loss_settings": {"beta": 0.7}}):
        settings |= dict(layout=layout, per_device_eval_batch_size=5)
        trainer = toy.make_trainer(tmp_path, model=toy.make_adapted_model("llama", toy.V), **settings)
        assert trainer.evaluate()["eval_loss"] == pytest.approx(token_mean_ce(trainer.model, toy.ROWS[:5]), abs=1e-5)


@pytest.mark.parametrize("objective", [None, toy.config(quality=lambda row, replies: [0.0] * 3)], ids=["alone", "beside_d"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_quality_loss_has_the_gradient_of_the_loss_on_the_plain_model(name, objective, tmp_path):
    """With weights of rows. Where no reply is good, D = 0 whatever the policy does, and the quality loss is all there is."""
    rows = [row | {"weight": weight} for row, weight in zip(toy.ROWS[:4], (1.0, 0.3, 2.0, 0.7), strict=True)]
    model = toy.make_adapted_model("llama", toy.V)
    trainer = toy.make_trainer(tmp_path, objective, model, loss=name, loss_settings=SETTINGS.get(name), train_dataset=rows)
    total, count = 0.0, 0
    for row in rows:
        text, first = torch.tensor([row["prompt"] + row["completion"]]), len(row["prompt"])
        logits = model(input_ids=text, use_cache=False).logits[0, first - 1 : -1]
        if name == "coverage":  # of the whole reply
            p = torch.log_softmax(logits.double(), -1).gather(-1, text[0, first:, None]).sum().exp()
            loss = -torch.log1p(-((1 - p) ** 8))
        else:
            loss = token_loss(name, logits, text[0, first:], SETTINGS.get(name, {})).sum()
        total = total + row["weight"] * loss
        count += len(row["completion"])
    expected = toy.gradient(total / count, model)
    torch.testing.assert_close(toy.step_gradient(trainer, rows), expected, rtol=1e-5, atol=1e-5)
    assert (expected - toy.step_gradient(toy.make_trainer(tmp_path, None, model), toy.ROWS[:4])).abs().max() > 1e-3
    trainer.train()
    assert len(trainer.history) == 6


@pytest.mark.parametrize(("layout", "changes"), [("shared", {}), ("packed", {}), ("shared", {"share": 0.5, "every": 2})], ids=str)
def test_lambda_zero_with_rollouts_gives_the_bytes_of_plain_lora(tmp_path, changes, layout):
    settings = dict(layout=layout, max_steps=4, eval_strategy="steps", eval_steps=2)
    plain, lora = toy.trained(tmp_path / "a", **settings)
    zero, drawn = toy.trained(tmp_path / "b", toy.config(lam=0.0, name="plain", max_new_tokens=7, **changes), **settings)
    one, _ = toy.trained(tmp_path / "c", toy.config(lam=1.0, name="plain", **changes), **settings)
    assert zero == plain != one
    assert not any(set(row) & ROLLOUT_LOGS for row in lora.history) and any("objective" in row for row in drawn.history)
    assert [{key: value for key, value in row.items() if key not in ROLLOUT_LOGS} for row in drawn.history] == lora.history


def test_training_repeats_and_depends_on_the_rollout_seed_and_lambda(tmp_path):
    first, _ = toy.trained(tmp_path / "a", toy.config())
    torch.manual_seed(77)
    assert toy.trained(tmp_path / "b", toy.config())[0] == first
    assert len({first, *(toy.trained(tmp_path / "c", toy.config(**changes))[0] for changes in ({"seed": 1}, {"lam": 2.0}))}) == 3


def test_the_gradient_of_d_is_scaled_by_lambda_and_by_every(tmp_path):
    def of_d(**changes) -> torch.Tensor:
        objectives = (toy.config(name="plain", baseline="marginal", **changes), None)
        trainers = [toy.make_trainer(tmp_path, objective, toy.make_adapted_model("llama", toy.V)) for objective in objectives]
        one, other = (toy.step_gradient(trainer, toy.ROWS[:4]) for trainer in trainers)
        return one - other

    once = of_d(every=1, lam=1.0)
    assert once.abs().max() > 1e-3
    torch.testing.assert_close(of_d(every=3, lam=1.0), 3 * once, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(of_d(every=1, lam=5.0), 5 * once, rtol=1e-3, atol=1e-5)


class SameRollouts(PolychromicTrainer):
    """Eight examples have the same uniforms and the same share, whether they come as one batch or as two of four."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if rollouts := self.rollouts:
            c, everyone = rollouts.config, torch.tensor([0, 3, 5, 6] if rollouts.config.share == 0.5 else range(8))
            numbers = decode.uniforms(8 * c.n, c.max_new_tokens, 0, "test").view(8, c.n, -1)
            rollouts.uniforms = lambda b, names, here: numbers[b * names[1] + here].flatten(0, 1)
            rollouts.chosen = lambda b, names: everyone[everyone // b == names[1]].numpy() % b


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("lam", [None, 4.0])
def test_two_accumulated_batches_of_four_are_one_of_eight(lam, share, tmp_path):
    """Replies of different lengths: a mean of the batches' means would weigh tokens unevenly. lam None: the quality loss alone."""
    eight = toy.symbol_rows(16)[:8]
    objective = None if lam is None else toy.config(name="plain", baseline="marginal", lam=lam, share=share)
    assert len({sum(len(row["completion"]) for row in part) for part in (eight[:4], eight[4:])}) == 2
    common = dict(train_dataset=eight, trainer_class=SameRollouts, train_sampling_strategy="sequential", learning_rate=0.0, max_steps=2)
    one = toy.gradients_of_a_run(tmp_path, objective, "qwen3", per_device_train_batch_size=8, **common)
    two = toy.gradients_of_a_run(tmp_path, objective, "qwen3", gradient_accumulation_steps=2, **common)
    assert one.shape == two.shape and one.abs().max() > 1e-2
    torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-5)
    if objective is not None:
        alone = toy.gradients_of_a_run(tmp_path, None, "qwen3", per_device_train_batch_size=8, **common)
        assert (one - alone).abs().max() > 1e-2


def test_mixed_precision_reaches_scoring_and_sampling(tmp_path):
    """accelerate patches the model's forward, which the step does not call: without autocast of its own bf16 would do nothing."""

    def products(**changes) -> set[tuple[bool, torch.dtype]]:
        model, seen = toy.make_adapted_model("llama", toy.V), set()
        layer = causal_lm(model).model.layers[0].mlp.down_proj
        layer.register_forward_hook(lambda module, inputs, output: seen.add((module.training, output.dtype)))
        toy.make_trainer(tmp_path, toy.config(), model, max_steps=1, **changes).train()
        return {entry for entry in seen if entry[1] != torch.float32} if changes else seen

    assert products() == {(True, torch.float32), (False, torch.float32)}
    for layout in ("shared", "packed"):
        assert products(bf16=True, layout=layout) == {(True, torch.bfloat16), (False, torch.bfloat16)}


def test_a_second_run_of_one_trainer_starts_anew(tmp_path):
    """At learning rate 0 both runs see the same gradients."""
    noted = toy.Gradients()
    settings = dict(callbacks=[noted], max_grad_norm=0.0, learning_rate=0.0, max_steps=2)
    trainer = toy.make_trainer(tmp_path, toy.config(name="plain", baseline="running"), toy.make_adapted_model("llama", toy.V), **settings)
    trainer.train()
    trainer.train()
    assert len(noted.steps) == 4
    torch.testing.assert_close(torch.stack(noted.steps[2:]), torch.stack(noted.steps[:2]), rtol=0, atol=0)


def test_history_holds_the_parts_of_each_step_and_no_clock(tmp_path):
    """With all rows in one batch, the first step's ce is known before training."""
    trainer = toy.make_trainer(tmp_path, toy.config(), per_device_train_batch_size=len(toy.ROWS), eval_strategy="steps", eval_steps=3)
    expected = token_mean_ce(trainer.model, toy.ROWS)
    trainer.train()
    steps = [row for row in trainer.history if "loss" in row]
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    for row in steps:
        assert set(row) == {"step", "loss", "ce", "grad_norm", "learning_rate"} | ROLLOUT_LOGS
        assert 0 <= row["objective"] <= 1 and 0 <= row["quality"] <= 1 and 1 <= row["rollout_tokens"] <= 4
        assert row["ce"] > 0 and row["grad_norm"] > 0
    assert steps[0]["ce"] == pytest.approx(expected, abs=1e-5) and steps[0]["loss"] != pytest.approx(expected, abs=1e-3)
    evaluations = [row for row in trainer.history if "eval_loss" in row]
    assert [row["step"] for row in evaluations] == [3, 6] and all(set(row) == {"step", "eval_loss"} for row in evaluations)
    assert len(trainer.history) == 8


@pytest.mark.parametrize(
    ("objective", "restore"),
    [(None, False), (toy.config(baseline="mix", share=0.5), False), (toy.config(baseline="mix", share=0.5), True)],
    ids=["lora", "mix", "mix, callbacks restored"],
)
def test_a_killed_run_resumes_to_the_same_bytes_and_history(tmp_path, objective, restore):
    """Twice: the running mean of the baseline must reach the second checkpoint, too."""
    saved = dict(save_strategy="steps", save_steps=1, restore_callback_states_from_checkpoint=restore)
    whole, expected = toy.trained(tmp_path / "a", objective, **saved)
    resume = None
    for step in (2, 4):
        with pytest.raises(toy.KilledError):
            toy.trained(tmp_path / "b", objective, resume, callbacks=[toy.KillAt(step)], **saved)
        resume = str(tmp_path / "b" / "checkpoints" / f"checkpoint-{step}")
    found, trainer = toy.trained(tmp_path / "b", objective, resume, **saved)
    assert found == whole and trainer.history == expected.history


def test_dropout_is_refused_with_an_objective_only(tmp_path):
    model = toy.make_adapted_model("llama", toy.V)
    for module in model.modules():
        if isinstance(module, torch.nn.ModuleDict) and "default" in module and isinstance(module["default"], torch.nn.Identity):
            module["default"] = torch.nn.Dropout(0.1)
    with pytest.raises(ValueError, match=r"the model has dropout \[0.1\]; .*lora_dropout=0.0"):
        toy.make_trainer(tmp_path, toy.config(), model)
    toy.make_trainer(tmp_path, None, model, max_steps=1).train()
    model = toy.make_adapted_model("qwen3", toy.V)
    model.get_base_model().config.attention_dropout = 0.2  # applied without a module
    with pytest.raises(ValueError, match=r"the model has dropout \[0.2\]"):
        toy.make_trainer(tmp_path, toy.config(), model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "gem", "loss_settings": {"beta": 0.0}}, "loss gem: beta is 0.0; allowed: beta > 0"),
        ({"layout": "flat"}, "layout is 'flat'; allowed: shared, packed, repeated"),
        ({"processing_class": None}, "no tokenizer was given"),
        ({"processing_class": "pad_token"}, "no pad_token;"),
        ({"processing_class": "eos_token"}, "no eos_token;"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, changes, message):
    if isinstance(lacking := changes.get("processing_class"), str):
        tokenizer = toy.Symbols(toy.V)
        setattr(tokenizer, f"{lacking}_id", None)
        changes = {"processing_class": tokenizer}
    with pytest.raises(ValueError, match=message):
        toy.make_trainer(tmp_path, toy.config(), **changes)


def nan_encoder(example, replies):
    return torch.full((len(replies), len(replies)), math.nan).numpy()


@pytest.mark.parametrize("functions", [dict(similarity=nan_encoder), dict(quality=equal_text)])
@pytest.mark.parametrize("peer", [False, True], ids=["objective", "self_training"])
def test_faults_of_the_users_functions_show_before_the_first_step(functions, peer, tmp_path, monkeypatch):
    pool = SelfTraining(**(dict(after=2, samples=4, quality=toy.holds_d, similarity=equal_text, max_new_tokens=4, seed=0) | functions))
    trainer = toy.make_trainer(tmp_path, self_training=pool) if peer else toy.make_trainer(tmp_path, toy.config(**functions))
    monkeypatch.setattr(trainer, "training_step", lambda *a, **k: pytest.fail("a step was taken"))
    with pytest.raises(ValueError, match="nan_encoder|equal_text"):
        trainer.train()


class Break(TrainerCallback):
    """At the third step: a weight that is not a number, or a gradient."""

    def __init__(self, what: str):
        self.what = what

    def on_step_begin(self, args, state, control, model=None, **others):
        parameter = toy.lora_parameters(model)[-1][1]
        if state.global_step == 2 and self.what == "weight":
            with torch.no_grad():
                parameter[0, 0] = math.nan
        if state.global_step == 2 and self.what == "gradient":
            parameter.register_hook(lambda found: found * math.inf)


@pytest.mark.parametrize(
    ("what", "objective", "clip", "named"),
    [
        ("weight", None, 0.0, "loss"),
        ("weight", toy.config(), 1.0, "model's state after the prompt"),
        ("gradient", None, 1.0, "gradient"),
        ("gradient", toy.config(), 0.0, "gradient"),
    ],
)
def test_a_step_that_is_not_finite_stops_with_step_and_prompts_and_leaves_the_checkpoint(what, objective, clip, named, tmp_path):
    """Rows in order, so that the third step's prompts are known."""
    settings = dict(save_strategy="steps", save_steps=1, max_grad_norm=clip, train_sampling_strategy="sequential")
    settings |= dict(per_device_train_batch_size=2)
    toy.make_trainer(tmp_path / "whole", objective, **settings | {"max_steps": 2}).train()
    with pytest.raises(PolychromicError, match=f"the {named} of step 2 is not finite") as error:
        toy.make_trainer(tmp_path, objective, callbacks=[Break(what)], **settings).train()
    message = str(error.value)
    assert str(toy.ROWS[4]["prompt"]) in message and str(toy.ROWS[5]["prompt"]) in message
    assert not any(str(row["prompt"]) in message for row in toy.ROWS if row not in toy.ROWS[4:6] and len(row["prompt"]) > 1)
    assert "checkpoints is untouched. Lower the learning rate" in message
    kept, whole = tmp_path / "checkpoints", tmp_path / "whole" / "checkpoints" / "checkpoint-2"
    assert sorted(path.name for path in kept.iterdir()) == ["checkpoint-1", "checkpoint-2"]
    for name in ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt"):
        assert sha256_file(kept / "checkpoint-2" / name) == sha256_file(whole / name)
    state, expected = (json.loads((path / "trainer_state.json").read_text()) for path in (kept / "checkpoint-2", whole))
    assert (state["global_step"], state["log_history"]) == (2, expected["log_history"])
