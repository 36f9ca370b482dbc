"""Scores of one prompt by hand, which cells are scored, and the stage on a small domain."""

from __future__ import annotations

import timeit
from dataclasses import replace
from math import comb, exp, sqrt
from pathlib import Path
from time import process_time

import numpy as np
import pytest

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, read_jsonl, write_json, write_jsonl
from polychromic.data.domains import get_domain
from polychromic.data.domains.replies.judge import TERMS
from polychromic.data.records import Record
from polychromic.models import readers
from polychromic.params import Params
from polychromic.score.models import Embedder
from polychromic.score.norms import write_norms
from polychromic.score.people import Calibration
from polychromic.score.score import Known, Recorded, score, score_blocks, score_cell, score_prompt, set_objective
from tests import run_tools
from tests.workspace import KINDS, declared_values, listqa_record, make_models, small_params, small_values, write_listqa

# Those of params.yaml, and those that ask a model for the likelihood of replies, whether or not this build's tables have them.
METRICS = {
    name: list(dict.fromkeys([*declared_values()[name]["metrics"], "selected@4", "perplexity"])) for name in ("listqa", "replies")
}
CELLS = ("zero_shot", "few_shot", "lora", "polychromic-3.0", "polychromic-0.3", "polychromic_plain")


def axes(texts) -> np.ndarray:
    """Equal texts are one axis, different ones are orthogonal."""
    places = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return np.eye(len(places), dtype=np.float32)[[places[text] for text in texts]]


MODELS = {  # what models would say, made up
    "pieces": lambda _, texts: [[ord(letter) for letter in text] for text in texts],
    "vocabulary": lambda *_: 1000,
    "bertscore": lambda *_: np.full(4, 0.25),
}


class Readers(run_tools.Readers):
    """Of replies that are all known: each has two tokens, of which the model says -3 nats together."""

    def prepare(self, records, rows) -> None:
        pass

    def sums(self, name, replies) -> np.ndarray:
        return np.tile([-3.0, 2.0], (len(replies), 1))


def of_replies(d: int) -> dict:
    """What `norms` would say of replies: training's scorer takes what has a cosine of 0.5 with the post or more, the judge takes all."""
    by_cosine = [0.0] * 4 * d + [1.0, -2.5]
    scorer = {"weights": [by_cosine, [0.0] * (4 * d + 2)], "least": [0.0, 0.0]}
    judge = {"weights": np.zeros((2, 2 * TERMS + 17 + 1)), "least": [0.0, 0.0]}
    return {"scorer": scorer, "rare": {"rare": 1.0}, "judge": judge}


KNOWN = Known(calibration=None, readers=Readers(axes), first=4, models=MODELS)
PEOPLE = Calibration(0.5, 0.1, 0.01, 0.9, 0.1, 2, 40)


def pass_at(n: int, c: int, k: int) -> float:
    return 1 - comb(n - c, k) / comb(n, k)


def reply_record(*references: str, **changes) -> Record:
    values = dict(id="r", domain="replies", prompt="post", references=list(references), group="g", stratum="s", checker="person")
    return Record(**(values | {"source": "made", "licence": "MIT"} | changes))


def scored(names, record: Record, samples: list[str], tokens=1, **known) -> dict[str, float]:
    """`score_prompt` with KNOWN, of which `known` is changed. tokens: of each reply, or of all."""
    row = {"samples": samples, "tokens": [tokens] * len(samples) if isinstance(tokens, int | float) else tokens}
    calibration = {"calibration": PEOPLE} if record.checker == "person" else {}
    return score_prompt(names, get_domain(record.domain), record, row, replace(KNOWN, **(calibration | known)))


