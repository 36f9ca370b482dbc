"""A training run: its rows, its set functions, and the adapter that it leaves. The cache: test_run_cache.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel

from polychromic.base.io import sha256_file
from polychromic.data.domains import get_domain
from polychromic.method.sets import cosines, set_functions
from polychromic.models.load import load_causal_lm
from polychromic.params import Method
from polychromic.train import adapter as run
from polychromic.train.adapter import export_adapter, total_steps, training_rows, validation_rows
from tests.run_tools import THREE, TRAIN, embed, train
from tests.tiny import tiny_tokenizer
from tests.workspace import listqa_record, make_models, small_params


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_models(folder)
    return folder


@pytest.fixture(autouse=True)
def workspace(models, tmp_path, monkeypatch) -> Path:
    """The current folder holds the tiny models; the cache is the test's own."""
    monkeypatch.chdir(models)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    return tmp_path


# rows and set functions


def rows_of(records, **fields) -> list[dict]:
    method = Method.model_validate({"prompt": "zero_shot", "adapter": "lora"} | fields)
    return training_rows(records, tiny_tokenizer(), "listqa", method, embed)


def completions(rows: list[dict]) -> list[str]:
    return [tiny_tokenizer().decode(row["completion"]) for row in rows]


def test_rows_hold_every_reference_for_training_and_the_first_for_validation():
    tokenizer = tiny_tokenizer()
    rows = rows_of(TRAIN[:2])
    assert [row["record"] for row in rows] == [0, 0, 1, 1] and all(set(row) == {"prompt", "completion", "record"} for row in rows)
    assert completions(rows) == [f"{ref}<|im_end|>" for record in TRAIN[:2] for ref in record.references]
    assert all(row["completion"].count(tokenizer.eos_token_id) == 1 for row in rows)
    text = tokenizer.decode(rows[0]["prompt"])
    assert TRAIN[0].prompt in text and text.endswith("<|im_start|>assistant\n") and "red" not in text
    first = validation_rows(TRAIN[:2], tokenizer, "listqa", "zero_shot")
    assert first == [{key: rows[i][key] for key in ("prompt", "completion")} for i in (0, 2)]


def test_lora_all_trains_on_every_valid_answer_once():
    rows = rows_of(TRAIN[:2], targets="valid")
    assert completions(rows) == [f"{colour} {kind}<|im_end|>" for kind in ("zorb", "flim") for colour in ("red", "blue", "green")]
    assert [row["record"] for row in rows] == [0, 0, 0, 1, 1, 1]
    alone = [listqa_record(0, valid=[], checker="person", domain="replies")]
    assert completions(rows_of(alone, targets="valid")) == ["red zorb<|im_end|>", "blue zorb<|im_end|>"], "no valid set: the references"


def test_deviation_weighs_a_reference_by_its_distance_from_the_others():
    """Two references alike and one apart: distances .5, .5, 1, mean 2/3. The order of the weights is that of the rows."""
    vectors = {"red": [1.0, 0.0], "crimson": [1.0, 0.0], "blue": [0.0, 1.0], "alone": [1.0, 0.0]}
    records = [listqa_record(0, references=["red", "blue", "crimson"]), listqa_record(1, references=["alone"])]
    method = Method.model_validate({"prompt": "zero_shot", "adapter": "lora", "loss": "deviation"})
    lookup = lambda texts: np.array([vectors[text] for text in texts], dtype=np.float32)
    rows = training_rows(records, tiny_tokenizer(), "listqa", method, lookup)
    assert [row.get("weight", 1.0) for row in rows] == pytest.approx([0.75, 1.5, 0.75, 1.0])
    assert not any("weight" in row for row in rows_of(records)), "no other loss weighs, and none asks for vectors"


def test_steps_grow_with_the_budget():
    params = small_params(listqa={"steps": 60})
    lora = params.methods["lora"]
    assert [total_steps(params.listqa, lora.model_copy(update={"budget": budget})) for budget in (1.0, 1.25, 0.5)] == [60, 75, 30]


def test_exact_similarity_is_one_for_the_same_answer_and_quality_is_validity():
    quality, similarity = set_functions(get_domain("listqa"), TRAIN, "exact", embed)
    flim, zorb = ["Red flim", "the red flims.", "nonsense"], ["red flim", "blue zorb", "nonsense"]
    assert quality({"record": 1}, flim).tolist() == [1, 1, 0] and quality({"record": 0}, zorb).tolist() == [0, 1, 0]
    assert similarity({"record": 1}, flim).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert similarity({"record": 0}, zorb).tolist() == np.eye(3).tolist()


def test_semantic_similarity_is_the_cosine_clipped_with_a_unit_diagonal():
    opposite = {"up": [1.0, 0.0], "down": [-1.0, 0.0], "half": [0.6, 0.8]}
    lookup = lambda texts: np.array([opposite[t] for t in texts], dtype=np.float32)
    _, similarity = set_functions(get_domain("listqa"), TRAIN, "semantic", lookup)
    s = similarity({"record": 0}, ["up", "down", "half"])
    np.testing.assert_allclose(s, [[1, 0, 0.6], [0, 1, 0], [0.6, 0, 1]], atol=1e-7)
    assert s.dtype == np.float64 and (np.diagonal(s) == 1).all() and s.max() <= 1
    assert (s == cosines(lookup(["up", "down", "half"]))).all()


