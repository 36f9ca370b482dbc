"""Questions, verdicts and statistics against values that are known, and the speed of scoring."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.judge import files, results, stats, work
from polychromic.judge.prompt import system_text, user_text
from polychromic.judge.questions import Asked, Replies, draw, in_order, once
from polychromic.judge.results import Judge, Plan
from polychromic.judge.rubric import FOLDER, load_rubric, rubric_of
from polychromic.judge.store import Reply, Store, record
from polychromic.judge.verdicts import read
from polychromic.yours.review.results import kappa
from tests.judge.service import oracle, sides, write_replies

WHO = Judge("anthropic", "claude-haiku-5-5")


def replies(name: str, prompts: int = 6, seeds: int = 2, samples: int = 6, text=lambda *at: "-".join(map(str, at))) -> Replies:
    ids = {f"p{i}": f"Prompt {i}" for i in range(prompts)}
    texts = {(seed, f"p{i}"): [text(name, seed, i, j) for j in range(samples)] for seed in range(seeds) for i in range(prompts)}
    return Replies("general", name, ids, texts)


def plan_of(a: Replies, b: Replies, repeats: int = 0, **sizes: int) -> Plan:
    return Plan(draw(a, b, sizes or {"single": 1}, None, 0), {"general": rubric_of("general")}, 0, repeats)


def recorded(plan: Plan, verdict, who: Judge = WHO) -> Store:
    """A store that holds a verdict for each call: verdict(asked) -> "first", "second", "tie", or a Reply."""
    store = Store(None)
    for asked in plan.asks(who):
        found = verdict(asked)
        reply = found if isinstance(found, Reply) else Reply(f'{{"rationale": "r", "verdict": "{found}"}}', "end_turn")
        store.extend([record(plan.request(who, asked), reply, 0.0, False)])
    return store


def row(plan: Plan, store: Store, who: Judge = WHO) -> dict:
    return work.score(plan, store, [who], 0, 500)["judges"][0]["contrasts"][0]


def test_draws_come_from_the_seed_and_both_orders_follow_each_other():
    a, b = replies("a"), replies("b", seeds=1)
    first, again, other = (draw(a, b, {"single": 1, "set": 3}, 4, seed) for seed in (0, 0, 1))
    assert [(one.name, one.replies) for one in first] == [(one.name, one.replies) for one in again]
    assert {one.id for one in first} != {one.id for one in other} or [one.replies for one in first] != [one.replies for one in other]
    assert len(first) == 2 * 2 * 4 and {one.seed for one in first} == {0, 1}, "the system with one seed goes round"
    assert all(len(set(one.replies["a"])) == (3 if one.kind == "set" else 1) for one in first)
    orders = in_order(first, 0, repeats=2)
    assert len(orders) == 36 and [one.repeat for one in orders] == [0] * 32 + [1] * 4
    for x, y in zip(orders[::2], orders[1::2], strict=True):
        assert x.question is y.question and {x.first, y.first} == {"a", "b"}
    assert [one.question.name for one in orders[:32:2]] != [one.name for one in first], "mixed"
    firsts = [one.first for one in once(first, 0, "anna")]
    assert len(firsts) == 16 and set(firsts) == {"a", "b"} and firsts != [one.first for one in once(first, 0, "ben")]


def test_too_few_replies_no_shared_prompt_and_nothing_to_ask_about_are_one_message(tmp_path: Path):
    with pytest.raises(PolychromicError, match=r"a has 6 replies to 'p0' \(seed 0\), a set needs 7\. Allowed: as many or more"):
        draw(replies("a"), replies("b"), {"set": 7}, None, 0)
    other = Replies("general", "b", {"q": "Other"}, {(0, "q"): ["x"]})
    with pytest.raises(PolychromicError, match="a and b have no prompt in common"):
        draw(replies("a"), other, {"single": 1}, None, 0)
    said: list[str] = []
    more = write_replies(tmp_path / "more.jsonl", lambda i, j: "x", 3)
    assert len(files.plan(more, write_replies(tmp_path / "less.jsonl", lambda i, j: "y", 2), say=said.append).questions) == 2
    assert said == ["'more' and 'less' answer different prompts (1 of 'more' that 'less' lacks, such as 'p002'); "
                    "the questions are about those in common"]  # fmt: skip
    a = write_replies(tmp_path / "a.jsonl", lambda i, j: "x", 1)
    b = write_replies(tmp_path / "b.jsonl", lambda i, j: "y", 1)
    for sets, single in ((0, False), (1, True)):
        with pytest.raises(UsageError, match="nothing to ask about"):
            files.plan(a, b, sets=sets, single=single)
    with pytest.raises(UsageError, match="--rubric 'poems' does not exist. Allowed: code, creative, general, listqa, replies"):
        files.plan(a, b, rubric="poems")
    (tmp_path / "mine.yaml").write_text("about: poems\ncriteria: {rhyme: it rhymes}\n")
    with pytest.raises(UsageError, match="mine.yaml: set: Field required"):
        files.plan(a, b, rubric=str(tmp_path / "mine.yaml"))
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(PolychromicError, match="holds no line"):
        files.plan(a, tmp_path / "empty.jsonl")


def test_each_domain_has_a_rubric_with_the_four_criteria_and_sets_have_variety():
    for path in sorted(FOLDER.glob("*.yaml")):
        rubric = load_rubric(path)
        assert list(rubric.of("single")) == ["engagement", "relevance", "creativity", "naturalness"]
        assert list(rubric.of("set")) == [*rubric.of("single"), "variety"]
        assert all(f"- {name}: " in system_text(rubric, "set") for name in rubric.of("set"))
        assert rubric.about in system_text(rubric, "single")
    assert rubric_of("unheard_of") == rubric_of("general")


def test_the_side_that_is_asked_first_is_the_one_shown_first():
    (one, *_) = draw(replies("a"), replies("b"), {"set": 2}, None, 0)
    for first, second in (("a", "b"), ("b", "a")):
        assert sides(user_text(Asked(one, first))) == (list(one.replies[first]), list(one.replies[second]))


def test_identical_sides_are_ties_that_nobody_is_asked_about():
    same = lambda name, seed, i, j: "same" if i < 2 else f"{name} {j}"
    plan = plan_of(replies("a", 6, 1, text=same), replies("b", 6, 1, text=same))
    assert len(plan.asks(WHO)) == 8
    found = row(plan, recorded(plan, lambda asked: "first" if asked.first == "a" else "second"))
    assert (found["identical"], found["questions"], found["scored"], found["consistency"]["both"]) == (2, 6, 6, 4)
    assert (found["win"]["value"], found["tie"]["value"], found["score"]["value"]) == pytest.approx((4 / 6, 2 / 6, 5 / 6))
    everything = plan_of(*(replies(name, 3, 1, text=lambda *at: "same") for name in "ab"))
    found = row(everything, Store(None))
    assert everything.asks(WHO) == [] and found["tie"]["value"] == 1.0 and found["first"] == {"n": 0, "share": None}


def test_the_conservative_rule_and_the_averaged_score():
    """Per question: what both orders say -> outcome of a, score."""
    plan = plan_of(replies("a", 5, 1), replies("b", 5, 1))
    says = {"p0": "aa", "p1": "ab", "p2": "a=", "p3": "==", "p4": "bb"}  # whom the order with a first prefers, and the other

    def verdict(asked: Asked) -> str:
        preferred = says[asked.question.id][asked.first == "b"]
        return "tie" if preferred == "=" else "first" if preferred == asked.first else "second"

    answers = results.answers(plan, WHO, recorded(plan, verdict))
    found = {one.id: (answers.outcome(one), answers.score(one)) for one in plan.questions}
    assert found == {"p0": ("win", 1.0), "p1": ("tie", 0.5), "p2": ("tie", 0.75), "p3": ("tie", 0.5), "p4": ("loss", 0.0)}
    total = row(plan, recorded(plan, verdict))
    assert [total[name]["value"] for name in ("win", "tie", "loss", "score")] == pytest.approx([0.2, 0.6, 0.2, 0.55])
    assert total["consistency"] == {"agree": 3, "both": 5, "share": 0.6} and total["first"] == {"n": 7, "share": 5 / 7}
    assert total["score"]["low"] < 0.55 < total["score"]["high"]


def test_one_prompt_and_nothing_scored_have_results_that_say_so():
    plan = plan_of(replies("a", 1, 1), replies("b", 1, 1))
    found = row(plan, recorded(plan, lambda asked: "first"))
    assert found["score"] == {"value": 0.5, "low": 0.5, "high": 0.5} and found["length_controlled"]["value"] == pytest.approx(0.5)
    lost = row(plan, recorded(plan, lambda asked: Reply(stop="refusal")))
    assert (lost["scored"], lost["score"], lost["length_controlled"], lost["bounds"]) == (0, None, None, [0.0, 1.0])
    assert lost["missing"] == {"refusal": 2}


def test_missing_questions_bound_the_score():
    plan = plan_of(replies("a", 10, 1), replies("b", 10, 1))
    lose = {"p0", "p1", "p2"}
    found = row(plan, recorded(plan, lambda asked: Reply(error="expired") if asked.question.id in lose and asked.first == "a" else
                               "first" if asked.first == "a" else "second"))  # fmt: skip
    assert found["missing"] == {"expired": 3} and found["scored"] == 7 and found["bounds"] == [0.7, 1.0]


@pytest.mark.parametrize("reply, reason", [
    ({"text": '{"rationale": "r", "verdict": "tie"}', "stop": "refusal"}, "refusal"),
    ({"text": '{"rationale": "r", "verdict": "tie"}', "stop": "max_tokens"}, "truncated"), ({}, "malformed"),
    ({"error": "expired"}, "expired"), ({"text": "[" * 100_000}, "malformed"),
    ({"text": '{"rationale": "r", "verdict": "TIE"}'}, "malformed"),
])  # fmt: skip
def test_reasons_come_before_what_the_text_looks_like(reply: dict, reason: str):
    assert read({"reply": reply}) == (None, reason, "")
    assert read(None).reason == "not asked"


def test_kappa_of_the_table_that_everybody_knows():
    """20 / 5 / 10 / 15: 0.4 (Wikipedia, Cohen's kappa)."""
    assert kappa([[20, 5], [10, 15]])["value"] == pytest.approx(0.4)


def test_two_judges_agree_per_question_and_one_verdict_alone_has_no_kappa():
    plan = plan_of(replies("a", 50, 1), replies("b", 50, 1), single=1, set=2)
    other = Judge("anthropic", "claude-sonnet-5-5")
    place = {one.name: i for i, one in enumerate(one for one in plan.questions if one.kind == "single")}
    kinds = ["aa"] * 20 + ["ab"] * 5 + ["ba"] * 10 + ["bb"] * 15  # whom the first and the second judge prefer

    def says(which: int):
        def verdict(asked: Asked) -> str:
            prefers = kinds[place[asked.question.name]][which] if asked.question.name in place else "a"
            return "first" if prefers == asked.first else "second"

        return verdict

    store = recorded(plan, says(0))
    store.records |= recorded(plan, says(1), other).records
    single, sets, every = work.score(plan, store, [WHO], 0, 200)["agreement"]
    assert single["table"] == [[20, 0, 5], [0, 0, 0], [10, 0, 15]] and single["kappa"]["value"] == pytest.approx(0.4)
    assert single["same"] == 0.7 and single["judges"] == [WHO.model, other.model]
    assert sets["kappa"] == {"value": None, "low": None, "high": None} and (sets["n"], every["n"]) == (50, 100)


def test_stability_counts_what_was_asked_again():
    plan = plan_of(replies("a", 8, 1), replies("b", 8, 1), repeats=4)
    store = recorded(plan, lambda asked: "tie" if asked.repeat and asked.first == "b" else "first")
    judge = work.score(plan, store, [WHO], 0, 200)["judges"][0]
    assert judge["stability"] == {"n": 8, "same": 4, "share": 0.5} and judge["contrasts"][0]["scored"] == 8


def test_length_control_is_the_ridge_glm():
    rng = np.random.default_rng(0)
    x = stats.length_feature(rng.normal(3, 20, 300))
    y = (rng.random(300) < 1 / (1 + np.exp(-(0.6 + 1.5 * x)))) * 0.5 + (rng.random(300) < 0.6) * 0.5
    y[5] = np.nan
    there = ~np.isnan(y)
    model = sm.GLM(y[there], sm.add_constant(x[there]), family=sm.families.Binomial())
    fitted = model.fit_regularized(alpha=np.array([0, stats.RIDGE]), L1_wt=0).params
    (rate, slope), = stats.length_controlled(y, x, np.ones((1, 300)))
    assert slope == pytest.approx(fitted[1], abs=2e-3) and rate == pytest.approx(1 / (1 + np.exp(-fitted[0])), abs=1e-3)
    twice = stats.length_controlled(y, x, np.full((1, 300), 2.0))
    assert twice[0] == pytest.approx([rate, slope])


def test_length_control_has_an_answer_where_nothing_varies_or_all_is_one():
    ones = np.ones((1, 6))
    assert stats.length_feature([3, 3, 3]).tolist() == [0, 0, 0]
    for y, expected in ((np.full(6, 0.5), 0.5), (np.ones(6), 1.0), (np.zeros(6), 0.0)):
        for x in (np.zeros(6), np.linspace(-1, 1, 6)):
            assert stats.length_controlled(y, x, ones)[0, 0] == pytest.approx(expected, abs=1e-5)


def test_the_bootstrap_draws_seeds_and_prompts():
    """With one effect per seed and none per prompt the interval is that of seeds; with one seed, that of prompts."""
    rng = lambda: np.random.default_rng(1)
    by_seed = np.repeat([[0.0], [1.0]], 50, axis=1).reshape(1, -1)
    low, high = stats.bootstrap(stats.weighted_means(by_seed), (2, 50), rng(), 2000, 0.95)
    assert (low[0], high[0]) == (0.0, 1.0)
    by_prompt = np.tile(np.arange(100) % 2, 1).astype(float).reshape(1, -1)
    low, high = stats.bootstrap(stats.weighted_means(by_prompt), (1, 100), rng(), 4000, 0.95)
    assert (low[0], high[0]) == pytest.approx((0.4, 0.6), abs=0.02)
    holes = by_prompt.copy()
    holes[0, ::2] = np.nan
    low, high = stats.bootstrap(stats.weighted_means(holes), (1, 100), rng(), 500, 0.95)
    assert (low[0], high[0]) == (1.0, 1.0)


@pytest.mark.slow
def test_five_hundred_prompts_and_three_contrasts_are_scored_in_ten_seconds(tmp_path: Path):
    names = ("a", "b", "c", "d")
    text = lambda name, seed, i, j: f"{'good' * ((i * ord(name)) % 7 % 2)} {name * (i % 30)}"
    systems = {name: replies(name, 500, 1, 1, text) for name in names}
    questions = [one for other in names[1:] for one in draw(systems["a"], systems[other], {"single": 1}, None, 0)]
    plan = Plan(questions, {"general": rubric_of("general")}, 0)
    store = Store(tmp_path / "calls.jsonl")
    made = []
    for asked in plan.asks(WHO):
        found = Reply(f'{{"rationale": "r", "verdict": "{oracle(*sides(user_text(asked)))}"}}', "end_turn")
        made.append(record(plan.request(WHO, asked), found, 0.001, True))
    store.extend(made)
    assert 2500 < len(made) <= 3000
    started = time.process_time()
    fresh = Plan(questions, plan.rubrics, 0)
    document = work.score(fresh, Store(tmp_path / "calls.jsonl"), [WHO], 0, 10_000)
    assert time.process_time() - started < 10 and len(document["judges"][0]["contrasts"]) == 3