def test_listqa_by_hand():
    record = listqa_record(0, prompt="Name one kind of fruit.", references=["apple", "red pear"], valid=["apple", "pear", "fig"])
    samples = ["apple", "An Apple.", "apples", "pear", "fig", "stone", "Stone", "car", "red pear", "apple"] * 2
    found = scored(METRICS["listqa"], record, samples, [2] * 10 + [5] * 10)
    assert set(found) == set(METRICS["listqa"])
    n, correct = 20, 2 * 6
    for k in (1, 3, 5, 10):
        assert found[f"pass@{k}"] == pytest.approx(pass_at(n, correct, k))
    # draws of 20: apple 8, pear 2, fig 2; and, not valid: stone 4, car 2, "red pear" 2
    assert found["valid_distinct@10"] == pytest.approx(sum(pass_at(n, c, 10) for c in (8, 2, 2)))
    assert found["distinct@10"] == pytest.approx(sum(pass_at(n, c, 10) for c in (8, 2, 2, 4, 2, 2)))
    # equal texts among 190 pairs: "apple" stands 4 times, the eight others twice
    assert found["semantic_diversity"] == pytest.approx(1 - (comb(4, 2) + 8) / 190)
    assert found["tokens"] == 3.5
    # ROUGE-L: 1 for an exact "apple" or "red pear"; "pear" is half of "red pear", "An Apple." holds "apple" among three tokens
    assert found["rouge_l"] == pytest.approx((1 + 1 / 2 + 0 + 2 / 3 + 0 + 0 + 0 + 0 + 1 + 1) / 10)
    # 13 tokens per half: apple, an, apple, ., apples, pear, fig, stone, stone, car, red, pear, apple
    assert found["distinct_1"] == pytest.approx(9 / 26)
    assert found["vocabulary"] == pytest.approx(9 / sqrt(26))
    assert found["perplexity"] == pytest.approx(exp(3 / 2)), "four replies of two tokens, -3 nats each"
    assert found["selected@4"] == 1, "the first four are valid, and equally likely"
    # q is 1 for the twelve valid ones; among these, equal texts are "apple" (4), and four others twice: 66 pairs of which 6 + 4 are alike
    assert found["effective_diversity"] == pytest.approx((66 - 6 - 4) / 190)
    # letters of all replies: a p l e A n . s r f i g t o S c d and a blank
    assert found["ead"] == pytest.approx(18 / (1000 * (1 - 0.999 ** (2 * sum(len(text) for text in samples[:10])))))


def test_replies_by_hand():
    """Ten drafts that share no word; the last one is too short to be good for anybody."""
    record = reply_record("sounds good to me")
    match, other = ["sounds good to me"], [" ".join(f"{letter}{vowel}" for vowel in "aeio") for letter in "zqvjkwyx"] + ["ba be bi"]

    def embed(texts):
        """Half of the drafts lie on the post and on the human reply; the rest on an axis of their own."""
        near = {"post", *match, *other[:4]}
        return np.array([[1.0, 0.0] if text in near else [0.0, 1.0] for text in texts], dtype=np.float32)

    found = scored(METRICS["replies"], record, match + other, 4, readers=Readers(embed, **of_replies(2)))
    assert set(found) == set(METRICS["replies"])
    for k in (1, 3, 5, 10):
        assert found[f"pass@{k}"] == pytest.approx(pass_at(10, 1, k)) == pytest.approx(k / 10)
    assert found["distinct@10"] == 10
    assert found["semantic_diversity"] == pytest.approx(1 - 2 * comb(5, 2) / comb(10, 2))
    assert found["quality"] == 0.5 and found["coverage@10"] == pytest.approx(1), "five good drafts, all in one place"
    assert found["held_out_quality"] == 0.9 and found["held_out_coverage@10"] == pytest.approx(9), "nine, of different words"
    assert found["rouge_l"] == pytest.approx(0.1)
    assert found["distinct_2"] == pytest.approx(1.0)
    assert (found["bertscore"], found["selected@4"]) == (0.25, 0.25)
    assert found["perplexity"] == pytest.approx(exp(3 / 2))
    assert found["rouge_1"] == found["rouge_2"] == found["best_rouge_l@10"] / 10 == pytest.approx(0.1)
    assert found["words"] == pytest.approx((9 * 4 + 3) / 10)
    stricter = replace(PEOPLE, threshold=1.0)
    assert scored(["pass@10"], record, match + other, calibration=stricter) == {"pass@10": 0}, "above, not at"
    assert set(scored(["pass@1"], record, ["yes"] * 10)) == {"pass@1"}, "those that the domain names, and no other"
    with pytest.raises(PolychromicError, match="distinct_2"):
        scored(["pass@1", "distinct_2"], record, ["yes"] * 10)


