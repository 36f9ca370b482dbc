"""What dev decides and compares, on scores that are written down here, against numbers computed another way."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats as st
from statsmodels.stats.multitest import multipletests

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, read_jsonl, write_json, write_jsonl
from polychromic.compare import compare as analysis
from polychromic.compare import systems
from polychromic.compare.choose import choose
from polychromic.compare.contrasts import contrast_pairs
from polychromic.compare.describe import about
from polychromic.compare.training import read_histories
from polychromic.params import Params
from tests.workspace import small_values

MAIN, GUARD = "valid_distinct@10", "pass@1"
PROMPTS = [f"q{i}" for i in range(8)]
TRAINED = {"prompt": "zero_shot", "adapter": "lora"}
METHODS = {
    "zero_shot": {"prompt": "zero_shot", "adapter": "none"},
    "few_shot": {"prompt": "few_shot", "adapter": "none"},
    "lora": TRAINED,
    "polychromic": TRAINED | {"objective": "coverage", "lam": "lambda"},
    "polychromic_plain": TRAINED | {"objective": "plain", "similarity": "semantic", "lam": 0.5, "domains": ["listqa"]},
    "reward": TRAINED | {"objective": "reward", "lam": 2.0},
    "rft": TRAINED | {"self_training": {"after": 0.5}},
    "cheap": TRAINED | {"objective": "coverage", "lam": 3.0, "rollouts": {"share": 0.25}},
}
CONTRASTS = [
    ("polychromic", "lora", "primary"),
    ("polychromic", "best_without_checker", "primary"),
    ("polychromic", "best_with_checker", "primary"),
    ("lora", "zero_shot", "primary"),
    ("few_shot", "zero_shot", "secondary"),
    ("polychromic_plain", "lora", "secondary"),
    ("polychromic", "polychromic_plain", "secondary"),
]
# The roles resolved by hand: few_shot's best of about 4.9 is above lora's 4.0; reward's 5.5 above rft's 4.5.
PAIRS = [(a, {"best_without_checker": "few_shot", "best_with_checker": "reward"}.get(b, b)) for a, b, _ in CONTRASTS]
SEEDS = {"zero_shot": [0], "few_shot": [0]}
LAMBDAS = {"polychromic": 3.0, "polychromic@0.3": 0.3, "polychromic@10.0": 10.0}
TEMPERATURES = [0.5, 1.0]
# mean of the primary metric by (label, temperature); the best of each label is not always the same temperature
PRIMARY = {
    "zero_shot": (1.0, 2.0),
    "few_shot": (4.9, 2.5),
    "lora": (2.5, 4.0),
    "polychromic": (6.0, 5.0),
    "polychromic@0.3": (4.0, 4.5),
    "polychromic@10.0": (4.0, 5.0),
    "polychromic_plain": (3.0, 3.5),
    "reward": (5.0, 5.5),
    "rft": (4.5, 4.0),
    "cheap": (9.0, 8.0),
}
CELLS = {"lora": 0.0, "polychromic-0.3": 0.3, "polychromic-3.0": 3.0, "polychromic-10.0": 10.0}
QUALITY = {0.5: 0.6, 1.0: 0.4}


def params(**changes: Any) -> Params:
    """The declared methods and contrasts above; `changes` as in small_params."""
    values = small_values() | {"methods": METHODS, "domains": ["listqa", "replies"]}
    unasked = [name for name in values["listqa"]["metrics"] if not name.startswith("held_out_")]  # that judge has tests of its own
    values["listqa"] |= {"lambdas": [0.3, 3.0, 10.0], "metrics": unasked}
    values["replies"] |= {"people": []}
    contrasts = [{"a": a, "b": b, "family": family, "rule": "chosen"} for a, b, family in CONTRASTS]
    values["analysis"] = values["analysis"] | {"contrasts": contrasts, "bounds": {"ce": 0.1, "gap": 0.1, "quality": 1.0}}
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    return Params.model_validate(values)


METRICS = (*params().domain("listqa").metrics, "objective")


def seeds_of(label: str) -> list[int]:
    return SEEDS.get(label, [0, 1])


def score(label: str, seed: int, temperature: float, prompt: str, metric: str) -> float:
    """A number that anybody can compute again: a mean per system, and spread by prompt and seed."""
    rng = np.random.default_rng([len(label), ord(label[-1]), seed, int(10 * temperature), PROMPTS.index(prompt), len(metric)])
    if metric == MAIN:
        return PRIMARY[label][TEMPERATURES.index(temperature)] + float(rng.normal(scale=0.4))
    if metric == GUARD:
        return QUALITY[temperature] + 0.02 * list(PRIMARY).index(label) + float(rng.uniform(-0.1, 0.1))
    return float(rng.uniform())


def rows_of(cells: Iterable[tuple[str, int, float]], lambdas: dict, split: str, prompts: list[str], scored: Callable) -> list[dict]:
    """Rows as scores.jsonl.gz has them. cells: (label, seed, temperature); scored: of these, a prompt and a metric."""
    return [
        {"method": label.split("@")[0], "lambda": lambdas.get(label), "seed": seed, "temperature": temperature, "split": split,
         "id": prompt, "metrics": {metric: scored(label, seed, temperature, prompt, metric) for metric in METRICS}}
        for label, seed, temperature in cells for prompt in prompts
    ]  # fmt: skip


def make_rows(split: str = "dev", prompts=PROMPTS) -> list[dict]:
    cells = ((label, seed, temperature) for label in PRIMARY for seed in seeds_of(label) for temperature in TEMPERATURES)
    return rows_of(cells, LAMBDAS, split, prompts, score)


def matrix(label: str, temperature: float, metric: str) -> np.ndarray:
    """(seeds, prompts)."""
    return np.array([[score(label, seed, temperature, prompt, metric) for prompt in PROMPTS] for seed in seeds_of(label)])


@pytest.fixture
def results(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_results()


def write_results() -> Path:
    """scores, calibration and histories of a domain."""
    folder = paths.RESULTS / "listqa" / "dev"
    write_jsonl(folder / "scores.jsonl.gz", make_rows())
    write_json(folder / "calibration.json", None)
    write_json(folder / "signatures.json", {"pass@1": "pass@1|k:1"})
    for cell in (*CELLS, "polychromic_plain", "reward", "rft", "cheap"):
        write_jsonl(folder / cell / "history.jsonl", history(cell))
    return folder


def history(cell: str) -> list[dict]:
    """Two steps of two seeds, D on the first step alone, and what is measured after training: more of it where lambda is larger."""
    lam, rows = CELLS.get(cell, 0.0), []
    for seed, ce, d in ((0, 2.0, 0.2), (1, 4.0, 0.4)):
        objective = {"objective": d, "objective_clipped": float(seed)} if cell not in ("lora", "rft") else {}
        rows += [
            {"seed": seed, "step": 1, "loss": 9.0, "ce": ce, "grad_norm": 5.5, "flops": 1e12, "checked": 4, **objective},
            {"seed": seed, "step": 1, "eval_loss": 7.0},
            {"seed": seed, "step": 2, "loss": 9.0, "ce": ce / 2, "grad_norm": 1.0, "flops": 2e12 + seed * 1e12, "checked": 8},
            {"seed": seed, "step": 2, "eval_loss": 2.0 + seed + lam / 100},
            {"seed": seed, "step": 2, "kl_to_base": 5.0 + 2 * seed + lam, "reply_tokens": 4.0 + seed},
        ]
    return rows


def best_temperature(label: str) -> float:
    return max(TEMPERATURES, key=lambda t: matrix(label, t, MAIN).mean())


# choices


def chosen(**changes: Any) -> dict:
    """What dev decides, from the scores that lie here."""
    values = params(**changes)
    found = systems.read_systems(values, "listqa", "dev", values.lam)
    return choose(values, "listqa", found, read_histories(values, "listqa", "dev", values.lam, {label for label, _ in found}))


def compare(**changes: Any) -> dict:
    analysis.compare(params(**changes), "listqa", "dev")
    return read_json(paths.compare_file("listqa", "dev"))


def test_what_dev_decides(results):
    document = chosen()
    assert document["chosen"] == {label: best_temperature(label) for label in PRIMARY}
    assert set(document["chosen"].values()) == {0.5, 1.0}
    assert (document["split"], document["primary"], document["quality"]) == ("dev", MAIN, GUARD)
    assert document["headline"] == "polychromic" and document["best"] == {"best_without_checker": "few_shot", "best_with_checker": "reward"}
    tries = document["tries"]
    assert sorted((row["label"], row["temperature"]) for row in tries) == sorted(itertools.product(PRIMARY, TEMPERATURES))
    for row in tries:
        for key, metric in (("primary", MAIN), ("quality", GUARD), ("objective", "objective")):
            assert row[key] == pytest.approx(matrix(row["label"], row["temperature"], metric).mean())
        assert row["lambda"] == LAMBDAS.get(row["label"]) and row["seeds"] == seeds_of(row["label"])


def test_equal_means_go_to_the_lower_temperature(results):
    for order in (1, -1):
        rows = make_rows()[::order]
        for row in rows:
            row["metrics"][MAIN] = 1.5
        write_jsonl(results / "scores.jsonl.gz", rows)
        assert set(chosen()["chosen"].values()) == {0.5}


def test_a_choice_reads_dev_alone(results):
    before = chosen()
    opposite = make_rows("test", [f"q{i}" for i in range(8)])
    for row in opposite:
        row["metrics"][MAIN] = 100.0 if row["temperature"] != best_temperature(row["method"]) else 0.0
    write_jsonl(results / "scores.jsonl.gz", opposite + make_rows())
    write_jsonl(paths.scores_file("listqa", "test"), opposite)
    assert chosen() == before


def test_another_headline_changes_the_labels_alone_and_must_be_among_the_cells(results):
    found = chosen(**{"lambda": 0.3})
    assert found["chosen"]["polychromic"] == best_temperature("polychromic@0.3")
    assert found["chosen"]["polychromic@3.0"] == best_temperature("polychromic") and found["lambda"]["headline"] == 0.3
    with pytest.raises(PolychromicError, match=r"no cell at lambda = 1\.0"):
        chosen(**{"lambda": 1.0})


def test_a_role_that_no_peer_has_is_null_and_its_contrasts_are_left_out(results):
    rows = [row for row in make_rows() if row["method"] not in ("reward", "rft")]
    write_jsonl(results / "scores.jsonl.gz", rows)
    found = compare()
    assert found["selection"]["best"]["best_with_checker"] is None and "reward" not in {row["b"] for row in found["contrasts"]}


# the weight of D


def grid(results: Path, **changes: Any) -> dict:
    return chosen(**changes)["lambda"]


def test_the_grid_holds_what_training_left(results):
    found = grid(results)
    rows = found["rows"]
    assert [row["lambda"] for row in rows] == [0.0, 0.3, 3.0, 10.0]
    assert [row["label"] for row in rows] == ["lora", "polychromic@0.3", "polychromic", "polychromic@10.0"]
    for row in rows:
        lam, label = row["lambda"], row["label"]
        assert row["validation_ce"] == pytest.approx(2.5 + lam / 100), "the last validation of each seed"
        assert (row["kl_to_base"], row["reply_tokens"]) == (pytest.approx(6.0 + lam), 4.5)
        assert row["by_seed"]["validation_ce"] == pytest.approx([2.0 + lam / 100, 3.0 + lam / 100])
        assert row["temperature"] == best_temperature(label)
        assert row["objective"] == pytest.approx(matrix(label, 1.0, "objective").mean())
        assert row["primary"] == pytest.approx(matrix(label, best_temperature(label), MAIN).mean())
        assert row["quality"] == pytest.approx(matrix(label, best_temperature(label), GUARD).mean())
        assert row["held_out_gap"] == {"quality": None, "coverage": None}, "this domain's metrics have no held-out judge"
        assert row["clipped"] == {"quality": 0.5, "objective": 0.5 if lam else None}
        assert row["sets"] == (4.0 if lam else 0.0), "one step of two has a rollout for each of the batch's prompts"
    assert found["bounds"] == {"ce": 0.1, "gap": 0.1, "quality": 1.0}


def test_the_recommended_weight_has_the_highest_primary_metric_within_the_bounds(results):
    """Primary metric at the chosen temperature: 4.0 (lora), 4.5 (0.3), 6.0 (3.0), 5.0 (10.0); cross-entropy above lora's: lambda / 100."""
    wide = {"gap": 1.0, "quality": 1.0}
    for ce, expected in ((1.0, 3.0), (0.02, 0.3), (0.001, 0.0)):
        assert grid(results, analysis={"bounds": wide | {"ce": ce}})["recommended"] == expected
    path = results / "polychromic-3.0" / "history.jsonl"
    write_jsonl(path, [row | ({"eval_loss": 9.0} if "eval_loss" in row else {}) for _, row in read_jsonl(path)])
    assert grid(results, analysis={"bounds": wide | {"ce": 0.2}})["recommended"] == 10.0, "a larger one may be within, a smaller one not"
    rows = {row["label"]: row for row in grid(results, analysis={"bounds": wide | {"ce": 9.0}})["rows"]}
    falls = {label: rows["lora"]["quality"] - row["quality"] for label, row in rows.items()}
    within = {label for label, row in rows.items() if falls[label] <= 0.01}
    strict = grid(results, analysis={"bounds": wide | {"ce": 9.0, "quality": 0.01}})["rows"]
    assert {row["label"] for row in strict if row["within"]} == within and len(within) > 1


