"""A training run: its rows, its cache, and that a killed one ends with the bytes of an undisturbed one."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import Trainer

from polychromic.domains import get_domain
from polychromic.errors import PolychromicError
from polychromic.io import sha256_file, write_json
from polychromic.models.load import load_causal_lm
from polychromic.params import Method, Params
from polychromic.process import single_writer
from polychromic.training import run
from polychromic.training.run import (
    code_fingerprint,
    cosines,
    export_adapter,
    numeric_code,
    set_functions,
    total_steps,
    train_adapter,
    training_rows,
    validation_rows,
)
from polychromic.training.trainer import PolychromicTrainer
from tests.tiny import tiny_tokenizer
from tests.workspace import KINDS, listqa_record, make_models, small_params, small_values

TRAIN, DEV = [listqa_record(i) for i in range(6)], [listqa_record(i) for i in range(6, 9)]
# Three references each: two would lie equally far from each other, and loss deviation would weigh nothing.
THREE = [listqa_record(i, references=[f"red {kind}", f"reddish {kind}", f"{kind} of the sea"]) for i, kind in enumerate(KINDS[:6])]


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
    assert [total_steps(params.listqa, params.methods[name]) for name in ("lora", "lora_long", "polychromic")] == [60, 75, 60]


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


def train_as(fields: dict, **sections) -> run.Trained:
    """A method of the test's own, without training: `fields` over those of polychromic."""
    values = small_values()
    for key, section in sections.items():
        values[key] = values[key] | section
    values["methods"]["own"] = {"prompt": "zero_shot", "adapter": "lora", "objective": "coverage", "lam": 3.0} | fields
    params = Params.model_validate(values)
    return train_adapter(params, get_domain("listqa"), params.methods["own"], params.methods["own"].lam, 0, TRAIN, DEV, embed)


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
        "share": train(listqa={"rollouts": {"share": 0.5}}),
        "every": train(listqa={"rollouts": {"every": 2}}),
        "reuse": train(listqa={"rollouts": {"reuse": 2}}),
        "correction": train(listqa={"rollouts": {"reuse": 2, "correction": "none"}}),
        "learning rate": train(train={"learning_rate": 1e-3}),
        "rank": train(lora={"rank": 3}),
        "set size": train(objective={"n": 4}),
        "baseline": train(objective={"baseline": "running"}),
        "threads": train(threads=2),
        "training data": train(records=TRAIN[1:]),
        "validation data": train(validation=DEV[1:]),
        # the valid set changes which rollouts are good, though not a training row
        "valid answers": train(records=[listqa_record(0, valid=["red zorb"]), *TRAIN[1:]]),
    }
    none = {"objective": "none", "lam": None}
    others |= {
        "set objective": train_as({"objective": "reward"}),
        "subset 2": train_as({"objective": "passk", "subset": 2}),
        "subset 3": train_as({"objective": "passk", "subset": 3}),
        "own baseline": train_as({"baseline": "others"}),
        "similarity": train_as({"similarity": "semantic"}),
        "loss": train_as({"loss": "gem", "settings": {"beta": 0.7}}),
        "settings": train_as({"loss": "gem", "settings": {"beta": 0.8}}),
        "budget": train_as({"budget": 2.0}),
        "targets": train_as({"targets": "valid"}),
        "self-training": train_as(none | {"self_training": {"after": 0.5}}),
        "its samples": train_as(none | {"self_training": {"after": 0.5}}, listqa={"pool_samples": 5}),
        "its time": train_as(none | {"self_training": {"after": 0.6}}),
    }
    prints = {name: trained.fingerprint for name, trained in others.items()}
    assert len({base, *prints.values()}) == len(prints) + 1, prints


