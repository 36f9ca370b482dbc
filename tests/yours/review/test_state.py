"""Decisions as a state machine: undoing everything is the start, replaying the log is the state, whatever was done."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.review.candidates import some

from polychromic.yours.review.state import REASONS, Action, Decision, Review, accepted, replay

RECORDS = some(6)
IDS = tuple(RECORDS)
names = st.sampled_from(IDS)
texts = st.sampled_from(["one", "two [b]x[/b]", "caf\u00e9 \U0001f602"])
actions = st.one_of(
    st.builds(Action, st.just("accept"), names),
    st.builds(Action, st.just("skip"), names),
    st.builds(Action, st.just("reject"), names, st.sampled_from(sorted(REASONS))),
    st.builds(Action, st.just("reject"), names, st.just("other"), texts),
    st.builds(Action, st.just("edit"), names, prompt=texts, reply=texts),
    st.just("undo"),
)


def run(steps: list) -> tuple[Review, list[Action]]:
    """A review in which "undo" takes back whatever is last, and the actions that its log would hold."""
    review, done = Review(IDS), []
    for step in steps:
        if step == "undo":
            if review.undoable is None:
                continue
            step = Action("undo", review.undoable.id)
        review.do(step)
        done.append(step)
    return review, done


@given(st.lists(actions, max_size=40))
def test_replaying_the_log_gives_the_state_and_the_set(steps):
    review, log = run(steps)
    again = replay(IDS, log)
    assert again.decisions == review.decisions and again.undoable == review.undoable
    records = list(RECORDS.values())
    assert accepted(records, again) == accepted(records[::-1], review)


@given(st.lists(actions, max_size=40))
def test_undoing_everything_is_the_start(steps):
    review, log = run(steps)
    depth = 0
    while review.undoable is not None:
        review.do(Action("undo", review.undoable.id))
        depth += 1
    assert review.decisions == {} and review.counts()["undecided"] == len(IDS)
    undone = sum(action.act == "undo" for action in log)
    assert depth == len(log) - 2 * undone


@given(st.lists(actions, max_size=25), actions.filter(lambda a: a != "undo"))
def test_undo_is_the_inverse_of_any_action(steps, action):
    review, _ = run(steps)
    before, undoable = dict(review.decisions), review.undoable
    review.do(action)
    review.do(Action("undo", action.id))
    assert review.decisions == before and review.undoable == undoable


@given(st.lists(actions, max_size=40))
def test_counts_add_up(steps):
    counts = run(steps)[0].counts()
    assert counts["accepted"] + counts["rejected"] == counts["reviewed"] == counts["candidates"] - counts["undecided"]
    assert 0 <= counts["edited"] <= counts["accepted"]


def test_the_last_decision_holds_and_a_skip_decides_nothing():
    review = replay(IDS, [Action("accept", IDS[0]), Action("reject", IDS[0], "spam"), Action("skip", IDS[0]), Action("skip", IDS[1])])
    assert review.decisions == {IDS[0]: Decision("reject", "spam")}


def test_accepting_an_edited_pair_keeps_the_edit_and_rejecting_drops_it():
    edit = Action("edit", IDS[0], prompt="p", reply="r")
    assert replay(IDS, [edit, Action("accept", IDS[0])]).decisions[IDS[0]].texts == ("p", "r")
    review = replay(IDS, [edit, Action("reject", IDS[0], "spam"), Action("accept", IDS[0])])
    assert review.decisions[IDS[0]] == Decision("accept")


def test_the_set_is_in_the_order_of_ids_with_edits_and_all_else_kept():
    review = replay(IDS, [Action("accept", IDS[4]), Action("edit", IDS[1], prompt="p", reply="r"), Action("reject", IDS[2], "spam")])
    found = accepted(list(RECORDS.values()), review)
    assert [record.id for record in found] == [IDS[1], IDS[4]]
    assert (found[0].prompt, found[0].references) == ("p", ["r"]) and found[1] == RECORDS[IDS[4]]
    assert found[0].model_copy(update={"prompt": "post 1", "references": ["reply 1"]}) == RECORDS[IDS[1]]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (Action("accept", "none"), "id 'none' is none of the candidates"),
        (Action("undo", IDS[0]), "what can be undone is nothing"),
        (Action("reject", IDS[0]), "reason ''; allowed: off_topic, context"),
        (Action("reject", IDS[0], "other"), "other with a note"),
        (Action("edit", IDS[0], prompt=" ", reply="x"), "an edit with an empty text"),
    ],
)
def test_an_action_that_cannot_be_changes_nothing(action, message):
    review = Review(IDS)
    with pytest.raises(ValueError, match=message):
        review.do(action)
    assert review.decisions == {} and review.undoable is None
    review.do(Action("accept", IDS[1]))
    with pytest.raises(ValueError, match=r"the action on 'replies-001'"):
        review.do(Action("undo", IDS[0]))