def test_the_held_out_gap_is_beyond_that_of_lora(results):
    names = ["quality", "held_out_quality", "coverage@10", "held_out_coverage@10"]
    level = {"lora": (0.5, 0.4, 3.0, 2.5), "polychromic@0.3": (0.6, 0.4, 4.0, 3.2), "polychromic": (0.7, 0.6, 5.0, 2.0)}
    rows = make_rows()
    for row in rows:
        label = systems.label_of(row["method"], row["lambda"], 3.0)
        row["metrics"] |= dict(zip(names, level.get(label, level["lora"]), strict=True))
    write_jsonl(results / "scores.jsonl.gz", rows)
    listqa = {"metrics": [*params().domain("listqa").metrics, *names]}
    found = grid(results, listqa=listqa, analysis={"bounds": {"ce": 9.0, "gap": 0.15, "quality": 1.0}})
    gaps = {row["label"]: (row["held_out_gap"]["quality"], row["held_out_gap"]["coverage"], row["within"]) for row in found["rows"]}
    assert gaps["lora"] == (0.0, 0.0, True)
    assert gaps["polychromic@0.3"] == (pytest.approx(0.1), pytest.approx(0.03), True)
    assert gaps["polychromic"] == (pytest.approx(0.0), pytest.approx(0.25), False)
    assert found["recommended"] == 10.0


