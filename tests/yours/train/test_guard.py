"""A quality function of the user's that raises, leaves, returns what it must not, takes long, prints or changes the row."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.yours.train.guard import Guard, load_function

ROW, REPLIES = {"prompt": "Name a fruit.", "references": ["fig"]}, ["fig", "plum", "fig", "x"]


def raising(row, replies):
    raise KeyError("answers")


def leaving(row, replies):
    raise SystemExit(3)


FAULTS = [
    (raising, r"--quality mine raised KeyError: 'answers' at .*test_guard.py:\d+; prompt: 'Name a fruit.'. Allowed: N numbers in \[0, 1\]"),
    (leaving, "--quality mine tried to end the program: 3"),
    (lambda row, replies: [float("nan")] * 4, r"mine returned nan at \(0,\), expected numbers in \[0, 1\]; replies: \['fig'"),
    (lambda row, replies: [1.0, 0.0, 1.5, 0.0], r"mine returned 1.5 at \(2,\)"),
    (lambda row, replies: [1.0] * 3, r"mine returned shape \(3,\) for 4 replies, expected \(4,\)"),
    (lambda row, replies: None, r"mine returned shape \(\) for 4"), (lambda row, replies: 1.0, r"mine returned shape \(\) for 4"),
    (lambda row, replies: [[1.0], [0.0, 1.0]], "mine returned list .* which is no array of numbers"),
    (lambda row, replies: ["good"] * 4, "mine returned list .* which is no array of numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "message"), FAULTS)
def test_what_a_function_must_not_do_is_one_message(function, message):
    with pytest.raises(PolychromicError, match=message) as caught:
        Guard(function, "mine")(ROW, REPLIES)
    assert "run the same command again" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [
    [1, 0, 1, 0], [True, False, True, False], np.array([1.0, 0, 1, 0]), torch.tensor([1.0, 0, 1, 0], requires_grad=True),
])  # fmt: skip
def test_whatever_is_an_array_of_numbers_is_taken(values):
    assert Guard(lambda row, replies: values, "mine")(ROW, REPLIES).tolist() == [1.0, 0.0, 1.0, 0.0]


def test_a_call_that_takes_too_long_is_ended_also_where_it_catches_exceptions():
    def slow(row, replies):
        try:
            time.sleep(30)
        except Exception:
            time.sleep(30)
        return [1.0] * len(replies)

    guard, started = Guard(slow, "mine", seconds=0.2), time.monotonic()
    with pytest.raises(PolychromicError, match="--quality mine took longer than 0.2 s for 4 replies; .* raise --quality-seconds"):
        guard(ROW, REPLIES)
    assert time.monotonic() - started < 5 and guard.calls == 1 and guard.spent >= 0.2


def test_what_a_function_prints_goes_into_a_file_and_is_told_once(tmp_path, capsys):
    def chatty(row, replies):
        print("I saw", replies[0])
        return [1.0] * len(replies)

    guard = Guard(chatty, "mine", printed=tmp_path / "out" / "printed.txt")
    for _ in range(3):
        guard(ROW, REPLIES)
    out, err = capsys.readouterr()
    assert out == "" and err.count("--quality mine prints") == 1 and str(tmp_path / "out" / "printed.txt") in err
    assert (tmp_path / "out" / "printed.txt").read_text() == "I saw fig\n" * 3


def test_a_function_cannot_change_the_row_or_the_replies():
    def changing(row, replies):
        row["references"].append("x")
        replies.clear()
        return [1.0] * 4

    row, replies = {"prompt": "a", "references": ["fig"]}, list(REPLIES)
    Guard(changing, "mine")(row, replies)
    assert row == {"prompt": "a", "references": ["fig"]} and replies == REPLIES


@pytest.mark.parametrize(("row", "shown"), [
    ({"messages": [{"role": "system", "content": "Be kind. " * 30}, {"role": "user", "content": "Rain again."},
                   {"role": "assistant", "content": "Umbrellas up."}]}, "'Rain again.'."),
    ({"prompt": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Rain?"}]},
     "'Rain?'."),
    ({"messages": [{"from": "human", "value": "Rain?"}]}, "[{'from': 'human', 'value': 'Rain?'}]."),
    ({"prompt": "a" * 200}, f"'{'a' * 79}...."), ({}, "None."),
])  # fmt: skip
def test_a_message_shows_what_was_asked_and_not_what_stands_before_it(row, shown):
    with pytest.raises(PolychromicError) as caught:
        Guard(raising, "mine")(row, REPLIES)
    assert f"; prompt: {shown} Allowed: " in str(caught.value)


def test_a_similarity_must_be_1_on_its_diagonal():
    message = r"--similarity mine returned 0.0 at \(0, 0\), expected numbers in \[0, 1\], 1 on the diagonal"
    with pytest.raises(PolychromicError, match=message):
        Guard(lambda row, replies: np.zeros((4, 4)), "mine", ndim=2)(ROW, REPLIES)


def test_functions_are_loaded_from_files_and_modules_and_a_fault_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def good(row, replies):\n    return [1.0 for _ in replies]\n")
    (tmp_path / "door_test_module.py").write_text("print('loading')\ndef good(row, replies):\n    return [0.5 for _ in replies]\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    function, version = load_function("mine.py:good", "--quality")
    assert function(ROW, REPLIES) == [1.0] * 4 and len(version) == 64
    assert load_function("door_test_module:good", "--quality")[0](ROW, REPLIES) == [0.5] * 4
    for spec, message in (("mine.py:bad", r"mine.py has no function 'bad'. Allowed: one of its functions \(good\)"),
                          ("gone.py:good", "gone.py is no file"), ("likenes", "neither a name of ours nor a function"),
                          ("broken.py:good", r"broken.py does not import \(raised ZeroDivisionError: division by zero at .*broken.py:1"),
                          ("no_such_module_here:f", "does not import .*ModuleNotFoundError")):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            load_function(spec, "--quality")
