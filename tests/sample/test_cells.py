"""A cell on tiny models: what it writes, that it repeats, and that a killed one goes on where it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from polychromic.base.cache import environment
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.hardware import cpu_model
from polychromic.base.io import read_json, read_jsonl, write_json
from polychromic.data.records import load_split
from polychromic.models import prompts
from polychromic.params import Params
from polychromic.sample import cells
from polychromic.sample import prompts as opened
from polychromic.sample.cells import Workbench, sample_cell, unlist
from polychromic.sample.prompts import prompts_of
from polychromic.train import adapter as training_run
from tests.workspace import listqa_record, make_models, small_params, small_plan, small_values, split_listqa, write_listqa


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A workspace with models, data and split."""
    folder = tmp_path_factory.mktemp("cells")
    make_models(folder)
    write_listqa(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        split_listqa(small_params())
    return folder


@pytest.fixture(autouse=True)
def workspace(made, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(made)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    return tmp_path


def rows_of(path: Path) -> list[dict]:
    return [row for _, row in read_jsonl(path)]


def bench(params: Params, method: str, lam: float | None = None) -> Workbench:
    return Workbench(params, "listqa", params.cell("listqa", "dev", method, lam))


def run_cell(params: Params, method: str, lam: float | None, out: Path, split: str = "dev") -> list[dict]:
    """The rows of the cell, which lie in `out`."""
    sample_cell(params, "listqa", split, params.cell("listqa", split, method, lam), out)
    return rows_of(out / "samples.jsonl.gz")


def test_a_split_of_other_data_is_refused(workspace, monkeypatch):
    split = read_json("results/listqa/split.json")
    write_listqa(workspace)
    write_json(workspace / "results/listqa/split.json", {**split, "splits": {**split["splits"], "dev": ["listqa-gone"]}})
    monkeypatch.chdir(workspace)
    with pytest.raises(PolychromicError, match="1 ids, 'listqa-gone' first, are not in data/listqa.jsonl"):
        load_split("listqa")


def test_exemplars_come_from_training_data():
    bench_ = bench(small_params(), "few_shot")
    _, tokenizer, *_ = bench_.system(0)
    ids = bench_.encoded_prompts(tokenizer, bench_.splits["dev"])
    texts = [tokenizer.decode(prompt) for prompt in ids]
    for text, record in zip(texts, bench_.splits["dev"], strict=True):
        assert text.count("<|im_start|>user") == 3 and text.rindex(record.prompt) == text.index(record.prompt)
        shown = [r for r in bench_.splits["train"] if r.prompt in text]
        assert len(shown) == 2 and all(r.references[0] in text for r in shown)
        assert not any(r.prompt in text for r in bench_.splits["dev"] + bench_.splits["test"] if r != record)


def test_a_trained_cell_holds_every_seed_temperature_and_dev_prompt(workspace):
    params = small_params()
    run_cell(params, "polychromic", 3.0, workspace / "out")
    rows, dev = rows_of(workspace / "out" / "samples.jsonl.gz"), [record.id for record in load_split("listqa")["dev"]]
    expected = [(seed, temperature, prompt) for seed in (0, 1) for temperature in (0.5, 1.0) for prompt in dev]
    assert [(row["seed"], row["temperature"], row["id"]) for row in rows] == expected
    assert {row["split"] for row in rows} == {"dev"}
    assert all(len(row["samples"]) == len(row["tokens"]) == len(row["finished"]) == 10 for row in rows)
    history = rows_of(workspace / "out" / "history.jsonl")
    last = [row for row in history if "kl_to_base" in row]
    assert [(row["seed"], row["step"]) for row in last] == [(0, 6), (1, 6)] and all(row["kl_to_base"] > 0 for row in last)
    assert [(row["seed"], row["step"]) for row in history if "ce" in row] == [(seed, step) for seed in (0, 1) for step in range(1, 7)]
    assert all("objective" in row for row in history if "ce" in row)


def test_a_method_may_have_fewer_seeds_and_a_prompt_has_one_and_no_history(workspace, monkeypatch):
    run_cell(small_params(), "zero_shot", None, workspace / "prompted")
    rows = rows_of(workspace / "prompted" / "samples.jsonl.gz")
    assert {row["seed"] for row in rows} == {0} and len(rows) == 2 * 4 and not (workspace / "prompted" / "history.jsonl").exists()
    ran = []
    monkeypatch.setattr(cells, "sample_seed", lambda bench, seed, *_: (ran.append(seed), ([], []))[1])
    values = small_values() | {"seeds": [4, 2, 9]}
    values["methods"]["gem"]["seeds"] = 2
    run_cell(Params.model_validate(values), "gem", None, workspace / "out")
    assert ran == [4, 2]


def test_a_killed_cell_goes_on_and_ends_with_the_same_bytes(workspace, monkeypatch):
    """Killed at the third of four samplings (seed 1): nothing is written; the second run samples what lacks, and trains nothing."""
    params = small_params()
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(workspace / "other"))
    run_cell(params, "lora", None, workspace / "undisturbed")
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(workspace / "cache"))
    sample_prompts, calls = cells.sample_prompts, []

    def dies(*args, **kwargs):
        calls.append(kwargs["temperature"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return sample_prompts(*args, **kwargs)

    monkeypatch.setattr(cells, "sample_prompts", dies)
    with pytest.raises(KeyboardInterrupt):
        run_cell(params, "lora", None, workspace / "out")
    assert not (workspace / "out").exists()
    monkeypatch.setattr(training_run, "_train", lambda *a, **k: pytest.fail("trained again"))
    run_cell(params, "lora", None, workspace / "out")
    assert len(calls) == 3 + 2
    for name in ("samples.jsonl.gz", "history.jsonl"):
        assert (workspace / "out" / name).read_bytes() == (workspace / "undisturbed" / name).read_bytes()


def with_method(name: str, **fields) -> Params:
    """Small params with a method of that name: LoRA as `lora`, one temperature, one seed, and `fields`."""
    values = small_values() | {"seeds": [0]}
    values["listqa"] |= {"temperatures": [1.0]}
    values["methods"] |= {name: {"prompt": "zero_shot", "adapter": "lora"} | fields}
    return Params.model_validate(values)


def samples(params: Params, method: str, out: Path) -> list[list[str]]:
    return [row["samples"] for row in run_cell(params, method, None, out)]


@pytest.fixture
def lora(workspace) -> list[list[str]]:
    return samples(with_method("lora"), "lora", workspace / "lora")


def test_another_way_to_decode_takes_the_adapter_of_lora_and_samples_of_its_own(lora, workspace, monkeypatch):
    monkeypatch.setattr(training_run, "_train", lambda *a, **k: pytest.fail("trained again"))
    drawn, original = [], cells.sample_prompts
    monkeypatch.setattr(cells, "sample_prompts", lambda *a, **k: (drawn.append(k["what"]), original(*a, **k))[1])
    for number, fields in enumerate([{"scale": 1.0, "min_p": 0.0}, {"scale": 50.0}, {"min_p": 0.9}]):
        found = samples(with_method("other", **fields), "other", workspace / "other")
        assert (found == lora) == (number == 0) and len(drawn) == number
        assert (workspace / "other" / "history.jsonl").read_bytes() == (workspace / "lora" / "history.jsonl").read_bytes()


def test_at_scale_0_it_is_the_base_model_and_at_1_lora(lora, workspace, monkeypatch):
    """Logits of the merged models: the change that the adapter makes grows linearly in its weights."""
    monkeypatch.setattr(training_run, "_train", lambda *a, **k: pytest.fail("trained again"))

    def weights(method: str, **fields) -> torch.Tensor:
        model, *_ = bench(with_method(method, **fields), method).system(0)
        return model.model.layers[0].self_attn.q_proj.weight.detach()

    base, full = weights("zero_shot", adapter="none"), weights("lora")
    assert torch.equal(weights("other", scale=0.0), base)
    assert (full - base).abs().max() > 1e-4
    torch.testing.assert_close(weights("other", scale=0.5) - base, (full - base) / 2)
    assert samples(with_method("zero_shot", adapter="none"), "zero_shot", workspace / "base") == samples(
        with_method("other", scale=0.0), "other", workspace / "other"
    )


def test_temperatures_of_its_own_are_of_the_domain_that_they_name(lora, workspace):
    run_cell(with_method("other", temperatures={"replies": [0.1]}), "other", None, workspace / "same")
    assert [row["samples"] for row in rows_of(workspace / "same" / "samples.jsonl.gz")] == lora
    run_cell(with_method("other", temperatures={"listqa": [0.0, 1.0]}), "other", None, workspace / "other")
    rows = rows_of(workspace / "other" / "samples.jsonl.gz")
    assert [row["samples"] for row in rows if row["temperature"] == 1.0] == lora
    assert {len(set(row["samples"])) for row in rows if row["temperature"] == 0.0} == {1}


def test_lists_become_replies_of_one_block_each():
    row = {"samples": ["1. red\n2. blue", "- green\n- red\n- more"], "tokens": [6, 9], "finished": [True, False]}
    assert unlist(row, 2) == {
        "samples": ["red", "blue", "green", "red"],
        "tokens": [3.0, 3.0, 4.5, 4.5],
        "finished": [True, True, False, False],
        "block": 2,
    }
    assert unlist(row, 4)["samples"] == ["red", "blue", "", "", "green", "red", "more", ""]


def test_a_listed_cell_asks_once_for_ten_replies_and_has_their_horizon(workspace, monkeypatch):
    """sampling.n = 12: two lists of ten, each with ten times the tokens of a reply."""
    asked = {}

    def lists(model, tokenizer, encoded, **options):
        asked.update(options, prompts=[tokenizer.decode(ids) for ids in encoded])
        text = "\n".join(f"{i}. answer {i}" for i in range(1, 11))
        return [{"samples": [text, "one"], "tokens": [40, 2], "finished": [True, True]} for _ in encoded]

    monkeypatch.setattr(cells, "sample_prompts", lists)
    values = small_values()
    values["sampling"]["n"] = 12
    run_cell(Params.model_validate(values), "list_prompt", None, workspace / "out")
    assert (asked["n"], asked["max_new_tokens"], asked["min_p"]) == (2, 40, 0.0)
    ask = prompts.variant("listqa", "list").ask.removeprefix(prompts.SLOT)
    assert all(f"{ask}<|im_end|>" in text for text in asked["prompts"])
    for row in rows_of(workspace / "out" / "samples.jsonl.gz"):
        assert row["samples"] == [f"answer {i}" for i in range(1, 11)] + ["one"] + [""] * 9
        assert row["tokens"] == [4.0] * 10 + [0.2] * 10 and row["block"] == 10


def test_a_list_shorter_than_what_is_scored_is_refused(workspace, monkeypatch):
    run_cell(small_params(), "list_prompt", None, workspace / "out")
    rows = rows_of(workspace / "out" / "samples.jsonl.gz")
    assert len(rows) == 2 * 4 and all(len(row["samples"]) == 10 and row["block"] == 10 for row in rows)
    short = prompts.variant("listqa", "list").model_copy(update={"list": 5})
    monkeypatch.setattr(prompts, "variant", lambda domain, name: short)
    with pytest.raises(UsageError, match=r"prompts.yaml: listqa.list asks for lists of 5. .* replies need 10. Raise list."):
        bench(small_params(), "list_prompt")


# test, and messages that many people answered


def planned(**changes) -> Params:
    """Small params whose plan for listqa has `changes`."""
    values = small_values()
    values["analysis"]["test"]["listqa"] = small_plan() | changes
    return Params.model_validate(values)


def test_a_system_is_sampled_on_test_as_it_was_declared(workspace, monkeypatch):
    """polychromic has seed 2, which no cell of dev has; adapters are trained without a look at dev, and dev stays as it was."""
    dev = run_cell(planned(), "polychromic", 3.0, workspace / "dev")
    trained, original = [], training_run._train
    monkeypatch.setattr(training_run, "_train", lambda *a, **k: (trained.append(a), original(*a, **k))[1])
    rows = run_cell(planned(), "polychromic", None, workspace / "test", "test")
    ids = [record.id for record in load_split("listqa")["test"]]
    assert [(row["seed"], row["temperature"], row["id"]) for row in rows] == [
        (seed, heat, one) for seed in (0, 1, 2) for heat in (0.7, 0.5, 0.6, 0.8, 0.9, 1.0) for one in ids
    ]
    assert {row["split"] for row in rows} == {"test"} and {len(row["samples"]) for row in rows} == {10}
    assert {row["machine"] for row in rows} == {f"{cpu_model()}, torch {environment()['torch']}"}
    history = rows_of(workspace / "test" / "history.jsonl")
    assert len(trained) == 3 and {row["seed"] for row in history} == {0, 1, 2} and not any("eval_loss" in row for row in history)
    assert run_cell(planned(), "polychromic", 3.0, workspace / "again") == dev and len(trained) == 3
    other = planned().model_copy(update={"lam": 0.3, "seeds": [7]})
    assert run_cell(other, "polychromic", None, workspace / "other", "test") == rows, "the headline of dev says nothing about test"
    lora = run_cell(planned(), "lora", None, workspace / "lora", "test")
    assert list(dict.fromkeys((row["seed"], row["temperature"]) for row in lora)) == [
        (seed, heat) for seed in (0, 1) for heat in (1.0, 0.5, 0.6, 0.7, 0.8, 0.9)
    ]
    run_cell(planned(), "zero_shot", None, workspace / "prompted", "test")
    assert rows_of(workspace / "prompted" / "history.jsonl") == []


@pytest.mark.parametrize("declared", [None, "float32", "bfloat16"])
def test_the_declared_precision_is_that_of_training_and_sampling(workspace, monkeypatch, declared):
    loaded, original = [], cells.load_causal_lm
    for module in (cells, training_run):
        monkeypatch.setattr(
            module, "load_causal_lm", lambda path, precision, *a: (loaded.append(precision), original(path, precision, *a))[1]
        )
    params = planned(precision=declared)
    run_cell(params, "lora", None, workspace / "out", "test")
    assert set(loaded) == {declared or params.train.precision} and len(loaded) > 1


def test_an_analysis_that_is_not_sealed_opens_nothing(workspace, monkeypatch):
    def refuse(root: Path) -> None:
        assert root == Path()
        raise PolychromicError("not sealed")

    monkeypatch.setattr(opened, "check_sealed", refuse)
    with pytest.raises(PolychromicError, match="not sealed"):
        run_cell(planned(), "zero_shot", None, workspace / "out", "test")
    assert not (workspace / "out").exists() and not (workspace / "cache").exists()
    assert run_cell(planned(), "zero_shot", None, workspace / "out")


def test_of_test_as_many_prompts_are_opened_as_were_declared(monkeypatch):
    records = [listqa_record(number) for number in range(14)]
    monkeypatch.setattr(opened, "load_split", lambda domain: {"test": records, "dev": records[:3], "calibration": []})
    of = lambda params, split="test": prompts_of(params, "listqa", split)
    assert of(planned()) == of(planned(prompts=14)) == of(planned(prompts=99)) == records and of(planned(prompts=2), "dev") == records[:3]
    drawn = of(planned(prompts=6))
    assert len(drawn) == 6 and drawn == [record for record in records if record in drawn] != records[:6]
    other = planned(prompts=6)
    other = other.model_copy(update={"analysis": other.analysis.model_copy(update={"seed": 1})})
    assert of(planned(prompts=6)) == drawn != of(other)
    with pytest.raises(UsageError, match="domain 'listqa' has no prompts on calibration"):
        of(planned(), "calibration")


def test_messages_that_many_people_answered_are_answered_at_the_policys_temperature(workspace, monkeypatch):
    values = small_values()
    values["listqa"]["people"] = ["few_shot", "lora"]
    params, records = Params.model_validate(values), load_split("listqa")["dev"]
    monkeypatch.setattr(opened, "load_split", lambda domain: {"calibration": records, "dev": records})
    rows = run_cell(params, "lora", None, workspace / "out", "calibration")
    assert {(row["temperature"], row["split"]) for row in rows} == {(1.0, "calibration")}
    at_one = [row["samples"] for row in run_cell(params, "lora", None, workspace / "dev") if row["temperature"] == 1.0]
    assert [row["samples"] for row in rows] == at_one, "the adapters of dev, drawn as there"
    with pytest.raises(UsageError, match=r"listqa\.people has no 'zero_shot'"):
        run_cell(params, "zero_shot", None, workspace / "none", "calibration")
