"""The preset for few rows, the end by held-out cross-entropy, and what a tracker is told."""

from __future__ import annotations

import json

import pytest

from polychromic.base.errors import UsageError
from polychromic.base.io import read_json, read_jsonl, sha256_file
from polychromic.train import track
from polychromic.yours.train import steps
from polychromic.yours.train.run import train
from polychromic.yours.train.settings import Settings
from tests.yours.train.bench import request_of


def rows(path) -> list[dict]:
    return [row for _, row in read_jsonl(path)]


def test_the_preset_fills_what_is_not_given_and_has_no_dropout_where_rollouts_are_drawn():
    lora, ours = Settings(method="lora").preset("conservative", {"lam"}), Settings().preset("conservative", {"rank"})
    assert (lora.rank, lora.rate, lora.lam, lora.n, lora.dropout, lora.dev_share, lora.test_share) == (8, 1e-4, 3.0, 2, 0.05, 0.15, 0.15)
    assert (ours.rank, ours.rate, ours.lam, ours.dropout, ours.patience) == (16, 1e-4, 1.0, 0.0, 3)
    lora.check()
    ours.check()
    assert Settings().preset("default", ()) == Settings()
    with pytest.raises(UsageError, match="--preset bold. Allowed: default, conservative"):
        Settings().preset("bold", ())
    with pytest.raises(UsageError, match="--dropout is 0.1. Allowed: 0 or more, below 1; 0 unless --method lora"):
        Settings(dropout=0.1).check()


def test_training_ends_where_dev_says_and_keeps_the_best_also_after_a_stop(made, monkeypatch, capsys):
    """Dev says what no row says, so that training makes it less likely."""
    other = ({"prompt": f"Describe the {name}.", "completion": "#7 9$2 @0 4%"} for name in ("whale", "gnu", "ibis", "kudu"))
    (made / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in other))
    changes = dict(method="lora", steps=12, rate=0.1, patience=2, dropout=0.05, dev=made / "other.jsonl")
    train(request_of(made, "patient", **changes))
    said = capsys.readouterr().err
    losses = {row["step"]: row["eval_loss"] for row in rows(made / "patient" / "history.jsonl") if "eval_loss" in row}
    best = min(losses, key=losses.get)
    assert max(losses) < 12 and f"ended at step {max(losses)} of 12" in said and f"the adapter is that of step {best}" in said
    assert read_json(made / "patient" / "polychromic.json")["dev"]["cross_entropy"] == pytest.approx(losses[best], abs=1e-4)

    original = steps.Stop.on_step_end

    def ring(self, args, state, control, **kwargs):
        self.asked |= state.global_step == 3
        original(self, args, state, control, **kwargs)

    with monkeypatch.context() as patched, pytest.raises(steps.StoppedError, match="stopped at step 3 of 12"):
        patched.setattr(steps.Stop, "on_step_end", ring)
        train(request_of(made, "patient-again", **changes))
    train(request_of(made, "patient-again", **changes))
    again, name = made / "patient-again", "adapter_model.safetensors"
    assert sha256_file(again / name) == sha256_file(made / "patient" / name)
    assert rows(again / "history.jsonl") == rows(made / "patient" / "history.jsonl")


def test_test_rows_are_set_aside_and_patience_needs_dev(made):
    train(request_of(made, "apart", method="lora", steps=2, test_share=0.2, dev_share=0.2))
    kept = {row["prompt"] for row in rows(made / "apart" / "test.jsonl")}
    assert kept and not kept & {row["prompt"] for row in rows(made / "apart" / "dev.jsonl")}
    with pytest.raises(UsageError, match="--patience needs rows of dev"):
        train(request_of(made, "blind", patience=2, dev_share=0.0))


def test_the_tracker_is_told_clocks_and_shares_and_the_history_is_not(made):
    request = request_of(made, "tracked")
    train(type(request)(**(vars(request) | {"report_to": "jsonl"})))
    told = [json.loads(line) for line in (made / "tracked" / track.FILE).read_text().splitlines()]
    last = [row for row in told if "loss" in row][-1]
    named = {"objective", "quality", "clipped_share", "objective_clipped_share", "objective_gradient_share", "sampler_tokens_per_second"}
    assert named | {"memory_gib", "flops_total", "step_seconds"} <= last.keys()
    assert 0 < last["objective_gradient_share"] < 1 and last["flops_total"] > 0 and last["memory_gib"] > 0.1
    history = rows(made / "tracked" / "history.jsonl")
    assert history == rows(made / "adapter" / "history.jsonl"), "the same as of an untracked run"
    assert sha256_file(made / "tracked" / "adapter_model.safetensors") == sha256_file(made / "adapter" / "adapter_model.safetensors")


def test_a_tracker_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(track, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="report_to is wandb, and the package wandb is not installed. Allowed here: none, jsonl"):
        track.reporting("wandb", tmp_path)
    assert track.reporting("none", tmp_path) == {"report_to": []}
