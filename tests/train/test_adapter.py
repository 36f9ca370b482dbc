"""A training run: its rows, the adapter that it leaves, what identifies it in the cache, and that a killed one ends with the same bytes."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import Trainer

from polychromic.base import cache
from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file, write_json
from polychromic.base.locks import single_writer
from polychromic.data.domains import get_domain
from polychromic.models.load import load_causal_lm
from polychromic.params import Method, Params
from polychromic.train import adapter as run
from polychromic.train.adapter import export_adapter, kl_to_base, numeric_code, train_adapter, training_rows, validation_rows
from tests.run_tools import DEV, THREE, TRAIN, Readers, count_steps, embed, train
from tests.symbols import Symbols, make_adapted_model, plain_log_probs
from tests.tiny import tiny_tokenizer
from tests.workspace import listqa_record, make_models, small_params, small_values

WEIGHTS = "adapter_model.safetensors"


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


def once(models, folder, *arguments, **settings) -> run.Trained:
    """A run with a cache of its own, for fixtures of this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(models)
        patch.setenv("POLYCHROMIC_CACHE", str(folder))
        return train(*arguments, **settings)


@pytest.fixture(scope="module")
def plain(models, tmp_path_factory) -> run.Trained:
    """Standard LoRA on THREE."""
    return once(models, tmp_path_factory.mktemp("plain"), "lora", None, records=THREE)


@pytest.fixture(scope="module")
def undisturbed(models, tmp_path_factory) -> run.Trained:
    return once(models, tmp_path_factory.mktemp("undisturbed"))


def content(trained: run.Trained) -> tuple[str, list[dict]]:
    return sha256_file(trained.adapter / WEIGHTS), trained.history


def rows_of(records, lookup=embed, **fields) -> list[dict]:
    method = Method.model_validate({"prompt": "zero_shot", "adapter": "lora"} | fields)
    return training_rows(records, tiny_tokenizer(), "listqa", method, lookup)


def completions(rows: list[dict]) -> list[str]:
    return [tiny_tokenizer().decode(row["completion"]) for row in rows]


def test_rows_hold_every_reference_for_training_and_the_first_for_validation():
    tokenizer, rows = tiny_tokenizer(), rows_of(TRAIN[:2])
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
    rows = rows_of(records, lambda texts: np.array([vectors[text] for text in texts], dtype=np.float32), loss="deviation")
    assert [row.get("weight", 1.0) for row in rows] == pytest.approx([0.75, 1.5, 0.75, 1.0])
    assert not any("weight" in row for row in rows_of(records, None)), "no other loss weighs, and none asks for vectors"