def test_the_trend_of_d_is_pages_test_over_prompts(results):
    rows = make_rows()
    for row in rows:
        lam = LAMBDAS.get(systems.label_of(row["method"], row["lambda"], 3.0), 0.0)
        row["metrics"]["objective"] = lam / 20 + row["metrics"]["objective"] / 10
    write_jsonl(results / "scores.jsonl.gz", rows)
    trend = grid(results)["trend"]
    by_level = [
        [np.mean([r["metrics"]["objective"] for r in rows if (r["method"], r["lambda"], r["id"], r["temperature"]) == (*cell, prompt, 1.0)])
         for prompt in PROMPTS]
        for cell in (("lora", None), ("polychromic", 0.3), ("polychromic", 3.0), ("polychromic", 10.0))
    ]  # fmt: skip
    ranks = np.apply_along_axis(st.rankdata, 0, np.array(by_level))
    assert trend["levels"] == [0.0, 0.3, 3.0, 10.0] and trend["n_prompts"] == 8
    assert trend["page_l"] == pytest.approx(ranks.sum(axis=1) @ [1, 2, 3, 4])
    assert trend["means"] == pytest.approx(np.mean(by_level, axis=1).tolist())
    assert trend["p"] == pytest.approx(st.page_trend_test(np.array(by_level).T).pvalue) and trend["p"] < 0.01


