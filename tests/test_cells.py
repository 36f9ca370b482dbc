"""A cell on tiny models: what it writes, that it repeats, and that a killed one goes on where it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from polychromic import cells
from polychromic.cells import Workbench, cell_name, load_split, resolve, run_cell, sampled_splits
from polychromic.data import split as splitting
from polychromic.errors import PolychromicError, UsageError
from polychromic.io import read_json, read_jsonl, write_json
from polychromic.training import run as training_run
from tests.workspace import make_models, small_params, write_listqa


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A workspace with models, data and split."""
    folder = tmp_path_factory.mktemp("cells")
    make_models(folder)
    write_listqa(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        params = small_params()
        splitting.run("listqa", params.listqa.sizes.model_dump(), 0, 1.0)
    return folder


@pytest.fixture(autouse=True)
def workspace(made, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(made)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    return tmp_path


def rows_of(path: Path) -> list[dict]:
    return [row for _, row in read_jsonl(path)]


def test_names():
    assert cell_name("lora", None) == "lora" and cell_name("polychromic", 0.3) == "polychromic-0.3"


def test_resolve_gives_the_weight_that_the_method_trains_with():
    params = small_params()
    assert resolve(params, "polychromic", 0.3) == (params.methods["polychromic"], 0.3)
    assert resolve(params, "polychromic_plain", None)[1] == 0.5
    assert resolve(params, "lora", None)[1] is None
    for name, lam, text in (("dora", None, "does not exist"), ("polychromic", None, "needs a weight"), ("lora", 1.0, "takes no --lam")):
        with pytest.raises(UsageError, match=text):
            resolve(params, name, lam)


def test_test_prompts_stay_sealed_until_params_open_them():
    assert sampled_splits(small_params()) == ("dev",)
    assert sampled_splits(small_params(analysis={"split": "test"})) == ("dev", "test")


def test_a_split_of_other_data_is_refused(made):
    before = read_json("results/listqa/split.json")
    changed = {**before, "splits": {**before["splits"], "dev": [*before["splits"]["dev"], "listqa-gone"]}}
    write_json("results/listqa/split.json", changed)
    try:
        with pytest.raises(PolychromicError, match="1 ids, 'listqa-gone' first, are not in data/listqa.jsonl"):
            load_split("listqa")
    finally:
        write_json("results/listqa/split.json", before)


def test_exemplars_come_from_training_data():
    bench = Workbench(small_params(), "listqa", "few_shot", None)
    _, tokenizer, *_ = bench.system(0)
    ids = bench.encoded_prompts(tokenizer, bench.splits["dev"])
    texts = [tokenizer.decode(prompt) for prompt in ids]
    for text, record in zip(texts, bench.splits["dev"], strict=True):
        assert text.count("<|im_start|>user") == 3 and text.rindex(record.prompt) == text.index(record.prompt)
        shown = [r for r in bench.splits["train"] if r.prompt in text]
        assert len(shown) == 2 and all(r.references[0] in text for r in shown)
        assert not any(r.prompt in text for r in bench.splits["dev"] + bench.splits["test"] if r != record)


def test_a_trained_cell_holds_every_seed_temperature_and_dev_prompt(workspace):
    params = small_params()
    run_cell(params, "listqa", "polychromic", 3.0, workspace / "out")
    rows, dev = rows_of(workspace / "out" / "samples.jsonl.gz"), [record.id for record in load_split("listqa")["dev"]]
    expected = [(seed, temperature, prompt) for seed in (0, 1) for temperature in (0.5, 1.0) for prompt in dev]
    assert [(row["seed"], row["temperature"], row["id"]) for row in rows] == expected
    assert {row["split"] for row in rows} == {"dev"}
    assert all(len(row["samples"]) == len(row["tokens"]) == len(row["finished"]) == 10 for row in rows)
    history = rows_of(workspace / "out" / "history.jsonl")
    assert [(row["seed"], row["step"]) for row in history if "ce" in row] == [(seed, step) for seed in (0, 1) for step in range(1, 7)]
    assert all("objective" in row for row in history if "ce" in row)


def test_a_prompted_cell_has_one_seed_and_no_history(workspace):
    run_cell(small_params(), "listqa", "zero_shot", None, workspace / "out")
    rows = rows_of(workspace / "out" / "samples.jsonl.gz")
    assert {row["seed"] for row in rows} == {0} and len(rows) == 2 * 4
    assert (workspace / "out" / "history.jsonl").read_bytes() == b""


def test_test_prompts_are_sampled_once_opened(workspace):
    run_cell(small_params(analysis={"split": "test"}), "listqa", "zero_shot", None, workspace / "out")
    rows, splits = rows_of(workspace / "out" / "samples.jsonl.gz"), load_split("listqa")
    for name in ("dev", "test"):
        assert {row["id"] for row in rows if row["split"] == name} == {record.id for record in splits[name]}
    assert {row["split"] for row in rows} == {"dev", "test"}


def test_a_killed_cell_goes_on_and_ends_with_the_same_bytes(workspace, monkeypatch):
    """Killed at the third of four samplings (seed 1): nothing is written; the second run samples what lacks, and trains nothing."""
    params = small_params()
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(workspace / "other"))
    run_cell(params, "listqa", "lora", None, workspace / "undisturbed")
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(workspace / "cache"))
    sample_prompts, calls = cells.sample_prompts, []

    def dies(*args, **kwargs):
        calls.append(kwargs["temperature"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return sample_prompts(*args, **kwargs)

    monkeypatch.setattr(cells, "sample_prompts", dies)
    with pytest.raises(KeyboardInterrupt):
        run_cell(params, "listqa", "lora", None, workspace / "out")
    assert not (workspace / "out").exists()
    monkeypatch.setattr(training_run, "_train", lambda *a: pytest.fail("trained again"))
    run_cell(params, "listqa", "lora", None, workspace / "out")
    assert len(calls) == 3 + 2
    for name in ("samples.jsonl.gz", "history.jsonl"):
        assert (workspace / "out" / name).read_bytes() == (workspace / "undisturbed" / name).read_bytes()