def test_a_reply_that_was_cut_is_good_for_neither_side_where_the_rules_do_not_say_what_is_whole():
    record, names = reply_record("sounds good to me"), ["pass@1", "quality", "held_out_quality", "coverage@10", "held_out_coverage@10"]
    samples = [" ".join(f"{letter}{vowel}" for vowel in "aeio") for letter in "zqvjkwyxhl"]
    known = replace(KNOWN, calibration=PEOPLE, readers=Readers(lambda texts: np.ones((len(texts), 1), dtype=np.float32), **of_replies(1)))
    row = {"samples": samples, "tokens": [9] * 10, "finished": [True] * 4 + [False] * 6}
    found = score_prompt(names, get_domain("replies"), record, row, known)
    assert (found["quality"], found["held_out_quality"], found["held_out_coverage@10"]) == (0.4, 0.4, 4)
    assert (
        found["coverage@10"] == 1
        and score_prompt(names, get_domain("replies"), record, row | {"finished": [False] * 10}, known)["coverage@10"] == 0
    )
    objective = set_objective(graded(), get_domain("replies"), record, row, known.readers)
    # Sets of N = 3, of which the tenth reply is left over; all are alike: one of three, where any counts, in the first two sets.
    assert (
        objective == pytest.approx((1 / 3 + 1 / 3 + 0) / 3)
        and set_objective(graded(), get_domain("replies"), record, row | {"finished": [False] * 10}, known.readers) == 0
    )


@pytest.mark.parametrize("references", [["sounds good to me"], ["sounds good to me", "no way", "zzzz zzzz"]])
def test_human_recall_of_replies(references):
    """A metric that the domain may declare. With one reference, as all prompts of dev and test have, it is pass@k."""
    samples = ["sounds good to me", "no way", *(f"{letter * 4} {letter * 4}x" for letter in "qvjkwyxb")]
    names = [f"{family}@{k}" for family in ("pass", "human_recall") for k in (1, 5, 10)]
    found = scored(names, reply_record(*references), samples)
    for k in (1, 5, 10):
        matched = min(len(references), 2)
        assert found[f"human_recall@{k}"] == pytest.approx(matched * k / 10 / len(references))
        assert (found[f"human_recall@{k}"] == found[f"pass@{k}"]) == (len(references) == 1)
    with pytest.raises(PolychromicError, match="human_recall@5: reads matches"):
        scored(["human_recall@5"], listqa_record(0), ["red"] * 10)