@pytest.mark.parametrize("key", ["eval_loss", "kl_to_base", "reply_tokens"])
def test_a_history_that_ends_early_is_named(results, key):
    rows = [row if row["seed"] == 0 else {k: v for k, v in row.items() if k != key} for row in history("polychromic-3.0")]
    write_jsonl(results / "polychromic-3.0" / "history.jsonl", rows)
    with pytest.raises(PolychromicError, match=rf"history of polychromic: no {key} of seed 1\. .*dvc repro"):
        grid(results)


# reading


def test_missing_rows_are_named(results):
    rows = [row for row in make_rows() if (row["method"], row["temperature"], row["seed"], row["id"]) != ("lora", 1.0, 1, "q3")]
    for left, said in ((rows, r"lora at temperature 1\.0 lacks 1 scores, first \(seed, prompt\) \(1, 'q3'\)"),
                       (make_rows("test"), r"dev/scores\.jsonl\.gz: no scores of split 'dev'\. Run `dvc repro`")):  # fmt: skip
        write_jsonl(results / "scores.jsonl.gz", left)
        with pytest.raises(PolychromicError, match=said):
            chosen()


def test_scores_on_test_are_a_file_of_their_own(results):
    write_jsonl(paths.scores_file("listqa", "test"), make_rows("test", PROMPTS[:3]))
    found = systems.read_systems(params(), "listqa", "test", 0.3)
    assert {system.scores[MAIN].shape[1] for system in found.values()} == {3}
    assert ("polychromic", 0.5) in found and found["polychromic", 0.5].lam == 0.3, "the headline is the caller's"
    assert {system.scores[MAIN].shape[1] for system in systems.read_systems(params(), "listqa", "dev", 3.0).values()} == {8}


