"""The cache of training runs: what identifies one, its one writer, and that a killed run ends with the bytes of an undisturbed one."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from transformers import Trainer

from polychromic.base.cache import code_fingerprint
from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file, write_json
from polychromic.base.locks import single_writer
from polychromic.data.domains import get_domain
from polychromic.params import Params
from polychromic.train import adapter as run
from polychromic.train.adapter import numeric_code, train_adapter
from tests.run_tools import DEV, TRAIN, count_steps, embed, train
from tests.workspace import listqa_record, make_models, small_params, small_values


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


# what identifies a run


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
    assert train("lora", None, objective={"n": 4}, listqa={"rollouts": {"share": 0.5}, "pool_samples": 5}).fingerprint == lora
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
