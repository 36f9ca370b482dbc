"""Each benchmark through its main() on tiny models: what it writes, and that its ratios are those of its raw numbers."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from benchmarks import calibration, gradient_variance, sampler, step_cost
from benchmarks.common import generate_replies, relative
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_json
from polychromic.data.domains.listqa import ListQA
from polychromic.method.advantages import BASELINES, BIASED
from polychromic.params import load_params
from polychromic.sample.cells import Workbench
from tests.workspace import REPOSITORY, make_models, small_values, split_listqa, write_listqa, write_params

OURS = {"polychromic_full": {"share": 1.0}, "polychromic_third": {"share": 0.5, "every": 3}}
OTHERS = ("reward", "both")


def benchmark_values() -> dict:
    """params.yaml of the tests, with OURS beside the headline, another objective, and methods that train on their own samples."""
    values = small_values() | {"domains": ["listqa"], "seeds": [0]}
    coverage = {"prompt": "zero_shot", "adapter": "lora", "objective": "coverage", "lam": 3.0}
    lora = {"prompt": "zero_shot", "adapter": "lora"}
    methods = {name: {**coverage, "rollouts": rollouts} for name, rollouts in OURS.items()}
    methods |= {"polychromic": {**coverage, "lam": "lambda"}, "lora": lora, "rft": {**lora, "self_training": {"after": 0.5}}}
    methods |= {"reward": {**coverage, "objective": "reward"}, "both": {**coverage, "self_training": {"after": 0.5}}}
    values["analysis"] |= {"contrasts": [{"a": "polychromic", "b": "lora", "family": "primary"}]}
    kept = {name: values["methods"][name] for name in ("zero_shot", "few_shot")}
    values["listqa"]["rollouts"] = {"share": 0.5}
    return values | {"methods": kept | methods}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    make_models(folder)
    write_listqa(folder)
    write_params(folder, benchmark_values())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        split_listqa(load_params())
    return folder


@pytest.fixture(autouse=True)
def workspace(made, monkeypatch) -> None:
    monkeypatch.chdir(made)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(made / "cache"))
    # The nonsense of a random model is never right; every second reply counts, so that D has a gradient.
    monkeypatch.setattr(ListQA, "training_quality", lambda self, record, replies, readers: np.array([float(len(r) % 2) for r in replies]))


def test_step_cost(made):
    step_cost.main(["--domain", "listqa", "--steps", "2"])
    document = read_json("benchmarks/results/step_cost-listqa.json")
    assert {"device", "threads", "torch", "commit", "batch_size", "precision"} < document.keys()
    assert [document[key] for key in ("domain", "n", "horizon", "steps")] == ["listqa", 3, 4, 3], "polychromic_third has rollouts every 3rd"
    variants = document["variants"]
    assert set(variants) == {"plain", "lora", "polychromic", "rft", "naive", *OURS, *OTHERS}
    plain, lora = np.array(variants["plain"]["seconds"]), np.array(variants["lora"]["seconds"])
    for name, values in variants.items():
        own = np.array(values["seconds"])
        there = slice(0, 1) if name == "naive" else slice(None)
        assert len(own) == len(plain[there]) and (own > 0).all()
        assert values["mean_seconds"] == pytest.approx(own.mean())
        assert values["ratio_to_plain"] == pytest.approx(own.mean() / plain[there].mean())
        assert values["ratio_to_lora"] == pytest.approx(own.mean() / lora[there].mean())
        assert values["low"] <= values["ratio_to_plain"] + 1e-9 and values["high"] >= values["ratio_to_plain"] - 1e-9
        if name in ("plain", "rft", "both"):
            assert values["part_seconds"] is None and (values["rho"] is None) == (name != "both")
            continue
        parts = values["part_seconds"]
        assert sorted(parts) == ["backward", "decode", "encode", "other", "prefill", "score"]
        assert sum(parts.values()) == pytest.approx(own.mean()) and all(seconds >= 0 for seconds in parts.values())
        assert parts["backward"] > 0 and parts["score"] > 0
        assert (parts["decode"] > 0) == (parts["encode"] > 0) == (name != "lora")
        assert (parts["prefill"] > 0) == (name != "naive")
    shares = {name: (variants[name]["rho"], variants[name]["every"]) for name in ("polychromic", "polychromic_third", "naive")}
    assert shares == {"polychromic": (0.5, 1), "polychromic_third": (0.5, 3), "naive": (1.0, 1)}
    for name, like in {"rft": "lora", "both": "polychromic"}.items():
        pool = np.subtract(variants[name]["seconds"], variants[like]["seconds"])
        assert pool[0] > 0 and np.allclose(pool, pool[0]), "a pool on top of rollouts"


def test_variants_see_the_same_batches_and_train_over_the_same_frozen_weights(made, tmp_path):
    bench = step_cost.Bench(load_params(), "listqa", 2, tmp_path)
    plain, lora = bench.make("plain"), bench.make("lora")
    for _ in range(9):  # more than an epoch
        one, other = next(plain.batches), next(lora.batches)
        assert [row[row != -100].tolist() for row in one["labels"]] == [
            row[mask.bool()].tolist() for row, mask in zip(other["tokens"], other["mask"], strict=True)
        ]
        rows = zip(*(one[key] for key in ("input_ids", "attention_mask", "labels")), strict=True)
        assert [row["prompt"] for row in other["examples"]] == [ids[(mask == 1) & (label == -100)].tolist() for ids, mask, label in rows]
    mine, yours = (dict(v.trainer.model.named_parameters()) for v in (plain, lora))
    assert all((mine[name] is yours[name]) == (not mine[name].requires_grad) for name in mine)
    before = {name: value.detach().clone() for name, value in mine.items()}
    plain.step(counted=True)
    plain.step(counted=True)  # the first has a learning rate of 0: the warm-up starts there
    moved = {name for name, value in mine.items() if not torch.equal(value, before[name])}
    assert moved and all(mine[name].requires_grad for name in moved)
    assert all(torch.equal(yours[name], before[name]) for name in yours)


@pytest.mark.parametrize(("benchmark", "option", "value", "message"), [
    (step_cost, "domain", "chess", "is 'chess'; allowed: listqa"), (step_cost, "steps", "0", "is 0"),
    (step_cost, "variants", "lora,slow", "names slow; allowed for listqa: plain, lora"),
    (gradient_variance, "domain", "chess", "is 'chess'; allowed: listqa"), (gradient_variance, "draws", "0", "is 0"),
    (gradient_variance, "draws", "3", "is 3"), (calibration, "domain", "poems", "is 'poems'"), (calibration, "runs", "1", "is 1"),
])  # fmt: skip
def test_wrong_options(benchmark, option, value, message):
    with pytest.raises(UsageError, match=f"--{option} {message}"):
        benchmark.main([f"--{option}", value])


def test_an_interrupted_run_leaves_no_file(made, tmp_path, monkeypatch):
    monkeypatch.setattr(step_cost, "RESULTS", tmp_path)
    monkeypatch.setattr(step_cost.Variant, "step", mock.Mock(side_effect=[0.1, 0.1, 0.1, 0.1, KeyboardInterrupt]))
    with pytest.raises(KeyboardInterrupt):
        step_cost.main(["--steps", "3", "--variants", "lora"])
    assert not list(tmp_path.iterdir())


def test_sampler(made, monkeypatch):
    monkeypatch.setattr(sampler, "ROUNDS", 1)
    sampler.main([])
    document = read_json("benchmarks/results/sampler.json")
    assert sorted(document) == ["commit", "device", "rows", "threads"]
    assert [(row["prompts"], row["n"], row["horizon"]) for row in document["rows"]] == [(4, 4, 4), (4, 20, 4)]
    for row in document["rows"]:
        assert row["ratio"] == pytest.approx(row["tokens_per_second"] / row["generate_tokens_per_second"])
        assert row["tokens_per_second"] > 0


def test_generate_draws_n_replies_to_each_prompt_and_counts_up_to_the_end_token(made):
    params = load_params()
    model, tokenizer, *_ = Workbench(params, "listqa", params.cell("listqa", "dev", "zero_shot")).system(0)
    ids = torch.tensor([[5, 6, 7], [0, 8, 9]])
    torch.manual_seed(0)
    tokens, mask = generate_replies(model, tokenizer, ids, (ids > 0).long(), 40, 12)
    assert len(tokens) == 80 and tokens.shape[1] <= 12
    ends = [row.tolist().index(tokenizer.eos_token_id) + 1 if tokenizer.eos_token_id in row else 12 for row in tokens]
    assert mask.sum(-1).tolist() == ends and min(ends) < 12  # some end early
    assert (mask.diff(dim=-1) <= 0).all()


def test_gradient_variance(made):
    gradient_variance.main(["--draws", "4"])
    document = read_json("benchmarks/results/gradient_variance.json")
    assert sorted(document) == ["commit", "device", "draws", "objective", "prompts", "rows"]
    assert (document["objective"], document["prompts"], document["draws"]) == ("coverage", 6, 4)
    rows = document["rows"]
    assert list(dict.fromkeys(row["n"] for row in rows)) == [2, 3, 4, 8]
    variance = {(row["n"], row["baseline"]): row["trace_variance"] for row in rows}
    for row in rows:
        assert row["biased"] == (row["baseline"] in BIASED) and len(row) == 7
        assert row["relative_to_marginal"] == pytest.approx(row["trace_variance"] / variance[row["n"], "marginal"])
        assert 0 < row["low"] <= row["high"]
        assert row["baseline"] != "marginal" or row["low"] == row["high"] == 1
    assert {name for n, name in variance if n == 3} == {*BASELINES, *BIASED}
    assert all(variance[n, "set"] > variance[n, "marginal"] for n in (2, 3, 4, 8))


def test_half_the_squared_distance_of_two_estimates_is_the_trace_of_their_covariance():
    """On estimates of a known Gaussian instead of the model's."""
    spread, rng = np.array([1.0, 2.0, 0.5]), np.random.default_rng(0)

    class Known:
        config, running = type("Config", (), {"n": 2}), 0.0

        def estimate(self, rows, *names):
            return torch.tensor(rng.normal([[3.0, -1.0, 0.0], [0.0, 0.0, 9.0]], [spread, 2 * spread])), None

        def remember(self, scored):
            pass

    distances = gradient_variance.half_distances(Known(), [{}] * 9, 4000, 0, lambda: None)
    assert distances.mean(0) == pytest.approx([(spread**2).sum(), 4 * (spread**2).sum()], rel=0.05)
    ratio, low, high = relative(distances[:, 1], distances[:, 0], 1000, 0)
    assert low < ratio < high and low < 4 < high and high - low < 1