# compare


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> dict:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("compared"))
        write_results()
        return compare(analysis={"resamples": 2000})


def test_systems_hold_means_by_hand(compared):
    assert len(compared["systems"]) == len(PRIMARY) * 2
    for system in compared["systems"]:
        label, temperature = system["label"], system["temperature"]
        assert system["lambda"] == LAMBDAS.get(label) and system["method"] == label.split("@")[0]
        assert system["chosen"] == (temperature == best_temperature(label))
        assert system["seeds"] == seeds_of(label) and (system["n_prompts"], system["n_samples"]) == (8, 10)
        assert system["over"] == ("prompts" if label in SEEDS else "seeds and prompts")
        parts = [system["metrics"][name]["mean"] for name in (MAIN, GUARD)]
        assert system["distinct_per_valid"] * 10 * parts[1] == pytest.approx(parts[0])
        for metric, found in system["metrics"].items():
            values = matrix(label, temperature, metric)
            assert found["mean"] == pytest.approx(values.mean())
            assert found["by_seed"] == pytest.approx(values.mean(axis=1).tolist())
            assert found["low"] < found["mean"] < found["high"]
            if label in SEEDS:
                half = st.t.isf(0.025, 7) * values[0].std(ddof=1) / np.sqrt(8)
                low, high = max(found["mean"] - half, values.min()), min(found["mean"] + half, values.max())
                assert (found["low"], found["high"]) == (pytest.approx(low, abs=0.1 * half), pytest.approx(high, abs=0.1 * half))


def test_a_front_s_area_is_that_of_two_rectangles_together(compared):
    assert compared["fronts"].keys() == {row["label"] for row in compared["systems"]} and compared["self_contrasts"] == []
    for label, frontier in compared["fronts"].items():
        rows = [row for row in compared["systems"] if row["label"] == label]
        (q, v), (r, w) = [[row["metrics"][compared[key]]["mean"] for key in ("quality", "primary")] for row in rows]
        assert frontier["hypervolume"] == pytest.approx(q * v + r * w - min(q, r) * min(v, w)), label
        beaten = {rows[0]["temperature"]} if r > q and w > v else {rows[1]["temperature"]} if q > r and v > w else set()
        assert set(frontier["pareto_temperatures"]) == {row["temperature"] for row in rows} - beaten
        assert frontier["temperatures"] == TEMPERATURES and frontier["quality"] == pytest.approx([q, r])
        offered = frontier["curve"]
        assert (offered["quality"][0], offered["value"][-1]) == pytest.approx((max(q, r), max(v, w)))
        assert np.all(np.diff(offered["quality"]) <= 0) and np.all(np.diff(offered["value"]) >= 0)