def test_peft_loads_the_folder_and_it_changes_the_model(undisturbed, workspace):
    model, tokenizer = load_causal_lm("model", "float32", "cpu")
    ids = torch.tensor([tokenizer("Name one kind of fruit.")["input_ids"]])
    with torch.no_grad():
        before = model(ids).logits
        after = PeftModel.from_pretrained(model, undisturbed.adapter)(ids).logits
    assert (after - before).abs().max() > 1e-3
    config = json.loads((undisturbed.adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "model"
    assert not any(value.startswith("/") for value in config.values() if isinstance(value, str)), "no path of this machine"
    assert not (undisturbed.adapter / "checkpoints").exists()
    export_adapter(undisturbed, workspace / "mine")
    assert sorted(path.name for path in (workspace / "mine").iterdir()) == sorted(run.KEPT)
    assert all(sha256_file(workspace / "mine" / name) == sha256_file(undisturbed.adapter / name) for name in run.KEPT)


def test_history_covers_all_steps_with_evaluations(undisturbed, plain):
    history = undisturbed.history
    assert [row["step"] for row in history if "ce" in row] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in history if "eval_loss" in row] == [3, 6]
    assert all("objective" in row for row in history if "ce" in row) and not any("objective" in row for row in plain.history)
    assert history[-1].keys() == {"step", "kl_to_base", "reply_tokens"} and history[-1]["step"] == 6
    assert history[-1]["kl_to_base"] > 0 and 1 <= history[-1]["reply_tokens"] <= 4


def test_the_adapter_is_the_same_where_nothing_is_measured_on_dev(undisturbed):
    bare = train(validation=[])
    assert undisturbed.fingerprint != bare.fingerprint and content(undisturbed)[0] == content(bare)[0]
    assert [row["step"] for row in bare.history] == [1, 2, 3, 4, 5, 6] and not any("eval_loss" in row for row in bare.history)


@pytest.mark.parametrize("method", ["gem", "label_smoothing", "entropy", "tofu", "deviation", "lora_all", "lora_long", "rft"])
def test_each_peer_trains_and_is_another_run_than_lora(method, plain):
    trained = train(method, None, records=THREE)
    steps = [row for row in trained.history if "ce" in row]
    assert [row["step"] for row in steps] == list(range(1, 9 if method == "lora_long" else 7))
    assert all(np.isfinite(row["ce"]) for row in steps)
    assert [row["step"] for row in steps if "pool" in row] == ([4, 5, 6] if method == "rft" else [])
    assert trained.fingerprint != plain.fingerprint
    # A random model says nothing that is valid: the pool of rft stays empty, and references are trained on.
    assert (content(trained)[0] == content(plain)[0]) == (method == "rft")


@pytest.mark.parametrize("method", ["gated", "reward", "passk", "poly_epo"])
def test_each_objective_trains(method):
    assert sum("objective" in row for row in train(method, 3.0).history) > 0


def test_the_way_of_a_gpu_gives_the_same_run_up_to_rounding(undisturbed, monkeypatch):
    """Nothing here has a GPU: what is run is the layout and the batches that one gets."""
    monkeypatch.setattr(run, "environment", lambda: {"gpu": "none"})
    monkeypatch.setattr(run, "best_device", lambda: "cuda")
    monkeypatch.setattr(run, "rows_at_once", lambda rows: 8 * rows)
    layouts, original = [], run.PolychromicTrainer.__init__
    monkeypatch.setattr(run.PolychromicTrainer, "__init__", lambda *a, **k: (layouts.append(k["layout"]), original(*a, **k))[1])
    theirs = train()
    assert layouts == ["packed"] and theirs.fingerprint != undisturbed.fingerprint
    for one, other in zip(undisturbed.history, theirs.history, strict=True):
        assert one.keys() == other.keys() and other == pytest.approx(one, rel=1e-3, abs=1e-5)


# the distance from the base model, against the KL between the distributions of whole replies, every reply enumerated

V, END = 5, 4
PROMPTS = [[1, 3, 2], [2], [1, 3, 1, 1]]


@torch.no_grad()
def exact(model, horizon: int) -> tuple[float, float]:
    """Mean over prompts of sum over replies of p log(p / p_base), and the mean length."""
    replies = (
        [(END,), *((a, b) for a, b in itertools.product(range(V), repeat=2) if a != END)] if horizon == 2 else [(a,) for a in range(V)]
    )
    divergence, length = 0.0, 0.0
    for prompt in PROMPTS:
        log_p = torch.stack([plain_log_probs(model, prompt, reply).sum() for reply in replies]).double()
        with model.disable_adapter():
            log_q = torch.stack([plain_log_probs(model, prompt, reply).sum() for reply in replies]).double()
        assert log_p.exp().sum().item() == pytest.approx(1.0, abs=1e-5)
        divergence += float((log_p.exp() * (log_p - log_q)).sum()) / len(PROMPTS)
        length += float((log_p.exp() * torch.tensor([len(reply) for reply in replies])).sum()) / len(PROMPTS)
    return divergence, length


@pytest.mark.parametrize(("kind", "horizon", "n"), [("llama", 2, 3000), ("qwen3", 2, 3000), ("llama", 1, 1)])
def test_mean_over_samples_is_the_divergence_of_whole_replies(kind, horizon, n):
    """A horizon of one needs no sampling and is exact."""
    model = make_adapted_model(kind, V, perturb=0.3)
    expected, length = exact(model, horizon)
    assert expected > 0.02, "an adapter that moved little tests little"
    found = kl_to_base(model, Symbols(V), PROMPTS, n=n, horizon=horizon, seed=0, prompts_at_once=2)
    assert found["kl_to_base"] == pytest.approx(expected, rel=0.03 if n > 1 else 1e-4)
    assert found["reply_tokens"] == pytest.approx(length, rel=0.01)
    still = make_adapted_model(kind, V, perturb=0.0)
    assert kl_to_base(still, Symbols(V), PROMPTS, n=20, horizon=4, seed=0)["kl_to_base"] == pytest.approx(0.0, abs=1e-6)


def test_it_repeats_whatever_runs_at_once_and_leaves_mode_and_adapter_as_they_were():
    model, prompts = make_adapted_model("llama", V, perturb=0.3).train(), PROMPTS * (run.STREAM // len(PROMPTS) + 2)
    measured = lambda seed, **at_once: kl_to_base(model, Symbols(V), prompts, n=3, horizon=4, seed=seed, **at_once)
    before, first = plain_log_probs(model, PROMPTS[0], [1, 2]), measured(1)
    assert model.training and torch.equal(plain_log_probs(model, PROMPTS[0], [1, 2]), before)
    assert measured(1) == first != measured(2)
    model.eval()
    assert measured(1) == first == pytest.approx(measured(1, prompts_at_once=4 * run.STREAM), rel=1e-5) and not model.training


# what identifies a run


def test_a_finished_run_is_not_trained_again_and_repeats_elsewhere(undisturbed, monkeypatch):
    first = train()
    assert content(first) == content(undisturbed)
    steps = count_steps(monkeypatch)
    assert train() == first and steps == [] and content(first) == content(undisturbed)


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(run, "_train", lambda *arguments: [])
    monkeypatch.setattr(run, "kl_to_base", lambda *arguments: {})


def train_as(fields: dict, **sections) -> str:
    """Fingerprint of a method of the test's own: `fields` over those of polychromic."""
    values = small_values()
    for key, section in sections.items():
        values[key] = values[key] | section
    values["methods"]["own"] = {"prompt": "zero_shot", "adapter": "lora", "objective": "coverage", "lam": 3.0} | fields
    params = Params.model_validate(values)
    own = params.methods["own"]
    return train_adapter(params, get_domain("listqa"), own, own.lam, 0, TRAIN, DEV, Readers()).fingerprint


@pytest.mark.usefixtures("no_training")
def test_the_fingerprint_holds_what_numbers_depend_on_and_nothing_else():
    base, lora, rft = train().fingerprint, train("lora", None).fingerprint, train("rft", None).fingerprint
    valid = [listqa_record(0, valid=["red zorb"]), *TRAIN[1:]]  # changes which rollouts are good, though not a training row
    settings = [  # as arguments of `train`
        dict(seed=1), dict(lam=0.3), dict(threads=2), dict(records=TRAIN[1:]), dict(validation=DEV[1:]), dict(records=valid),
        dict(listqa={"steps": 7}), dict(listqa={"max_new_tokens": 5}), dict(listqa={"rollouts": {"share": 0.5}}),
        dict(listqa={"rollouts": {"every": 2}}), dict(train={"learning_rate": 1e-3}), dict(lora={"rank": 3}), dict(objective={"n": 4}),
        dict(objective={"baseline": "running"}), dict(method="polychromic_plain"), dict(method="rft", lam=None, records=valid),
    ]  # fmt: skip
    none = {"objective": "none", "lam": None}
    methods = [  # as fields of a method
        {"objective": "reward"}, {"objective": "passk", "subset": 2}, {"objective": "passk", "subset": 3}, {"baseline": "others"},
        {"similarity": "semantic"}, {"loss": "gem", "settings": {"beta": 0.7}}, {"loss": "gem", "settings": {"beta": 0.8}},
        {"budget": 2.0}, {"targets": "valid"}, none | {"self_training": {"after": 0.6}},
    ]  # fmt: skip
    others = [train(**changes).fingerprint for changes in settings] + [train_as(fields) for fields in methods]
    others.append(train_as(none | {"self_training": {"after": 0.5}}, listqa={"pool_samples": 5}))
    assert len({base, lora, rft, *others}) == len(others) + 3

    assert train(train={"checkpoint_every": 3}, analysis={"seed": 5}, sampling={"n": 30}).fingerprint == base
    same = ({}, {"baseline": small_params().objective.baseline}, {"scale": 0.5, "min_p": 0.1})  # name, what it says anyway, decoding
    assert all(train_as(fields) == base for fields in same)
    assert train("lora_min_p", None).fingerprint == train("lora_scaled", None).fingerprint == lora
    assert train("lora", None, objective={"n": 4}, listqa={"rollouts": {"share": 0.5}, "pool_samples": 5}).fingerprint == lora
    assert train("lora", None, records=[listqa_record(0, valid=["x"]), *TRAIN[1:]]).fingerprint == lora


def test_the_code_that_changes_numbers_is_in_the_fingerprint(monkeypatch, tmp_path):
    names = numeric_code("listqa")
    shutil.copytree(cache.PACKAGE, tmp_path / "copy")
    monkeypatch.setattr(cache, "PACKAGE", tmp_path / "copy")
    seen = [cache.code_fingerprint(names)]
    of_data = ("data/domains/listqa/__init__.py", "data/text.py")
    for name in ("method/objective.py", "train/trainer.py", "models/prompts.py", "base/seeds.py", *of_data):
        with (tmp_path / "copy" / name).open("a") as file:
            file.write("\n")
        seen.append(cache.code_fingerprint(names))
    assert len(set(seen)) == 7 and set(names) ^ set(numeric_code("replies")) == {"data/domains/listqa", "data/domains/replies"}


@pytest.mark.usefixtures("no_training")
def test_a_second_trainer_of_the_same_adapter_is_refused_while_the_first_runs(monkeypatch):
    """It waits for an hour, the length of a training run; here for a moment."""
    folder, asked = train().adapter, []
    monkeypatch.setattr(run, "single_writer", lambda target, wait_seconds: asked.append(wait_seconds) or single_writer(target, 0.1))
    with single_writer(folder):
        with pytest.raises(PolychromicError, match="another process is writing it"):
            train()
        assert train(seed=1).adapter != folder, "another adapter is no business of that lock"
    assert train().adapter == folder and asked == [3600] * 3


@pytest.mark.parametrize(
    ("die_at", "resumed", "cut"),
    [(1, [0, 1, 2, 3, 4, 5], False), (3, [2, 3, 4, 5], False), (5, [4, 5], False), (3, [0, 1, 2, 3, 4, 5], True)],
)
def test_a_killed_run_resumes_and_ends_with_the_same_bytes(die_at, resumed, cut, undisturbed, monkeypatch, workspace):
    """cut: Trainer writes trainer_state.json in place, so that a kill can leave half of it; that checkpoint is discarded."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        count_steps(patch, die_at)
        train()
    assert not list((workspace / "cache").rglob("manifest.json"))
    if cut:
        (state,) = (workspace / "cache").rglob("trainer_state.json")
        state.write_text(state.read_text()[:100])
    torch.manual_seed(4321)  # a new process has another global state
    steps = count_steps(monkeypatch)
    assert content(train()) == content(undisturbed) and steps == resumed


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
    (half,) = (path for path in (workspace / "cache").rglob("checkpoint-4") if not (path / "trainer_state.json").exists())
    assert (half / WEIGHTS).exists()
    steps = count_steps(monkeypatch)
    assert content(train()) == content(undisturbed) and steps == [2, 3, 4, 5]


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
    assert content(train()) == content(undisturbed)


# prompts without a reference

BARE = [listqa_record(i, references=["POISON"]) for i in range(9, 12)]


def bare_params(**fields) -> dict:
    clipped = small_values()["methods"]["polychromic"] | {"clip": 0.1, "unlabelled": True}
    return {"methods": small_values()["methods"] | {"bare": clipped | fields}}


def watch_quality(monkeypatch) -> set:
    """Prompts that quality was asked about; no record without a reference shows one."""
    asked, domain = set(), get_domain("listqa")

    def quality(record, replies, readers):
        assert "POISON" not in record.references and record.valid
        asked.add(record.prompt)
        return np.array([float(len(reply) % 2) for reply in replies])

    monkeypatch.setattr(domain, "training_quality", quality, raising=False)
    return asked


def test_rollouts_of_prompts_without_a_reference_are_judged_by_their_own_record_and_change_nothing_at_lambda_0(monkeypatch):
    asked = watch_quality(monkeypatch)
    still, lora = train("bare", 0.0, unlabelled=BARE, **bare_params()), train("lora", None)
    assert sha256_file(still.adapter / WEIGHTS) == sha256_file(lora.adapter / WEIGHTS)
    assert asked & {record.prompt for record in BARE} and asked <= {record.prompt for record in [*TRAIN, *BARE]}
    some, none = train("bare", 3.0, unlabelled=BARE, **bare_params()), train("bare", 3.0, **bare_params(unlabelled=False))
    assert len({sha256_file(one.adapter / WEIGHTS) for one in (still, some, none)}) == 3
    assert "POISON" not in (some.adapter / "manifest.json").read_text()


def test_what_is_unlabelled_counts_where_it_is_used_and_its_references_never(monkeypatch):
    monkeypatch.setattr(run, "_train", lambda *_: [{"step": 1}])
    monkeypatch.setattr(run, "kl_to_base", lambda *_: {})
    other = [record.model_copy(update={"references": ["another"]}) for record in BARE]
    of = lambda records, **fields: train("bare", 3.0, unlabelled=records, **bare_params(**fields)).fingerprint
    assert of(BARE) == of(other) != of(BARE[1:]) != of(())
    assert of(BARE, unlabelled=False) == of((), unlabelled=False)
    checked = [BARE[0].model_copy(update={"valid": ["other"]}), *BARE[1:]]
    assert of(BARE) != of(checked), "the checker"


def test_a_pool_has_prompts_without_a_reference(monkeypatch):
    asked = watch_quality(monkeypatch)
    method = {"clip": None, "objective": "none", "lam": None, "self_training": {"after": 0.2}}
    found = train("bare", None, unlabelled=BARE, **bare_params(**method))
    assert asked >= {record.prompt for record in BARE} and found.history[-1]["step"] == 6


@pytest.mark.parametrize("fields", [{"clip": None}, {"clip": None, "self_training": {"after": 0.5}}])
def test_a_method_that_cannot_use_them_is_refused(fields):
    with pytest.raises(ValueError, match="unlabelled needs clip"):
        small_params(**bare_params(**fields))
