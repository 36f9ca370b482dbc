"""`polychromic draw`: drafts from a base and an adapter, streamed, resumed to the same bytes, chosen, and refused before the first draw."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import read_json, read_jsonl
from polychromic.yours.drafts import run
from polychromic.yours.drafts.run import Request, draw
from polychromic.yours.evaluate.inputs import read_systems
from tests.page_tools import REPOSITORY
from tests.yours.train.conftest import made  # noqa: F401 - fixture

FREE = Request("prompts.jsonl", (), None, False, None, None, None, None, None, None, None, {}, None, None, 0, "float32")


@pytest.fixture
def place(made, tmp_path, monkeypatch) -> Path:  # noqa: F811
    """The base, the trained adapter and five prompts."""
    for name in ("base", "adapter"):
        (tmp_path / name).symlink_to(made / name)
    names = ("heron", "otter", "lynx", "newt")
    rows = [{"prompt": f"Describe the {name}.", "id": name, "valid": ["a"], "references": ["b"]} for name in names]
    rows.append({"messages": [{"role": "system", "content": "Short."}, {"role": "user", "content": "And the vole?"}]})
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(path) -> list[dict]:
    return [row for _, row in read_jsonl(path)]


def of(place: Path, **changes) -> Request:
    return replace(FREE, adapters=(place / "adapter",), **changes)


def test_an_adapters_card_says_how_drafts_are_drawn_and_evaluation_reads_them(place):
    draw(of(place, out=Path("out.jsonl")))
    card, found = read_json("adapter/polychromic.json"), rows("out.jsonl")
    assert [row["id"] for row in found] == ["heron", "otter", "lynx", "newt", "4"] and {len(row["samples"]) for row in found} == {2}
    assert {row["temperature"] for row in found} == {card["drawing"]["temperature"]} and {row["system"] for row in found} == {"adapter"}
    assert max(n for row in found for n in row["tokens"]) <= 4 and found[0]["valid"] == ["a"] and found[4]["prompt"] == "And the vole?"
    assert read_json("out.json")["min_p"] == card["drawing"]["min_p"]
    draw(of(place, out=Path("four.jsonl"), k=3, temperature=0.5))
    (Path("four.jsonl")).write_text("".join(line + "\n" for line in Path("four.jsonl").read_text().splitlines()[:4]))
    (system,) = read_systems([Path("four.jsonl")])
    assert system.n == 3 and system.temperature == 0.5


def test_the_adapter_changes_what_is_drawn_and_merging_it_twice_too(place):
    texts = {}
    for name, changes in {"with": {}, "alone": {"base_alone": True}, "twice": {"adapters": (place / "adapter",) * 2}}.items():
        draw(replace(of(place, out=Path(f"{name}.jsonl"), k=8, temperature=1.0), **changes))
        texts[name] = [row["samples"] for row in rows(f"{name}.jsonl")]
    assert texts["with"] != texts["alone"] and texts["twice"] != texts["with"] and rows("alone.jsonl")[0]["system"] == "base"
    draw(replace(FREE, base="base", out=Path("base.jsonl"), k=8, max_new_tokens=4))
    assert [row["samples"] for row in rows("base.jsonl")] == texts["alone"]


def test_lines_come_one_by_one_from_standard_input_and_are_those_of_texts(place, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO('Describe the heron.\n\n{"prompt": "Describe the otter.", "id": "o"}\n'))
    draw(of(place, prompts="-"))
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["id"], row["prompt"]) for row in found] == [("0", "Describe the heron."), ("o", "Describe the otter.")]
    Path("lines.txt").write_text("Describe the heron.\n")
    draw(of(place, prompts="lines.txt"))
    assert json.loads(capsys.readouterr().out)["samples"] == found[0]["samples"]


@pytest.mark.parametrize("select", ["likelihood", "diverse"])
def test_a_selection_keeps_k_of_a_pool(select, place):
    draw(of(place, out=Path("out.jsonl"), select=select, k=2, pool=6))
    for row in rows("out.jsonl"):
        assert len(row["samples"]) == len(set(row["samples"])) == len(row["log_likelihood"]) == len(row["tokens"]) == 2
        assert select == "diverse" or row["log_likelihood"] == sorted(row["log_likelihood"], reverse=True)


def test_a_run_that_was_cut_ends_with_the_bytes_of_an_undisturbed_one(place, monkeypatch):
    monkeypatch.setattr(run, "ROWS", 4)  # two prompts of two drafts
    draw(of(place, out=Path("whole.jsonl")))
    whole = Path("whole.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in (lines[:2], lines[:3], [*lines[:2], lines[2][:20]], lines):
        Path("cut.jsonl").write_bytes(b"".join(cut))
        shutil.copy("whole.json", "cut.json")
        draw(of(place, out=Path("cut.jsonl")))
        assert Path("cut.jsonl").read_bytes() == whole
    with pytest.raises(PolychromicError, match="was begun with another temperature"):
        draw(of(place, out=Path("cut.jsonl"), temperature=0.3))
    with pytest.raises(PolychromicError, match="standard input cannot be read again"):
        draw(of(place, out=Path("cut.jsonl"), prompts="-"))
    Path("foreign.jsonl").write_text("{}\n")
    with pytest.raises(PolychromicError, match="foreign.jsonl was not drawn here"):
        draw(of(place, out=Path("foreign.jsonl")))


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({"adapters": (), "base": None}, UsageError, "neither --base nor --adapter"),
    ({"temperature": -1.0}, UsageError, "--temperature is -1"),
    ({"base": "nowhere"}, UsageError, "--base nowhere: no such folder"), ({"select": "diverse", "pool": 1}, UsageError, "--pool is 1"),
    ({"adapters": (Path("base"),)}, PolychromicError, "no adapter_config.json there"),
    ({"prompts": "gone.jsonl"}, PolychromicError, "no such file"), ({"prompts": "gone.txt"}, PolychromicError, "no such file"),
    ({"prompts": "twice.jsonl"}, DataError, "twice.jsonl:2: id 'a' was already used"),
    ({"prompts": "empty.jsonl"}, PolychromicError, "no line"), ({"prompts": "odd.jsonl"}, DataError, "odd.jsonl:1: prompt is 3"),
    ({"columns": {"prompt": "q"}}, DataError, "no column 'q'"),
    ({"select": "likelihood", "temperature": 0.0}, UsageError, "--temperature 0"),
    ({"base": "base", "adapters": (), "base_alone": True}, UsageError, "--base-alone"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused_before_a_model_is_loaded(changes, error, message, place, monkeypatch):
    monkeypatch.setattr("polychromic.yours.train.base.load", lambda *a: pytest.fail("a model was loaded"))
    Path("twice.jsonl").write_text('{"prompt": "x", "id": "a"}\n' * 2)
    Path("odd.jsonl").write_text('{"prompt": 3}\n')
    Path("empty.jsonl").write_text("\n")
    with pytest.raises(error, match=message):
        draw(replace(of(place, out=Path("refused.jsonl")), **changes))
    assert not Path("refused.jsonl").exists()


def test_what_a_terminal_would_obey_is_spelled_and_no_value_changes(place, command):
    hostile = "Describe \x1b[2J\u202e\x9b the [/red] heron."
    Path("one.jsonl").write_text(json.dumps({"id": "\x1b]0;t\x07", "prompt": hostile}) + "\n")
    code, out, err = command("draw", "--adapter", "adapter", "--prompts", "one.jsonl", "-k", "2", "--precision", "float32")
    (row,) = map(json.loads, out.splitlines())
    assert code == 0 and (row["id"], row["prompt"]) == ("\x1b]0;t\x07", hostile) and len(row["samples"]) == 2
    assert not set(out + err) & {"\x1b", "\x9b", "\x07", "\u202e"}


@pytest.mark.slow
def test_a_killed_process_goes_on(place):
    """By SIGKILL in the middle of a file of many prompts."""
    Path("many.txt").write_text("".join(f"Describe thing {i}.\n" for i in range(400)))
    line = [sys.executable, "-m", "polychromic", "draw", "--adapter", "adapter", "--prompts", "many.txt", "--precision", "float32", "--out"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen([*line, "cut.jsonl"], env=environment)
    while not Path("cut.jsonl").exists() or Path("cut.jsonl").stat().st_size < 2000:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < len(Path("cut.jsonl").read_bytes().splitlines()) < 400
    for name in ("cut.jsonl", "whole.jsonl"):
        subprocess.run([*line, name], env=environment, check=True)
    assert Path("cut.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