def test_every_declared_contrast_has_its_rows(compared):
    """Two temperatures make no front."""
    wanted = [(a, b, m, "chosen") for a, b in PAIRS for m in (MAIN, GUARD, "semantic_diversity")]
    assert sorted((r["a"], r["b"], r["metric"], r["rule"]) for r in compared["contrasts"]) == sorted(wanted)
    assert len({row["id"] for row in compared["contrasts"]}) == len(wanted)
    roles = {"few_shot": "best_without_checker", "reward": "best_with_checker"}
    assert all(row[f"{side}_role"] == roles.get(row[side]) for row in compared["contrasts"] for side in "ab")


def test_which_pairs_are_tested():
    """A pair that is declared twice once, no system against itself, and none that the domain does not have."""
    found = contrast_pairs(params(), "listqa", {"best_without_checker": "lora", "best_with_checker": "polychromic_plain"})
    pairs = {(one.a, one.b): one.family for one in found}
    assert pairs["polychromic", "lora"] == pairs["polychromic", "polychromic_plain"] == "primary"
    assert len(pairs) == len(found) == len(CONTRASTS) - 2
    assert list(pairs)[:2] == [("polychromic", "lora"), ("polychromic", "polychromic_plain")]
    declared = [{"a": name, "b": "best_with_checker", "family": "primary"} for name in ("reward", "rft")]
    declared += [declared[1] | {"family": "secondary", "stratum": "unseen:"}]
    (one, other) = contrast_pairs(
        params(analysis={"contrasts": declared}), "listqa", {"best_without_checker": "lora", "best_with_checker": "reward"}
    )
    assert (one.a, one.b, one.stratum, other.stratum) == ("rft", "reward", None, "unseen:"), "some strata are a contrast of their own"
    pairs = {(one.a, one.b) for one in contrast_pairs(params(), "replies", {"best_without_checker": "lora", "best_with_checker": None})}
    assert ("polychromic_plain", "lora") not in pairs and ("polychromic", "lora") in pairs


def test_methods_say_their_group_and_length(compared):
    found = compared["methods"]
    having = lambda key: {name for name in found if found[name][key]}
    assert set(found) == set(METHODS)
    assert having("ours") == {"polychromic", "cheap"}
    assert having("sees_checker") == {"polychromic", "reward", "rft", "cheap"}
    assert having("trained") == set(METHODS) - {"zero_shot", "few_shot"}
    assert all(about["trains_like"] == name for name, about in found.items())


def test_more_steps_and_other_decoding_train_alike():
    gem = TRAINED | {"loss": "gem", "settings": {"beta": 0.7}}
    ours = METHODS["polychromic"] | {"lam": params().lam, "min_p": 0.1}
    other = ours | {"lam": params().lam + 1}
    values = params(
        methods={"long": TRAINED | {"budget": 1.5}, "min_p": TRAINED | {"min_p": 0.1}, "gem": gem, "ours": ours, "other": other}
    )
    found = {name: about(values, name) for name in ("long", "min_p", "gem", "ours", "other")}
    assert {name: row["trains_like"] for name, row in found.items()} == {
        "long": "lora", "min_p": "lora", "gem": "gem", "ours": "polychromic", "other": "other",
    }  # fmt: skip
    assert found["long"]["budget"] == 1.5
    alike = {name: about(values, name)["same_rollouts"] for name in ("polychromic", "reward", "ours", "rft", "cheap")}
    assert alike == {"polychromic": True, "reward": True, "ours": False, "rft": False, "cheap": False} and found["gem"]["objective"] is None


