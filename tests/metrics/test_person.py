"""Calibration on constructed humans: texts of letters that nobody else uses, so that every match is known."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import sacrebleu

from polychromic.data.records import Record
from polychromic.errors import PolychromicError
from polychromic.metrics import person
from polychromic.metrics.person import GRID, RATIO, calibrate

_letters = count(0x4E00)


def unique(length: int = 8) -> str:
    return "".join(chr(next(_letters)) for _ in range(length))


def opener(number: int, replies: list[str]) -> Record:
    return Record(
        id=f"o{number}", domain="replies", prompt=f"prompt {number}", references=replies, group=f"g{number}", stratum="opener",
        checker="person", source="made", licence="MIT",
    )  # fmt: skip


def pairs(number: int, size: int = 22, common: str = "") -> Record:
    """Each reply has one twin under the same prompt."""
    return opener(number, [common + text for text in (unique() for _ in range(size // 2)) for _ in range(2)])


def test_rates_ceiling_and_floor_of_twins():
    found = calibrate([pairs(0), pairs(1), pairs(2)], seed=0)
    assert found.threshold == GRID[0] == 0.05
    assert found.within == pytest.approx(1 / 21) and found.across == 0
    assert found.ceiling == pytest.approx(10 / 21), "one match among 21 others, ten are looked at"
    assert found.floor == 0
    assert (found.n_prompts, found.n_replies) == (3, 66)
    assert set(found.as_dict()) == {"threshold", "within", "across", "ceiling", "floor", "n_prompts", "n_replies"}


def test_the_threshold_is_the_lowest_that_common_words_do_not_reach():
    """All replies share their end; strangers are as alike as that, twins are equal."""
    records = [pairs(number, common="well then ") for number in range(2)]
    stranger = sacrebleu.CHRF().sentence_score(records[0].references[0], [records[1].references[0]]).score / 100
    assert 0.2 < stranger < 0.6
    found = calibrate(records, seed=0)
    assert found.threshold == pytest.approx(min(t for t in GRID if t >= stranger - 1e-12))
    assert found.across == 0 and found.within == pytest.approx(1 / 21)


def test_matches_across_prompts_count_against_the_threshold_by_the_ratio():
    """Twins within; and k texts that stand under both prompts: across = 2k / (2 * 22 * 22)."""

    def records(k: int) -> list[Record]:
        shared = [unique() for _ in range(k)]
        made = []
        for number in range(2):
            twins = [text for text in (unique() for _ in range((22 - k) // 2)) for _ in range(2)]
            made.append(opener(number, twins + shared))
        return made

    few, many = 2, 12
    found = calibrate(records(few), seed=0)
    assert found.across == pytest.approx(few / 22**2) and found.within == pytest.approx(20 / (22 * 21))
    assert found.within >= RATIO * found.across and found.floor > 0
    assert 10 / (22 * 21) < RATIO * many / 22**2
    with pytest.raises(PolychromicError, match="no chrF threshold makes human replies match 5 times as often"):
        calibrate(records(many), seed=0)


def test_the_floor_repeats_by_seed():
    shared = [unique() for _ in range(3)]
    records = [opener(n, [*pairs(n, 20).references, *shared]) for n in range(3)]
    assert calibrate(records, seed=1) == calibrate(records, seed=1)
    assert calibrate(records, seed=1).threshold == calibrate(records, seed=2).threshold


def test_prompts_with_few_replies_are_left_out_and_two_are_needed():
    few = opener(9, [unique() for _ in range(10)])
    assert calibrate([pairs(0), pairs(1), few], seed=0).n_prompts == 2
    with pytest.raises(PolychromicError, match="calibration has 1 prompts with 11 or more human replies. Needed: 2"):
        calibrate([pairs(0), few], seed=0)


def test_two_prompts_of_eleven_replies_are_enough():
    records = [opener(number, [*pairs(number, 10).references, unique()]) for number in range(2)]
    assert calibrate(records, seed=0).floor == 0


def test_humans_who_never_agree_cannot_calibrate():
    records = [opener(number, [unique() for _ in range(22)]) for number in range(2)]
    with pytest.raises(PolychromicError, match="no chrF threshold"):
        calibrate(records, seed=0)


def test_the_ceiling_scores_drafts_against_the_held_out_reply(monkeypatch):
    """chrF weighs recall: a long draft that holds a short reply matches it, the short one does not match the long one."""
    monkeypatch.setattr(person, "GRID", np.array([0.2]))
    records = []
    for number in range(3):
        short = [unique() for _ in range(11)]
        records.append(opener(number, [*short, "".join(short)]))
    # a short reply held out: the long draft among 11 others; the long one held out: none
    assert calibrate(records, seed=0).ceiling == pytest.approx((11 * 10 / 11 + 0) / 12)