@pytest.mark.usefixtures("no_training")
def test_what_numbers_do_not_depend_on_is_not():
    assert train(train={"checkpoint_every": 3}).fingerprint == train().fingerprint
    assert train(analysis={"seed": 5}, sampling={"n": 30}).fingerprint == train().fingerprint
    assert train_as({}).fingerprint == train().fingerprint, "the name of a method"
    assert train_as({"baseline": small_params().objective.baseline}).fingerprint == train().fingerprint, "what it says anyway"
    assert train_as({"scale": 0.5, "min_p": 0.1}).fingerprint == train().fingerprint, "how it is decoded"
    lora = train("lora", None).fingerprint
    assert train("lora_min_p", None).fingerprint == train("lora_scaled", None).fingerprint == lora
    assert train("lora", None, objective={"n": 4}, listqa={"rollouts": {"share": 0.5}}).fingerprint == lora
    assert train("lora", None, records=[listqa_record(0, valid=["x"]), *TRAIN[1:]]).fingerprint == lora


@pytest.mark.usefixtures("no_training")
def test_what_the_checker_knows_counts_for_self_training():
    records = [listqa_record(0, valid=["red zorb"]), *TRAIN[1:]]
    assert train("rft", None, records=records).fingerprint != train("rft", None).fingerprint


def test_the_code_is_in_the_fingerprint(monkeypatch, tmp_path):
    source = Path(run.__file__).resolve().parents[1]
    for name in numeric_code("listqa"):
        for file in sorted((source / name).rglob("*.py")) if (source / name).is_dir() else [source / name]:
            target = tmp_path / "polychromic" / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    monkeypatch.setattr(run, "__file__", str(tmp_path / "polychromic" / "training" / "run.py"))
    names = numeric_code("listqa")
    before = code_fingerprint(names)
    for name in ("training/objective.py", "domains/listqa.py", "domains/text.py", "models/load.py", "seeds.py", "prompts.py"):
        path = tmp_path / "polychromic" / name
        path.write_bytes(path.read_bytes() + b"\n")
        after = code_fingerprint(names)
        assert after != before, name
        before = after
    (tmp_path / "polychromic" / "training" / "objective.py").rename(tmp_path / "polychromic" / "training" / "other.py")
    assert code_fingerprint(names) != before, "a module's name is part of it"


def test_a_domain_s_adapters_do_not_depend_on_another_domain_s_code():
    listqa, replies = set(numeric_code("listqa")), set(numeric_code("replies"))
    assert listqa ^ replies == {"domains/listqa.py", "domains/replies.py"} and "domains/listqa.py" in listqa


# one writer


@pytest.fixture
def patience(monkeypatch):
    """Sets how long a second writer waits; train_adapter's hour is the length of a training run."""

    def wait(seconds: float) -> list[float]:
        asked = []

        def impatient(target, wait_seconds):
            asked.append(wait_seconds)
            return single_writer(target, seconds)

        monkeypatch.setattr(run, "single_writer", impatient)
        return asked

    return wait


@pytest.mark.usefixtures("no_training")
def test_a_second_trainer_of_the_same_adapter_is_refused_while_the_first_runs(patience):
    folder, asked = train().adapter, patience(0.1)
    with single_writer(folder):
        with pytest.raises(PolychromicError, match="another process is writing it"):
            train()
        assert train(seed=1).adapter != folder, "another adapter is no business of that lock"
    assert train().adapter == folder
    assert asked == [3600] * 3


def test_a_second_trainer_waits_and_takes_what_the_first_made(patience, monkeypatch):
    """The first begins to train, the second comes, then the first goes on: one training, one result."""
    patience(60)
    steps, begun, go_on = count_steps(monkeypatch), threading.Event(), threading.Event()
    original = run._train

    def pausing(*arguments):
        begun.set()
        assert go_on.wait(60)
        original(*arguments)

    monkeypatch.setattr(run, "_train", pausing)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(train, "lora", None)
        assert begun.wait(60)
        second = pool.submit(train, "lora", None)
        time.sleep(0.5)
        assert not second.done()
        go_on.set()
        assert first.result() == second.result()
    assert steps == list(range(6))


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


def test_a_checkpoint_whose_last_file_is_cut_off_is_discarded(undisturbed, monkeypatch, workspace):
    """Trainer writes trainer_state.json in place: a kill can leave half of it."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        count_steps(patch, 3)
        train()
    (state,) = (workspace / "cache").rglob("trainer_state.json")
    state.write_text(state.read_text()[:100])
    steps = count_steps(monkeypatch)
    trained = train()
    assert steps == [0, 1, 2, 3, 4, 5] and not state.exists()
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