def test_paired_contrasts_by_hand(compared):
    for row in compared["contrasts"]:
        assert (row["a_temperature"], row["b_temperature"]) == (best_temperature(row["a"]), best_temperature(row["b"]))
        a, b = (matrix(row[side], row[f"{side}_temperature"], row["metric"]) for side in "ab")
        seeds = min(len(a), len(b))  # prompted systems have the first one alone
        assert row["seeds"] == [0, 1][:seeds] and row["over"] == ("seeds and prompts" if seeds > 1 else "prompts")
        by_cell = a[:seeds] - b[:seeds]
        difference = by_cell.mean(axis=0)
        assert row["delta"] == pytest.approx(difference.mean()) == pytest.approx(np.mean(row["by_seed"]))
        assert row["by_seed"] == pytest.approx(by_cell.mean(axis=1).tolist())
        assert row["low"] < row["delta"] < row["high"] and (row["p"] < 0.05) == (row["low"] > 0 or row["high"] < 0)
        assert row["detectable"] > row["se"] > 0
        alone = st.ttest_1samp(difference, 0)
        interval, footnote = alone.confidence_interval(), row["over_prompts"]
        near = 0.15 * (interval.high - interval.low)
        assert (footnote["low"], footnote["high"]) == (pytest.approx(interval.low, abs=near), pytest.approx(interval.high, abs=near))
        if seeds == 1:
            assert footnote == {key: row[key] for key in ("low", "high", "p")} and row["variances"]["seeds"] == 0
        flips = [abs(np.dot(signs, difference)) for signs in itertools.product((1, -1), repeat=8)]
        assert row["p_permutation"] == pytest.approx(np.mean(np.array(flips) >= abs(difference.sum()) - 1e-9))
        assert row["p_wilcoxon"] == pytest.approx(st.wilcoxon(difference).pvalue)
        assert row["d_z"] == pytest.approx(difference.mean() / difference.std(ddof=1))


def test_quality_has_a_margin_and_the_others_have_none(compared):
    margin = params().analysis.margin
    for row in compared["contrasts"]:
        if row["metric"] == GUARD:
            assert row["margin"] == margin and row["non_inferior"] == (row["low"] > -margin)
        else:
            assert row["margin"] is None and row["non_inferior"] is None
    assert {row["non_inferior"] for row in compared["contrasts"]} == {True, False, None}


def test_each_family_is_adjusted_on_its_own(compared):
    families = {"primary": [], "secondary": []}
    for row in compared["contrasts"]:
        families[row["family"]].append(row)
    assert [(row["a"], row["b"], row["metric"]) for row in families["primary"]] == [
        (*pair, MAIN) for pair in (("polychromic", "lora"), ("polychromic", "reward"))
    ], "quality and diversity are never primary, nor what has one seed"
    for family, method in (("primary", "holm"), ("secondary", "fdr_bh")):
        rows = families[family]
        assert [row["p_adjusted"] for row in rows] == pytest.approx(multipletests([row["p"] for row in rows], method=method)[1])


def test_histories_are_means_over_seeds(compared):
    assert set(compared["histories"]) == {"lora", "polychromic", "polychromic_plain", "reward", "rft", "cheap"}
    steps = compared["histories"]["lora"]
    assert [(row["step"], row["ce"], row["objective"]) for row in steps] == [(1, 3.0, None), (2, 1.5, None)]
    steps = compared["histories"]["polychromic"]
    assert [row["objective"] for row in steps] == [pytest.approx(0.3), None], "no rollouts at the second step"
    assert [row["clipped"]["objective"] for row in steps] == [0.5, None], "of one seed of two"


def test_without_temperature_one_nothing_speaks_of_the_policy(results):
    rows = [row | {"temperature": {0.5: 0.5, 1.0: 0.9}[row["temperature"]]} for row in make_rows()]
    write_jsonl(results / "scores.jsonl.gz", rows)
    found = compare()
    grid = found["selection"]["lambda"]
    assert grid["trend"] is None and grid["rows"][1]["objective"] is None and grid["recommended"] == 3.0
    assert found["selection"]["doses"][0]["objective"] is None


def test_compare_repeats_to_the_byte_and_speaks_of_dev_whatever_stands_beside_it(results):
    first, names = compare(), ("compare.json", "choices.json", "metrics.json", "frontier.csv", "lambda.csv", "training.csv")
    before = {name: (results / name).read_bytes() for name in names}
    write_jsonl(results / "scores.jsonl.gz", make_rows("test") + make_rows()[::-1])
    write_jsonl(paths.scores_file("listqa", "test"), make_rows("test"))
    assert compare() == first and {name: (results / name).read_bytes() for name in names} == before
    assert first["split"] == "dev" and first["selection"] == read_json(paths.choices_file("listqa"))


