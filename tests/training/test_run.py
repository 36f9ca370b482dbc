"""A training run: its rows, its cache, and that a killed one ends with the bytes of an undisturbed one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import Trainer

from polychromic.domains import get_domain
from polychromic.io import sha256_file, write_json
from polychromic.models.load import load_causal_lm
from polychromic.training import run
from polychromic.training.run import code_fingerprint, export_adapter, set_scorer, train_adapter, training_rows
from polychromic.training.trainer import PolychromicTrainer
from tests.tiny import tiny_tokenizer
from tests.workspace import listqa_record, make_models, small_params

TRAIN, DEV = [listqa_record(i) for i in range(6)], [listqa_record(i) for i in range(6, 9)]


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


def embed(texts) -> np.ndarray:
    """Letters counted, at unit length."""
    counts = np.array([[text.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] + [1.0] for text in texts], dtype=np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def train(method: str = "polychromic", lam: float | None = 3.0, seed: int = 0, records=TRAIN, validation=DEV, **changes) -> run.Trained:
    params = small_params(**changes)
    return train_adapter(params, get_domain("listqa"), params.methods[method], lam, seed, records, validation, embed)


def count_steps(monkeypatch, die_at: int | None = None) -> list[int]:
    """Global steps that are computed; `die_at` raises in the middle of that one."""
    original, steps = PolychromicTrainer.training_step, []

    def watched(self, *args, **kwargs):
        steps.append(self.state.global_step)
        if self.state.global_step == die_at:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(PolychromicTrainer, "training_step", watched)
    return steps


# rows and scorer


def test_rows_hold_every_reference_for_training_and_the_first_for_validation():
    tokenizer = tiny_tokenizer()
    rows = training_rows(TRAIN[:2], tokenizer, "listqa", "zero_shot", all_references=True)
    assert [row["row"] for row in rows] == [0, 0, 1, 1]
    assert [tokenizer.decode(row["reply"]) for row in rows] == [f"{ref}<|im_end|>" for record in TRAIN[:2] for ref in record.references]
    assert all(row["reply"][-1] == tokenizer.eos_token_id and row["reply"].count(tokenizer.eos_token_id) == 1 for row in rows)
    text = tokenizer.decode(rows[0]["prompt"])
    assert TRAIN[0].prompt in text and text.endswith("<|im_start|>assistant\n") and "red" not in text
    first = training_rows(TRAIN[:2], tokenizer, "listqa", "zero_shot", all_references=False)
    assert first == [rows[0], rows[2]]


def test_exact_similarity_is_one_for_the_same_answer_and_quality_is_validity():
    score = set_scorer(get_domain("listqa"), TRAIN, "exact", embed)
    q, s = score([1, 0], [["Red flim", "the red flims.", "nonsense"], ["red flim", "blue zorb", "nonsense"]])
    assert q.tolist() == [[1, 1, 0], [0, 1, 0]]
    assert s.tolist() == [[[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.eye(3).tolist()]


def test_semantic_similarity_is_the_cosine_clipped_with_a_unit_diagonal():
    opposite = {"up": [1.0, 0.0], "down": [-1.0, 0.0], "half": [0.6, 0.8]}
    score = set_scorer(get_domain("listqa"), TRAIN, "semantic", lambda texts: np.array([opposite[t] for t in texts], dtype=np.float32))
    _, s = score([0], [["up", "down", "half"]])
    np.testing.assert_allclose(s[0], [[1, 0, 0.6], [0, 1, 0], [0.6, 0, 1]], atol=1e-7)
    assert s.dtype == np.float64 and (np.diagonal(s[0]) == 1).all() and s.max() <= 1


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
    assert not any("objective" in row for row in train("lora", None).history)


def test_export_copies_what_peft_and_the_paper_need(workspace):
    trained = train("lora", None)
    export_adapter(trained, workspace / "mine")
    assert sorted(path.name for path in (workspace / "mine").iterdir()) == sorted(run.KEPT)
    for name in run.KEPT:
        assert sha256_file(workspace / "mine" / name) == sha256_file(trained.adapter / name)


# the cache


def test_a_finished_run_is_not_trained_again(monkeypatch):
    first = train()
    before = {path.name: sha256_file(path) for path in first.adapter.iterdir() if path.is_file()}
    steps = count_steps(monkeypatch)
    again = train()
    assert steps == [] and again == first
    assert {path.name: sha256_file(path) for path in first.adapter.iterdir() if path.is_file()} == before


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(run, "_train", lambda *arguments: write_json(arguments[-1] / "history.json", []))


@pytest.mark.usefixtures("no_training")
def test_everything_that_numbers_depend_on_is_in_the_fingerprint():
    base = train().fingerprint
    others = {
        "seed": train(seed=1),
        "lambda": train(lam=0.3),
        "method": train("polychromic_plain", 3.0),
        "no objective": train("lora", None),
        "steps": train(listqa={"steps": 7}),
        "horizon": train(listqa={"max_new_tokens": 5}),
        "rollouts": train(listqa={"rollouts": {"share": 0.5, "every": 1}}),
        "learning rate": train(train={"learning_rate": 1e-3}),
        "rank": train(lora={"rank": 3}),
        "set size": train(objective={"n": 4}),
        "baseline": train(objective={"baseline": "marginal"}),
        "threads": train(threads=2),
        "training data": train(records=TRAIN[1:]),
        "validation data": train(validation=DEV[1:]),
        # the valid set changes which rollouts are good, though not a training row
        "valid answers": train(records=[listqa_record(0, valid=["red zorb"]), *TRAIN[1:]]),
    }
    prints = {name: trained.fingerprint for name, trained in others.items()}
    assert len({base, *prints.values()}) == len(prints) + 1, prints


@pytest.mark.usefixtures("no_training")
def test_what_numbers_do_not_depend_on_is_not():
    assert train(train={"checkpoint_every": 3}).fingerprint == train().fingerprint
    assert train(analysis={"seed": 5}, sampling={"n": 30}).fingerprint == train().fingerprint
    lora = train("lora", None).fingerprint
    assert train("lora", None, objective={"n": 4}, listqa={"max_new_tokens": 9}).fingerprint == lora
    assert train("lora", None, records=[listqa_record(0, valid=["x"]), *TRAIN[1:]]).fingerprint == lora


def test_the_code_is_in_the_fingerprint(monkeypatch, tmp_path):
    source = Path(run.__file__).resolve().parents[1]
    for name in run.NUMERIC_CODE:
        for file in sorted((source / name).rglob("*.py")) if (source / name).is_dir() else [source / name]:
            target = tmp_path / "polychromic" / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    monkeypatch.setattr(run, "__file__", str(tmp_path / "polychromic" / "training" / "run.py"))
    before = code_fingerprint()
    for name in ("training/objective.py", "domains/listqa.py", "models/load.py", "seeds.py"):
        path = tmp_path / "polychromic" / name
        path.write_bytes(path.read_bytes() + b"\n")
        after = code_fingerprint()
        assert after != before, name
        before = after
    (tmp_path / "polychromic" / "training" / "objective.py").rename(tmp_path / "polychromic" / "training" / "other.py")
    assert code_fingerprint() != before, "a module's name is part of it"


# kills


@pytest.fixture(scope="module")
def undisturbed(models, tmp_path_factory) -> tuple[str, list[dict]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(models)
        patch.setenv("POLYCHROMIC_CACHE", str(tmp_path_factory.mktemp("undisturbed")))
        trained = train()
        return sha256_file(trained.adapter / "adapter_model.safetensors"), trained.history


@pytest.mark.parametrize(("die_at", "resumed"), [(1, [0, 1, 2, 3, 4, 5]), (3, [2, 3, 4, 5]), (5, [4, 5])])
def test_a_killed_run_resumes_and_ends_with_the_same_bytes(die_at, resumed, undisturbed, monkeypatch, workspace):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        count_steps(patch, die_at)
        train()
    assert not list((workspace / "cache").rglob("manifest.json"))
    torch.manual_seed(4321)  # a new process has another global state
    steps = count_steps(monkeypatch)
    trained = train()
    assert steps == resumed
    assert (sha256_file(trained.adapter / "adapter_model.safetensors"), trained.history) == undisturbed


def test_a_checkpoint_without_its_last_file_is_discarded(undisturbed, monkeypatch, workspace):
    """Killed while the second checkpoint was written: the first one is used."""
    original = Trainer._save_rng_state

    def die(self, folder):
        if self.state.global_step == 4:
            raise KeyboardInterrupt
        original(self, folder)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_save_rng_state", die)
        train()
    halves = [path for path in (workspace / "cache").rglob("checkpoint-4") if not (path / "trainer_state.json").exists()]
    assert len(halves) == 1 and (halves[0] / "adapter_model.safetensors").exists()
    steps = count_steps(monkeypatch)
    trained = train()
    assert steps == [2, 3, 4, 5]
    assert (sha256_file(trained.adapter / "adapter_model.safetensors"), trained.history) == undisturbed


@pytest.mark.xfail(strict=True, reason="_last_complete takes a checkpoint whose trainer_state.json is cut off for a complete one")
def test_a_checkpoint_whose_last_file_is_cut_off_is_discarded(undisturbed, monkeypatch, workspace):
    """Trainer writes trainer_state.json in place: a kill can leave half of it."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        count_steps(patch, 3)
        train()
    (state,) = (workspace / "cache").rglob("trainer_state.json")
    state.write_text(state.read_text()[:100])
    trained = train()
    assert (sha256_file(trained.adapter / "adapter_model.safetensors"), trained.history) == undisturbed


@pytest.mark.parametrize("name", ["history.json", "manifest.json"])
def test_killed_after_the_last_step(name, undisturbed, monkeypatch):
    """The adapter is there, but not all that says so: the run is not taken for finished, and its files are made again."""

    def die(path, value):
        if path.name == name:
            raise KeyboardInterrupt
        write_json(path, value)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run, "write_json", die)
        train()
    trained = train()
    assert (sha256_file(trained.adapter / "adapter_model.safetensors"), trained.history) == undisturbed