@pytest.mark.parametrize(("name", "prompts", "systems"), [("listqa", 141, 60), ("replies", 64, 15)])
def test_a_domain_is_scored_within_a_minute(name, prompts, systems):
    """Processor time of one system of twenty drafts a prompt, no two alike, on as many prompts as the paper's; models have answered."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmno"), 5)) for _ in range(2000)]
    text = lambda low, high: " ".join(rng.choice(words, rng.integers(low, high)))
    shape = {"listqa": (1, 4), "replies": (4, 24)}[name]
    listqa = {"domain": name, "checker": "set"} if name == "listqa" else {}
    records = {
        f"p{i}": reply_record(text(*shape) + " end", id=f"p{i}", **listqa, **({"valid": words[i : i + 40]} if listqa else {}))
        for i in range(prompts)
    }
    rows = [
        {"seed": 0, "temperature": 1.0, "split": "dev", "id": i, "tokens": [5] * 20,
         "samples": [words[int(rng.integers(2000))] if listqa else text(*shape) for _ in range(20)]}
        for i in records
    ]  # fmt: skip
    vectors: dict[str, np.ndarray] = {}
    embed = lambda texts: np.stack([vectors.setdefault(text, rng.normal(size=384).astype(np.float32)) for text in texts])
    people = {"calibration": replace(PEOPLE, threshold=0.315)} if name == "replies" else {}
    known = replace(KNOWN, readers=Readers(embed, **of_replies(384)), **people)
    values = declared_values()
    values[name]["metrics"] = METRICS[name]
    params = Params.model_validate(values)
    found: list[dict] = []

    def scored() -> None:
        found[:] = score_cell(params, get_domain(name), records, ("polychromic_plain", None, rows), known)

    # timeit leaves the collection of all that other tests made out of it, and the least of several is the work without the neighbours'.
    assert min(timeit.repeat(scored, timer=process_time, number=1, repeat=3)) < 60 / systems
    assert len(found) == prompts and set(found[0]["metrics"]) == {*METRICS[name], "objective"}


WANTED = METRICS["listqa"]


def blocks(names, samples: list[str], tokens, block: int | None = 10, valid=("red", "blue")) -> dict[str, float]:
    row = {"samples": samples, "tokens": tokens} | ({"block": block} if block else {})
    return score_blocks(names, get_domain("listqa"), listqa_record(0, valid=list(valid)), row, KNOWN)


def test_a_list_is_scored_as_a_whole_and_lists_are_averaged():
    """Two lists of ten, with three good answers and with one of the same."""
    valid = ["red", "blue", "green"]
    lists = [["red", "blue", "green", *("no",) * 7], ["red", *("no",) * 9]]
    found = blocks(WANTED, [*lists[0], *lists[1]], [1.5] * 10 + [3.5] * 10, valid=valid)
    alone = [scored(WANTED, listqa_record(0, valid=valid), texts, n) for texts, n in zip(lists, (1.5, 3.5), strict=True)]
    assert found == pytest.approx({name: (alone[0][name] + alone[1][name]) / 2 for name in WANTED})
    assert found["valid_distinct@10"] == (3 + 1) / 2 and found["distinct@10"] == (4 + 2) / 2 and found["tokens"] == 2.5
    assert found["pass@1"] == pytest.approx((3 / 10 + 1 / 10) / 2) and found["pass@10"] == 1
    assert found["pass@3"] == pytest.approx((pass_at(10, 3, 3) + pass_at(10, 1, 3)) / 2)
    assert found["pass@3"] != pytest.approx(pass_at(20, 4, 3)), "as independent draws"
    assert blocks(WANTED, lists[0], [2] * 10, block=None) == scored(WANTED, listqa_record(0, valid=["red", "blue"]), lists[0], 2)


def test_a_list_that_says_nothing_has_no_ratio_of_n_grams():
    """Of two lists the second is empty: ratios of tokens are those of the first, everything else is a mean over both."""
    words = ["red", "blue", *["red"] * 8]
    found, alone = blocks(WANTED, [*words, *[""] * 10], [0.5] * 20), blocks(WANTED, words, [0.5] * 10, block=None)
    for name in ("distinct_1", "ead", "vocabulary"):
        assert found[name] == alone[name] > 0, name
    assert found["distinct_1"] == 2 / 10 and found["vocabulary"] == pytest.approx(2 / sqrt(10))
    assert (found["pass@10"], found["valid_distinct@10"]) == (0.5, 1.0), "silence is no valid answer"
    for names, samples, message in (
        (["distinct_2"], ["red"] * 20, "distinct_2: none of the lists of replies to 'listqa-zorb' has a 2-gram"),
        (["pass@1", "ead"], [""] * 20, "ead: none of the lists .* has a 1-gram"),
    ):
        with pytest.raises(PolychromicError, match=message):
            blocks(names, samples, [1] * 20)


def with_headline(**changes) -> Params:
    """Small params whose headline method has `changes`."""
    params = small_params()
    return params.model_copy(update={"methods": params.methods | {"polychromic": params.methods["polychromic"].model_copy(update=changes)}})


SEMANTIC = {"red": [1.0, 0.0], "blue": [0.5, 3**0.5 / 2], "stone": [0.0, 1.0]}  # red and blue have a cosine of 0.5


@pytest.mark.parametrize(("samples", "block", "changes", "expected"), [
    # Sets of N = 3 of ten samples: the tenth is left over. Distinct valid answers by 3: 2/3, 1/3, 0.
    ("red,blue,red,Red.,stone,reds,a,b,c,blue", None, {}, (2 / 3 + 1 / 3 + 0) / 3),
    # Lists of four: one set of each, red and blue of the first, blue alone of the second; "red" at the ends is left over.
    ("red,blue,no,red,blue,no,no,red", 4, {}, (2 / 3 + 1 / 3) / 2),
    ("red,blue,no,red,blue,no,no,red", 8, {}, (2 / 3 + 2 / 3) / 2),  # as one block: red, blue, no and red, blue, no
    # Mean reward: of the first nine three red ones and one blue one are good.
    ("red,red,red,no,no,no,no,no,blue,red", None, {"objective": "reward"}, 4 / 9),
    # Two valid answers of cosine 0.5 count 1 / 1.5 each.
    ("red,blue,stone", None, {"similarity": "semantic"}, (1 / 1.5 + 1 / 1.5) / 3),
])  # fmt: skip
def test_objective_is_the_headline_method_s_over_disjoint_sets_within_lists(samples, block, changes, expected):
    embed = (lambda texts: np.array([SEMANTIC[text] for text in texts], dtype=np.float32)) if "similarity" in changes else axes
    row = {"samples": samples.split(",")} | ({"block": block} if block else {})
    row["tokens"] = [1] * len(row["samples"])
    record = listqa_record(0, valid=["red", "blue"])
    assert set_objective(with_headline(**changes), get_domain("listqa"), record, row, Readers(embed)) == pytest.approx(expected, abs=1e-6)


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    return tmp_path


def samples_file(cell: str, split: str = "dev") -> Path:
    return paths.cell_dir("listqa", split, cell) / paths.SAMPLES


def graded() -> Params:
    """Small params whose grid on listqa is CELLS, with one seed and temperature."""
    values = small_values() | {"seeds": [0], "domains": ["listqa"]}
    values["methods"] = {name: {**values["methods"][name], "domains": None} for name in dict.fromkeys(cell.split("-")[0] for cell in CELLS)}
    values["listqa"] |= {"lambdas": [0.3], "temperatures": [1.0], "metrics": METRICS["listqa"]}
    values["analysis"]["contrasts"] = values["analysis"]["contrasts"][:1]
    return Params.model_validate(values)


def test_vectors_are_encoded_once_and_come_in_the_order_asked(workspace, monkeypatch):
    make_models(workspace)
    embedder, calls = Embedder(small_params()), []
    encode = Embedder._encode
    monkeypatch.setattr(Embedder, "_encode", lambda self, texts: (calls.append(list(texts)), encode(self, texts))[1])
    first = embedder(["b", "a", "b"])
    assert first.shape == (3, 16) and np.array_equal(first[0], first[2]) and not np.allclose(first[0], first[1])
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-6)
    assert embedder.cut == {}
    again = Embedder(small_params())(["a", "b"])
    assert calls == [["a", "b"]] and np.array_equal(again, first[[1, 0]])


def test_a_run_says_once_how_many_texts_were_cut(workspace, capsys):
    """Whether the vectors are made or were kept, and a text counts once however often it is asked."""
    make_models(workspace)
    long, longer = "a " * 127, "b " * 200
    for _ in range(2):
        embedder = Embedder(small_params())
        embedder([long, "a", longer])
        embedder([long, "b"])
        assert embedder.cut == {long: 128, longer: 128}
    assert capsys.readouterr().err.count("longer") == 0, "nothing per text"


def samples_of(kind: str, cell: str) -> list[str]:
    good = 2 + CELLS.index(cell)
    return ([f"red {kind}", f"blue {kind}"] * 5)[:good] + [f"no {i}" for i in range(10 - good)]


@pytest.fixture
def sampled(workspace) -> Path:
    make_models(workspace)
    write_listqa(workspace)
    ids = [f"listqa-{kind}" for kind in KINDS]
    splits = {"train": ids[:6], "dev": ids[6:10], "test": ids[10:], "calibration": []}
    write_json(workspace / "results" / "listqa" / "split.json", {"domain": "listqa", "seed": 0, "splits": splits})
    for split, kinds in (("dev", KINDS[6:10]), ("test", KINDS[10:])):
        for cell in CELLS:
            fixed = {"seed": 0, "temperature": 1.0, "split": split, "tokens": [3] * 10, "finished": [True] * 10}
            fixed |= {"machine": f"machine {cell == 'lora'}"} if split == "test" else {}
            rows = [{**fixed, "id": f"listqa-{kind}", "samples": samples_of(kind, cell)} for kind in kinds]
            write_jsonl(samples_file(cell, split), rows)
    write_norms(graded(), "listqa")
    return workspace


def test_the_stage_scores_every_row_of_the_cells_named_and_no_other(sampled):
    write_jsonl(samples_file("polychromic-9.0"), [{"id": "left over from another run"}])
    score(graded(), "listqa", "dev")
    rows = [row for _, row in read_jsonl("results/listqa/dev/scores.jsonl.gz")]
    assert len(rows) == len(CELLS) * 4
    assert read_json("results/listqa/dev/calibration.json") is None
    signatures = read_json("results/listqa/dev/signatures.json")
    assert set(signatures) == set(METRICS["listqa"])
    assert "|k:10|checker:listqa|valid answers of the data|samples:10|" in signatures["pass@10"]
    assert "|model:model|precision:float32|first:4|prompt:zero_shot|" in signatures["perplexity"]
    for row in rows:
        assert set(row) == {"method", "lambda", "seed", "temperature", "split", "id", "metrics"}
        cell = row["method"] if row["lambda"] is None else f"{row['method']}-{row['lambda']}"
        assert row["metrics"]["pass@1"] == pytest.approx((2 + CELLS.index(cell)) / 10)
        assert row["metrics"]["valid_distinct@10"] == 2
        assert set(row["metrics"]) == {*METRICS["listqa"], "objective"}
    before = Path("results/listqa/dev/scores.jsonl.gz").read_bytes()
    score(graded(), "listqa", "dev")
    assert Path("results/listqa/dev/scores.jsonl.gz").read_bytes() == before


@pytest.mark.parametrize("change", ["less", "more", "gone"])
def test_a_cell_without_samples_or_with_those_of_another_split_is_refused(sampled, change):
    path = samples_file("lora")
    rows = [row for _, row in read_jsonl(path)]
    write_jsonl(path, rows[1:] if change == "less" else [*rows, {**rows[0], "id": f"listqa-{KINDS[12]}"}])
    if change == "gone":
        path.unlink()
    said = r"the cell was not sampled\. Run `dvc repro`" if change == "gone" else r"its prompts are not those of the split \(1 differ"
    with pytest.raises(PolychromicError, match=f"dev/lora/samples.jsonl.gz: {said}"):
        score(graded(), "listqa", "dev")
    assert not paths.scores_file("listqa", "dev").exists()


def test_test_is_scored_as_it_was_declared_and_apart_from_dev(sampled, monkeypatch):
    score(graded(), "listqa", "test")
    rows = [row for _, row in read_jsonl(paths.scores_file("listqa", "test"))]
    declared = [("zero_shot", None), ("few_shot", None), ("lora", None), ("polychromic", 3.0)]
    assert list(dict.fromkeys((row["method"], row["lambda"]) for row in rows)) == declared, "polychromic_plain was not"
    assert len(rows) == 4 * 4 and {row["split"] for row in rows} == {"test"} and not paths.scores_file("listqa", "dev").exists()
    for method, lam in declared:
        cell = paths.cell_name(method, lam)
        assert {row["metrics"]["pass@1"] for row in rows if row["method"] == method} == {(2 + CELLS.index(cell)) / 10}
    assert read_json(paths.machines_file("listqa")) == {"machine False": ["zero_shot", "few_shot", "polychromic"], "machine True": ["lora"]}


def test_a_kill_loses_the_likelihoods_of_one_seed_and_temperature_and_changes_no_bit(sampled, monkeypatch):
    """Of two seeds and two temperatures, killed in the third unit: the first two are not asked again."""
    records = {f"listqa-{kind}": listqa_record(KINDS.index(kind)) for kind in KINDS[6:10]}
    of = lambda seed, temperature, name: [f"{seed} {name}", f"blue {temperature}", "red", "red", f"unread {seed}"]
    rows = [
        {"seed": seed, "temperature": temperature, "id": name, "samples": of(seed, temperature, name), "tokens": [2] * 5}
        for seed in (0, 1) for temperature in (0.5, 1.0) for name in records
    ]  # fmt: skip
    calls, die_at, real = [], [99], readers.log_likelihoods

    def watched(model, tokenizer, asked, *rest):
        calls.append([reply for _, replies in asked for reply in replies])
        if len(calls) == die_at[0]:
            raise KeyboardInterrupt
        return real(model, tokenizer, asked, *rest)

    monkeypatch.setattr(readers, "log_likelihoods", watched)

    def ask() -> list:
        recorded = Recorded(graded(), get_domain("listqa"))
        recorded.prepare(records, rows)
        return [recorded.sums(row["id"], row["samples"][:4]).tolist() for row in rows]

    files = lambda: {path.name: path.read_bytes() for path in (paths.cache_dir() / "likelihood").iterdir()}
    with monkeypatch.context() as patch:
        patch.setenv("POLYCHROMIC_CACHE", str(sampled / "other"))
        wanted, kept = ask(), files()
    assert len(calls) == len(kept) == 4 and not any("unread" in text for texts in calls for text in texts), "those of the first few"
    calls.clear()
    die_at[0] = 3
    with pytest.raises(KeyboardInterrupt):
        ask()
    assert ask() == wanted and len(calls) == 3 + 2 and files() == kept
    assert ask() == wanted and len(calls) == 3 + 2, "all is kept"