def test_a_policy_without_good_replies_is_refused(made, monkeypatch):
    monkeypatch.setattr(ListQA, "training_quality", lambda self, record, replies, readers: np.zeros(len(replies)))
    with pytest.raises(PolychromicError, match="listqa, N = 2: none of 2 rollouts held a good reply, so D has no gradient"):
        gradient_variance.main(["--draws", "2"])


# what is committed


@pytest.mark.parametrize("domain", load_params(REPOSITORY / "params.yaml").domains)
def test_committed_timings_are_of_the_configuration_that_is_reported(domain):
    """A change of rollouts, set size, horizon, batch or precision makes the file stale: `make bench` measures again."""
    params = load_params(REPOSITORY / "params.yaml")
    found = read_json(REPOSITORY / "benchmarks" / "results" / f"step_cost-{domain}.json")
    assert (found["n"], found["horizon"]) == (params.objective.n, params.domain(domain).max_new_tokens)
    assert (found["batch_size"], found["precision"]) == (params.train.batch_size, params.train.precision)
    assert found["threads"] == params.threads and found["steps"] >= 50
    timed = {name for name, variant in found["variants"].items() if variant["rho"] is not None} & set(step_cost.variants_of(params, domain))
    assert len(found["variants"]["polychromic"]["seconds"]) == found["steps"]
    for name in timed - {"naive"}:
        variant, rollouts = found["variants"][name], params.methods[name].rollouts or params.domain(domain).rollouts
        assert (variant["rho"], variant["every"]) == (rollouts.share, rollouts.every), name