def test_what_dvc_shows_are_the_means_at_the_chosen_temperatures(results):
    compare()
    shown = read_json(results / "metrics.json")
    assert shown.keys() == PRIMARY.keys() and shown["lora"]["temperature"] == best_temperature("lora")
    assert shown["lora"][MAIN] == pytest.approx(matrix("lora", best_temperature("lora"), MAIN).mean())
    assert (shown["lora"]["steps"], shown["lora"]["flops"], shown["lora"]["checked"]) == (2, 2.5e12, 8)
    assert "steps" not in shown["zero_shot"]
    tables = {name: (results / name).read_text().splitlines() for name in ("frontier.csv", "lambda.csv", "training.csv")}
    assert tables["frontier.csv"][0] == f"label,temperature,{GUARD},{MAIN}" and len(tables["frontier.csv"]) == 1 + 2 * len(PRIMARY)
    assert [line.split(",")[:2] for line in tables["lambda.csv"][1:]] == [
        ["0.0", "lora"], ["0.3", "polychromic@0.3"], ["3.0", "polychromic"], ["10.0", "polychromic@10.0"]
    ]  # fmt: skip
    assert "lora,1,3.0," in tables["training.csv"]


def test_a_contrast_of_a_method_without_scores_is_named(results):
    write_jsonl(results / "scores.jsonl.gz", [row for row in make_rows() if row["method"] != "polychromic_plain"])
    with pytest.raises(PolychromicError, match="polychromic_plain"):
        compare()


# cost


def test_what_training_cost_and_what_more_of_it_brings(results):
    """Methods that differ in cost alone are a family; FLOPs are multiples of those of LoRA at cost 1."""
    ours = METHODS["polychromic"] | {"lam": 3.0, "seeds": 2}
    methods = {
        "lora": TRAINED | {"cost": 1.0},
        "polychromic": METHODS["polychromic"] | {"cost": 8.0},
        "polychromic_2": ours | {"cost": 2.0},
    }
    rows = make_rows()
    rows += [row | {"method": "polychromic_2", "lambda": None} for row in rows if row["method"] == "polychromic" and row["lambda"] == 3.0]
    write_jsonl(results / "scores.jsonl.gz", rows)
    more = [row | ({"flops": 2 * row["flops"]} if "flops" in row else {}) for row in history("polychromic-3.0")]
    write_jsonl(results / "polychromic_2" / "history.jsonl", more)
    found = compare(methods=methods)
    assert found["costs"]["polychromic_2"] == {"cost": 2.0, "steps": 2, "flops": 5e12, "checked": 8, "relative": 2.0, "seeds": [0, 1]}
    assert found["costs"]["lora"]["relative"] == 1.0 and "zero_shot" not in found["costs"]
    assert set(found["budgets"]) == {"lora", "polychromic"} and [row["label"] for row in found["budgets"]["lora"]] == ["lora"]
    cheap, dear = found["budgets"]["polychromic"]
    assert [(row["label"], row["cost"], row["flops"]) for row in (cheap, dear)] == [
        ("polychromic_2", 2.0, 5e12),
        ("polychromic", 8.0, 2.5e12),
    ]
    system = next(s for s in found["systems"] if s["label"] == "polychromic_2" and s["chosen"])
    assert cheap["temperature"] == system["temperature"] and cheap["metrics"][MAIN] == system["metrics"][MAIN]
    doses = found["selection"]["doses"]
    assert [(row["label"], row["sets"], row["cost"]) for row in doses] == [("polychromic_2", 4.0, 2.0), ("polychromic", 4.0, 8.0)]
    assert doses[1]["objective"] == pytest.approx(matrix("polychromic", 1.0, "objective").mean())
    uncounted = [{key: value for key, value in row.items() if key not in ("flops", "checked")} for row in history("lora")]
    write_jsonl(results / "lora" / "history.jsonl", uncounted)
    costs = compare(methods=methods)["costs"]
    assert costs["lora"]["flops"] is None and costs["polychromic"]["relative"] is None and costs["polychromic"]["flops"] == 2.5e12
