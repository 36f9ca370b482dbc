"""The opening of test on tiny models: what was declared is sampled and scored there, nothing else, and only once it is sealed."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.hardware import cpu_model
from polychromic.base.io import read_json, read_jsonl, write_json, write_jsonl
from polychromic.data import split as splitting
from polychromic.params import Params
from polychromic.provenance.intervals import SCORE_TEST
from polychromic.sample import cells, opening
from polychromic.sample.cells import run_cell
from polychromic.sample.opening import opened_prompts, sample_test, samples_file, score_test
from polychromic.train import adapter as training_run
from tests.workspace import listqa_record, make_models, small_params, small_plan, small_values, write_listqa


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Models, data and split, in no Git repository: the seal says so and lets everything be."""
    folder = tmp_path_factory.mktemp("opening")
    make_models(folder)
    write_listqa(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        splitting.run("listqa", small_params().listqa.sizes.model_dump(), 0, 1.0)
    return folder


@pytest.fixture
def workspace(made, tmp_path, monkeypatch) -> Path:
    """A copy of what was made, with a cache of its own."""
    for name in ("model", "encoder", "data"):
        (tmp_path / name).symlink_to(made / name)
    write_json(tmp_path / "results" / "listqa" / "split.json", read_json(made / "results" / "listqa" / "split.json"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    return tmp_path


def planned(**changes) -> Params:
    """Small params whose plan for listqa has `changes`."""
    values = small_values()
    values["analysis"]["test"]["listqa"] = small_plan() | changes
    return Params.model_validate(values)


def rows_of(path: Path) -> list[dict]:
    return [row for _, row in read_jsonl(path)]


def split_ids(name: str) -> list[str]:
    return read_json("results/listqa/split.json")["splits"][name]


def test_a_system_is_sampled_with_its_seeds_and_temperatures_on_test_alone(workspace):
    """polychromic has seed 2, which no cell of dev has."""
    sample_test(planned(), "listqa", "polychromic")
    rows = rows_of(samples_file(planned(), "listqa", "polychromic"))
    test = split_ids("test")
    assert [(row["seed"], row["temperature"], row["id"]) for row in rows] == [(seed, 0.7, one) for seed in (0, 1, 2) for one in test]
    assert {row["split"] for row in rows} == {"test"} and not set(test) & set(split_ids("dev"))
    assert all(len(row["samples"]) == 10 for row in rows)
    assert {row["machine"] for row in rows} == {f"{cpu_model()}, torch {version('torch')}"}


def test_every_seed_is_asked_at_every_temperature_in_the_order_declared(workspace):
    sample_test(planned(), "listqa", "lora")
    rows = rows_of(Path("results/listqa/test/lora.jsonl.gz"))
    assert list(dict.fromkeys((row["seed"], row["temperature"]) for row in rows)) == [(0, 1.0), (0, 0.5), (1, 1.0), (1, 0.5)]


def test_test_trains_its_own_adapters_without_a_look_at_dev_and_dev_is_as_it_was(workspace, monkeypatch):
    run_cell(planned(), "listqa", "polychromic", 3.0, workspace / "dev")
    trained, original = [], training_run._train
    monkeypatch.setattr(training_run, "_train", lambda *a: (trained.append(a), original(*a))[1])
    sample_test(planned(), "listqa", "polychromic")
    assert [(seed, dev_rows) for *_, seed, _, dev_rows, _ in trained] == [(0, []), (1, []), (2, [])]
    run_cell(planned(), "listqa", "polychromic", 3.0, workspace / "again")
    assert len(trained) == 3 and (workspace / "dev" / "samples.jsonl.gz").read_bytes() == (
        workspace / "again" / "samples.jsonl.gz"
    ).read_bytes()


@pytest.mark.parametrize("declared", [None, "float32", "bfloat16"])
def test_the_declared_precision_is_that_of_training_and_sampling(workspace, monkeypatch, declared):
    loaded, original = [], cells.load_causal_lm
    for module in (cells, training_run):
        monkeypatch.setattr(module, "load_causal_lm", lambda path, precision, *a: (loaded.append(precision), original(path, precision, *a))[1])
    params = planned(precision=declared)
    sample_test(params, "listqa", "lora")
    assert set(loaded) == {declared or params.train.precision} and len(loaded) > 1
    assert {params.for_test("listqa").sampling.precision} == set(loaded)


def test_the_top_level_weight_and_seeds_say_nothing_about_test(workspace):
    path = Path("results/listqa/test/polychromic.jsonl.gz")
    sample_test(planned(), "listqa", "polychromic")
    before = path.read_bytes()
    path.unlink()
    sample_test(planned().model_copy(update={"lam": 0.3, "seeds": [7]}), "listqa", "polychromic")
    assert path.read_bytes() == before


def test_the_declared_weight_is_the_one_that_trains(workspace, monkeypatch):
    weights = []
    monkeypatch.setattr(opening, "Workbench", lambda params, domain, name, lam, validate: weights.append(lam) or pytest.fail("sampled"))
    with pytest.raises(pytest.fail.Exception):
        sample_test(planned(systems=small_plan()["systems"] | {"polychromic": {"lam": 0.3, "seeds": 1, "temperatures": [1.0]}}), "listqa",
                    "polychromic")  # fmt: skip
    assert weights == [0.3]


def test_a_system_that_is_not_declared_is_refused(workspace):
    with pytest.raises(UsageError, match=r"test\.listqa\.systems has no 'rft'\. Declared: zero_shot, few_shot, lora, polychromic"):
        sample_test(planned(), "listqa", "rft")
    values = small_values() | {"domains": ["listqa"]}
    values["analysis"]["test"] = {"listqa": small_plan()}
    with pytest.raises(UsageError, match=r"analysis\.test has no 'replies'\. Declared: listqa\. Declare its systems and contrasts first"):
        sample_test(Params.model_validate(values), "replies", "lora")


# which prompts


def test_all_prompts_are_opened_unless_a_number_is_declared():
    records = [listqa_record(number) for number in range(14)]
    assert opened_prompts(planned(), "listqa", records) == records
    assert opened_prompts(planned(prompts=14), "listqa", records) == opened_prompts(planned(prompts=99), "listqa", records) == records


def test_a_number_of_prompts_is_drawn_with_the_seed_and_kept_in_order():
    records = [listqa_record(number) for number in range(14)]
    drawn = opened_prompts(planned(prompts=6), "listqa", records)
    assert len(drawn) == 6 and drawn == [record for record in records if record in drawn]
    assert drawn == opened_prompts(planned(prompts=6), "listqa", records) != records[:6]
    other = planned(prompts=6)
    other = other.model_copy(update={"analysis": other.analysis.model_copy(update={"seed": 1})})
    assert opened_prompts(other, "listqa", records) != drawn


def test_no_stage_reads_more_prompts_than_are_opened(workspace):
    params = planned(prompts=2)
    for name in small_plan()["systems"]:
        sample_test(params, "listqa", name)
        assert len({row["id"] for row in rows_of(samples_file(params, "listqa", name))}) == 2
    score_test(params, "listqa")
    assert len({row["id"] for row in rows_of(Path("results/listqa/test-scores.jsonl.gz"))}) == 2
    with pytest.raises(PolychromicError, match=r"test/zero_shot\.jsonl\.gz: its prompts are not those of the split \(2 differ"):
        score_test(planned(), "listqa")


# scores


@pytest.fixture
def sampled(workspace) -> Path:
    """Replies in place of samples, each right in one of ten drafts more than the last system's."""
    for number, (name, system) in enumerate(small_plan()["systems"].items(), start=2):
        fixed = {"split": "test", "tokens": [3] * 10, "finished": [True] * 10, "machine": f"machine {number > 2}"}
        rows = [
            {**fixed, "seed": seed, "temperature": temperature, "id": one,
             "samples": [f"red {one.removeprefix('listqa-')}"] * number + ["no"] * (10 - number)}
            for seed in range(system["seeds"]) for temperature in system["temperatures"] for one in split_ids("test")
        ]  # fmt: skip
        write_jsonl(workspace / "results" / "listqa" / "test" / f"{name}.jsonl.gz", rows)
    return workspace


def test_every_declared_system_is_scored_and_no_file_beside_them(sampled):
    write_jsonl(sampled / "results" / "listqa" / "test" / "rft.jsonl.gz", [{"id": "left over from another run"}])
    score_test(planned(), "listqa")
    rows = rows_of(sampled / "results" / "listqa" / "test-scores.jsonl.gz")
    assert list(dict.fromkeys((row["method"], row["lambda"]) for row in rows)) == [
        ("zero_shot", None), ("few_shot", None), ("lora", None), ("polychromic", 3.0)
    ]  # fmt: skip
    assert len(rows) == 4 * (1 + 1 + 2 * 2 + 3) and {row["split"] for row in rows} == {"test"}
    for number, name in enumerate(small_plan()["systems"], start=2):
        assert {row["metrics"]["pass@1"] for row in rows if row["method"] == name} == {number / 10}
    assert set(rows[0]["metrics"]) == {*planned().listqa.metrics, "objective"}
    assert read_json("results/listqa/test-machines.json") == {
        "machine False": ["zero_shot"], "machine True": ["few_shot", "lora", "polychromic"]
    }  # fmt: skip
    assert not (sampled / "results" / "listqa" / "scores.jsonl.gz").exists(), "that is dev's"


def test_a_system_without_samples_is_named(sampled):
    (sampled / "results" / "listqa" / "test" / "few_shot.jsonl.gz").unlink()
    with pytest.raises(PolychromicError, match=r"test/few_shot\.jsonl\.gz: test was not sampled for few_shot\. Run `dvc repro`"):
        score_test(planned(), "listqa")
    assert not (sampled / "results" / "listqa" / "test-scores.jsonl.gz").exists()


def test_an_audit_scores_one_system_as_the_pipeline_scores_all(workspace, monkeypatch):
    params = planned()
    for name in params.test_plan("listqa").systems:
        sample_test(params, "listqa", name)
    score_test(params, "listqa")
    scores = workspace / "results" / "listqa" / "test-scores.jsonl.gz"
    mine = [row for row in rows_of(scores) if row["method"] == "polychromic"]
    scores.unlink()
    monkeypatch.setattr(sys, "argv", ["-c", "listqa", "polychromic"])
    monkeypatch.setattr("polychromic.params.load_params", lambda: params)
    exec(SCORE_TEST, {})  # noqa: S102 - what an audit gives to another Python
    assert mine and rows_of(scores) == mine


@pytest.mark.parametrize("stage", [lambda: sample_test(planned(), "listqa", "zero_shot"), lambda: score_test(planned(), "listqa")])
def test_an_analysis_that_is_not_sealed_opens_nothing(stage, workspace, monkeypatch):
    def refuse(root: Path) -> None:
        assert root == Path()
        raise PolychromicError("not sealed")

    monkeypatch.setattr(opening, "check_sealed", refuse)
    monkeypatch.setattr(cells, "sample_prompts", lambda *_, **__: pytest.fail("sampled"))
    with pytest.raises(PolychromicError, match="not sealed"):
        stage()
    assert not list(workspace.glob("results/listqa/test*")) and not (workspace / "cache").exists()
