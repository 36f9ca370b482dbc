"""Calibration on constructed humans: texts of letters that nobody else uses, so that every match is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations, count

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as hs

from polychromic.base.errors import PolychromicError
from polychromic.data.records import Record
from polychromic.score import people as person
from polychromic.score.people import GRID, RATIO, calibrate, held_out, match_rates, rates_by_message

_letters = count(0x4E00)


def unique() -> str:
    return "".join(chr(next(_letters)) for _ in range(8))


def uniques(count: int) -> list[str]:
    return [unique() for _ in range(count)]


def opener(number: int, replies: list[str]) -> Record:
    return Record(
        id=f"o{number}", domain="replies", prompt=f"prompt {number}", references=replies, group=f"g{number}", stratum="opener",
        checker="person", source="made", licence="MIT",
    )  # fmt: skip


def pairs(number: int, size: int = 22, common: str = "", more: Sequence[str] = ()) -> Record:
    """Each reply has one twin under the same prompt, and `more` have none."""
    return opener(number, [*(common + text for text in uniques(size // 2) for _ in range(2)), *more])


def test_rates_ceiling_and_floor_of_twins():
    found = calibrate([pairs(0), pairs(1), pairs(2), opener(9, uniques(10))], seed=0)
    rates = {"within": 1 / 21, "across": 0, "ceiling": 10 / 21, "floor": 0}  # one match among 21 others, ten are looked at
    about = {"threshold": GRID[0], "n_prompts": 3, "n_replies": 66}  # the one with few replies is left out
    assert GRID[0] == 0.05 and asdict(found) == pytest.approx(rates | about)
    assert calibrate([pairs(number, 10, more=uniques(1)) for number in range(2)], seed=0).floor == 0, "two prompts of eleven are enough"


def test_the_threshold_is_the_lowest_that_common_words_do_not_reach():
    """All replies share their end; strangers are as alike as that, twins are equal."""
    records = [pairs(number, common="well then ") for number in range(2)]
    stranger = sacrebleu.CHRF().sentence_score(records[0].references[0], [records[1].references[0]]).score / 100
    assert 0.2 < stranger < 0.6
    found = calibrate(records, seed=0)
    assert found.threshold == pytest.approx(min(t for t in GRID if t >= stranger - 1e-12))
    assert found.across == 0 and found.within == pytest.approx(1 / 21)


def under_both(k: int) -> list[Record]:
    """Twins within; and k texts that stand under both prompts: across = 2k / (2 * 22 * 22)."""
    shared = uniques(k)
    return [pairs(number, 22 - k, more=shared) for number in range(2)]


def test_matches_across_prompts_count_against_the_threshold_by_the_ratio():
    records = under_both(2)
    found = calibrate(records, seed=0)
    assert found.across == pytest.approx(2 / 22**2) and found.within == pytest.approx(20 / (22 * 21))
    assert found.within >= RATIO * found.across and found.floor > 0
    assert found == calibrate(records, seed=0) and found.threshold == calibrate(records, seed=2).threshold, "the floor repeats by seed"


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([pairs(0), opener(9, uniques(10))], "calibration has 1 prompts with 11 or more human replies. Needed: 2"),
        (under_both(12), "no chrF threshold makes human replies match 5 times as often"),  # 10 / (22 * 21) < 5 * 12 / 22^2
        ([opener(number, uniques(22)) for number in range(2)], "no chrF threshold"),
    ],
)
def test_people_who_do_not_agree_cannot_calibrate(records, message):
    with pytest.raises(PolychromicError, match=message):
        calibrate(records, seed=0)


def test_the_ceiling_scores_drafts_against_the_held_out_reply(monkeypatch):
    """chrF weighs recall: a long draft that holds a short reply matches it, the short one does not match the long one."""
    monkeypatch.setattr(person, "GRID", np.array([0.2]))
    records = [opener(number, [*short, "".join(short)]) for number, short in enumerate(uniques(11) for _ in range(3))]
    # a short reply held out: the long draft among 11 others; the long one held out: none
    assert calibrate(records, seed=0).ceiling == pytest.approx((11 * 10 / 11 + 0) / 12)


# drafts beside people

KS = (1, 2, 3)


def by_enumeration(matches: np.ndarray, targets, k: int, own: bool) -> tuple[float, float]:
    """The definitions: every k of the drafts that are not held out, every held-out reply."""
    n, people = matches.shape
    recall = []
    for h in range(people):
        drafts = [i for i in range(n) if not (own and i == h)]
        recall.append(np.mean([matches[list(some), h].any() for some in combinations(drafts, k)]))
    passed = []
    for split in targets:
        drafts = [i for i in range(n) if not (own and i in split)]
        passed.append(np.mean([matches[np.ix_(some, split)].any() for some in combinations(drafts, k)]))
    return float(np.mean(recall)), float(np.mean(passed))


@given(hs.integers(0, 2**32 - 1), hs.booleans(), hs.integers(1, 3))
def test_match_rates_against_enumeration(seed, own, held):
    rng = np.random.default_rng(seed)
    people = 6
    matches = rng.random((people if own else int(rng.integers(3, 7)), people)) < 0.3
    targets = np.array([rng.permutation(people)[:held] for _ in range(4)])
    found = match_rates(matches, targets, KS, own)
    for place, k in enumerate(KS):
        assert found[:, place] == pytest.approx(by_enumeration(matches, targets.tolist(), k, own), abs=1e-12)


def test_people_s_rate_is_the_ceiling_of_the_calibration():
    records = [pairs(number, common="well then ") for number in range(3)]
    found = calibrate(records, seed=0)
    replies = [record.references for record in records]
    targets = [held_out(22, np.random.default_rng(0)) for _ in records]
    own, floor = rates_by_message(replies, replies, targets, found.threshold, (10,), own=True)
    assert own[0, 0].mean() == pytest.approx(found.ceiling) and (floor == 0).all()


def test_the_floor_is_the_mean_over_all_other_messages():
    """Message 0 hears drafts of 1 (all said by its people) and of 2 (none): half of the drafts that match."""
    people = [pairs(number).references for number in range(3)]
    drafts = [uniques(10), [people[0][0]] * 10, [people[2][0], *uniques(9)]]
    targets = [held_out(22, np.random.default_rng(number)) for number in range(3)]
    own, floor = rates_by_message(drafts, people, targets, 0.5, (1, 10))
    assert own.shape == floor.shape == (2, 2, 3)
    assert own[0] == pytest.approx(np.array([[0, 0, 2 / 22 / 10], [0, 0, 2 / 22]]))
    assert floor[0] == pytest.approx(np.array([[2 / 22 / 2, 0, 0]] * 2))


def test_more_drafts_than_people_leave_are_an_error():
    with pytest.raises(PolychromicError, match="k = 3 with n = 2"):
        match_rates(np.zeros((3, 3), bool), np.array([[0]]), (3,), own=True)