# the adapter


def test_peft_loads_the_folder_and_it_changes_the_model(workspace):
    trained = train()
    model, tokenizer = load_causal_lm("model", "float32", "cpu")
    ids = torch.tensor([tokenizer("Name one kind of fruit.")["input_ids"]])
    with torch.no_grad():
        before = model(ids).logits
        after = PeftModel.from_pretrained(model, trained.adapter)(ids).logits
    assert (after - before).abs().max() > 1e-3

    text = (trained.adapter / "adapter_config.json").read_text()
    assert json.loads(text)["base_model_name_or_path"] == "model"
    assert str(workspace) not in text and str(Path.cwd()) not in text
    assert not any(value.startswith("/") for value in json.loads(text).values() if isinstance(value, str))
    assert not (trained.adapter / "checkpoints").exists()


def test_history_covers_all_steps_with_evaluations():
    history = train().history
    assert [row["step"] for row in history if "ce" in row] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in history if "eval_loss" in row] == [3, 6]
    assert all("objective" in row for row in history if "ce" in row)
    assert history[-1].keys() == {"step", "kl_to_base", "reply_tokens"} and history[-1]["step"] == 6
    assert history[-1]["kl_to_base"] > 0 and 1 <= history[-1]["reply_tokens"] <= 4
    assert not any("objective" in row for row in train("lora", None).history)


def test_the_adapter_is_the_same_where_nothing_is_measured_on_dev():
    measured, bare = train(), train(validation=[])
    assert measured.fingerprint != bare.fingerprint
    name = "adapter_model.safetensors"
    assert (measured.adapter / name).read_bytes() == (bare.adapter / name).read_bytes()
    assert [row["step"] for row in bare.history] == [1, 2, 3, 4, 5, 6] and not any("eval_loss" in row for row in bare.history)


@pytest.fixture(scope="module")
def plain(models, tmp_path_factory) -> run.Trained:
    """Standard LoRA on THREE."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(models)
        patch.setenv("POLYCHROMIC_CACHE", str(tmp_path_factory.mktemp("plain")))
        return train("lora", None, records=THREE)


@pytest.mark.parametrize("method", ["gem", "label_smoothing", "entropy", "tofu", "deviation", "lora_all", "lora_long", "rft"])
def test_each_peer_trains_and_is_another_run_than_lora(method, plain):
    trained = train(method, None, records=THREE)
    steps = [row for row in trained.history if "ce" in row]
    assert [row["step"] for row in steps] == list(range(1, 9 if method == "lora_long" else 7))
    assert all(np.isfinite(row["ce"]) for row in steps)
    assert [row["step"] for row in steps if "pool" in row] == ([4, 5, 6] if method == "rft" else [])
    assert trained.fingerprint != plain.fingerprint
    # A random model says nothing that is valid: the pool of rft stays empty, and references are trained on.
    same = sha256_file(trained.adapter / "adapter_model.safetensors") == sha256_file(plain.adapter / "adapter_model.safetensors")
    assert same == (method == "rft")


@pytest.mark.parametrize("method", ["polychromic_bulk", "gated", "reward", "passk", "poly_epo"])
def test_each_objective_trains(method):
    history = [row for row in train(method, 3.0).history if "ce" in row]
    assert len(history) == 6 and any("objective" in row for row in history)


def test_the_way_of_a_gpu_gives_the_same_run_up_to_rounding(monkeypatch):
    """Nothing here has a GPU: what is run is the layout and the batches that one gets."""
    ours = train("polychromic", lam=3.0)
    monkeypatch.setattr(run, "environment", lambda: {"gpu": "none"})
    monkeypatch.setattr(run, "best_device", lambda: "cuda")
    monkeypatch.setattr(run, "rows_at_once", lambda rows: 8 * rows)
    layouts, original = [], run.PolychromicTrainer.__init__
    monkeypatch.setattr(run.PolychromicTrainer, "__init__", lambda *a, **k: (layouts.append(k["layout"]), original(*a, **k))[1])
    theirs = train("polychromic", lam=3.0)
    assert layouts == ["packed"] and theirs.fingerprint != ours.fingerprint
    assert [row.keys() for row in theirs.history] == [row.keys() for row in ours.history]
    for one, other in zip(ours.history, theirs.history, strict=True):
        assert other == pytest.approx(one, rel=1e-3, abs=1e-5)


def test_export_copies_what_peft_and_the_paper_need(workspace):
    trained = train("lora", None)
    export_adapter(trained, workspace / "mine")
    assert sorted(path.name for path in (workspace / "mine").iterdir()) == sorted(run.KEPT)
    for name in run.KEPT:
        assert sha256_file(workspace / "mine" / name) == sha256_file(trained.adapter / name)
