"""`polychromic judge` from the command line: files of replies, the declared pairs, kills, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from polychromic.base import paths
from polychromic.base.io import read_json, write_jsonl
from polychromic.judge import declared, work
from polychromic.judge.store import Reply, Store, record
from polychromic.params import load_params
from tests.judge.service import KEY, Service, oracle, serving, write_replies
from tests.page_tools import environment
from tests.workspace import small_values, write_listqa, write_params
from tests.yours.review.bench import Terminal

FILES = ("--a", "a.jsonl", "--b", "b.jsonl")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files of replies, a key, and nothing of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setattr("polychromic.judge.ask.FIRST_POLL", 0.01)
    write_replies(tmp_path / "a.jsonl", lambda i, j: f"a good reply {i} {j}", 4)
    write_replies(tmp_path / "b.jsonl", lambda i, j: f"a bad reply {i} {j}", 4)
    return tmp_path


def test_files_are_judged_and_replayed_without_key_and_service(folder: Path, command, monkeypatch: pytest.MonkeyPatch):
    with serving() as service:
        code, out, err = command("judge", *FILES, "--sets", "3", "--base-url", service.url)
        assert code == 0 and "claude-haiku-5-5: 16 answers" in out and "16 calls, expected $" in err
        assert command("judge", *FILES, "--sets", "3", "--base-url", service.url)[0] == 0
    assert len(service.asked) == 16 and len((folder / "my-judge" / "calls.jsonl").read_text().splitlines()) == 16
    made = (folder / "my-judge" / "judge.json").read_bytes()
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    code, out, _ = command("judge", *FILES, "--sets", "3", "--mode", "replay", "--json")
    assert code == 0 and json.loads(out)["judges"][0]["contrasts"][0]["win"]["value"] == 1.0
    assert (folder / "my-judge" / "judge.json").read_bytes() == made
    code, _, err = command("judge", *FILES, "--sets", "4", "--mode", "replay")
    assert code == 1 and "holds 8 of 16 calls of claude-haiku-5-5" in err
    code, _, err = command("judge", *FILES, "--mode", "replay", "--model", "claude-opus-5-5")
    assert code == 1 and "holds 0 of 8 calls of claude-opus-5-5" in err
    code, _, err = command("judge", *FILES, "--mode", "replay", "--out", "elsewhere")
    assert code == 1 and "holds no call of any model about these questions" in err


def test_live_asks_all_and_keeps_none(folder: Path, command):
    with serving() as service:
        for _ in range(2):
            code, out, _ = command("judge", *FILES, "--direct", "--mode", "live", "--base-url", service.url, "--json")
            assert code == 0 and json.loads(out)["judges"][0]["calls"] == 8
    assert len(service.asked) == 16 and not (folder / "my-judge").exists()


def test_a_missing_key_is_the_first_thing_said(folder: Path, command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    code, out, err = command("judge", "--a", "none.jsonl", "--b", "none.jsonl", "--model", "nobody")
    assert (code, out) == (2, "") and err.startswith("error: ANTHROPIC_API_KEY is not set") and "--dry-run" in err and err.count("\n") == 1
    assert command("judge")[2].startswith("error: ANTHROPIC_API_KEY is not set")
    assert list(folder.glob("my-judge")) == []


def test_a_dry_run_asks_nobody_and_needs_no_key(folder: Path, command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    code, out, _ = command("judge", *FILES, "--sets", "2", "--dry-run", "--json", "--model", "claude-opus-5-5")
    (found,) = json.loads(out)["models"]
    assert code == 0 and found["prices"] == {"input": 4.0, "output": 20.0, "batch": 0.5, "checked": "2026-11-30"}
    assert [row["calls"] for row in found["contrasts"]] == [8, 8] and found["total"]["dollars"][0] < found["total"]["dollars"][2]
    code, out, _ = command("judge", *FILES, "--dry-run")
    assert code == 0 and "prices of 2026-11-30" in " ".join(out.split()) and not (folder / "my-judge").exists()


def test_a_budget_that_ends_says_so_and_exits_with_one(folder: Path, command):
    with serving() as service:
        code, out, err = command("judge", *FILES, "--direct", "--budget", "0.0001", "--base-url", service.url, "--json")
        assert code == 1 and "the budget of $0.00 has no room" in err and "8 calls are not made" in err
        assert json.loads(out)["judges"][0]["contrasts"][0]["missing"] == {"not asked": 8}


@pytest.mark.parametrize("options, said", [
    (("--a", "a.jsonl"), "Give both, or none"), ((*FILES, "--people", "--direct"), "makes no use of --direct"),
    (("--sets", "3"), "makes no use of --sets"), ((*FILES, "--export", "x.csv"), "Add --people"),
    ((*FILES, "--people", "--export", "x.csv", "--import", "x.csv"), "Allowed: one of them"),
    ((*FILES, "--provider", "openai"), "needs --model"), ((*FILES, "--model", "nobody"), "'nobody' has no price"),
    ((*FILES, "--budget", "inf"), "--budget is inf"),
    ((*FILES, "--price", "a"), "--price is 'a'"), ((*FILES, "--base-url", "http://example.org"), "is no safe root"),
    (("--a", "a.jsonl", "--b", "a.jsonl"), "was read before"), ((*FILES, "--out", "a.jsonl"), "is a file"),
    ((*FILES, "--sets", "9"), "a set needs 9"), ((*FILES, "--people", "--reviewer", "a b"), "--reviewer is 'a b'"),
])  # fmt: skip
def test_what_makes_no_sense_is_one_message(folder: Path, command, options: tuple[str, ...], said: str):
    code, out, err = command("judge", *options)
    assert code in (1, 2) and out == "" and said in err and err.startswith("error: ") and KEY not in err


def test_people_export_import_and_agree_with_the_model(folder: Path, command):
    with serving() as service:
        command("judge", *FILES, "--base-url", service.url)
    assert command("judge", *FILES, "--people", "--reviewer", "anna", "--export", "anna.csv")[0] == 0
    text = (folder / "anna.csv").read_text()
    (folder / "anna.csv").write_text(text.replace(",,\n", ",first,\n"))
    code, out, err = command("judge", *FILES, "--people", "--reviewer", "anna", "--import", "anna.csv", "--json")
    assert code == 0 and "took 4 answers of anna" in err
    document = json.loads(out)
    assert [one["judge"] for one in document["judges"]] == ["claude-haiku-5-5", "anna"] and document["agreement"][0]["n"] == 4


def start(folder: Path, service: Service, *options: str) -> subprocess.Popen:
    words = [sys.executable, "-m", "polychromic", "judge", *FILES, "--base-url", service.url, *options]
    settings = environment(folder) | {"ANTHROPIC_API_KEY": KEY}
    return subprocess.Popen(words, cwd=folder, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--direct", "--jobs", "2"), ()])
def test_a_kill_in_the_middle_makes_no_call_twice(folder: Path, options: tuple[str, ...]):
    """Direct: at most those in flight, which nobody could know the answers of; batches: none."""
    for name in "ab":
        write_replies(folder / f"{name}.jsonl", lambda i, j, name=name: f"{'good' if name == 'a' else 'bad'} {i} {j}", 30)
    with serving() as service:

        def slowly(first: list[str], second: list[str]) -> str:
            time.sleep(0.05 * bool(options))
            return oracle(first, second)

        service.mind, service.slow = slowly, 3
        process = start(folder, service, *options)
        while len(service.asked) < (20 if options else 60):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        again = start(folder, service, *options)
        _, said = again.communicate(timeout=120)
        assert again.returncode == 0, said
    often = Counter(json.dumps(body, sort_keys=True) for body in service.asked)
    twice = sum(often.values()) - len(often)
    assert len(often) == 60 and twice <= (2 if options else 0) and len(service.batches) <= 1
    assert read_json(folder / "my-judge" / "judge.json")["judges"][0]["contrasts"][0]["scored"] == 30
    assert not any(KEY.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file()) and KEY.encode() not in said


@pytest.fixture
def pairs(folder: Path) -> Path:
    """A workspace with test sampled for the declared pairs of listqa."""
    write_listqa(folder)
    write_params(folder, small_values())
    params = load_params(folder / "params.yaml")
    ids = [json.loads(line)["id"] for line in (folder / "data" / "listqa.jsonl").read_text().splitlines()[:6]]
    for name in ("zero_shot", "lora", "polychromic"):
        cell = params.cell("listqa", "test", name)
        word = {"polychromic": "good good", "lora": "good", "zero_shot": "bad"}[name]
        write_jsonl(paths.cell_dir("listqa", "test", cell.name) / paths.SAMPLES, (
            {"id": one, "seed": seed, "temperature": t, "samples": [f"{word} {t} {seed} {one[-3:]} {j}" for j in range(10)]}
            for seed in cell.seeds for t in cell.temperatures for one in ids
        ))  # fmt: skip
    return folder


def test_the_declared_pairs_become_a_stage_that_replays(pairs: Path, command, monkeypatch: pytest.MonkeyPatch):
    code, out, _ = command("judge", "--dry-run", "--json")
    assert code == 0 and [one["model"] for one in json.loads(out)["models"]] == ["claude-sonnet-5-5", "claude-haiku-5-5"]
    code, _, err = command("judge", "--mode", "replay")
    assert code == 1 and "judge/declared.json: file not found" in err
    with serving() as service:
        code, out, err = command("judge", "--base-url", service.url, "--json")
        assert code == 0, err
        assert "judge/declared.json names claude-sonnet-5-5, claude-haiku-5-5: `polychromic pipeline`" in err
    assert sorted(path.name for path in (pairs / "judge").iterdir()) == ["calls.jsonl.gz", "declared.json"]
    assert all(str(t) not in body["messages"][0]["content"] for body in service.asked for t in ("good 0.5",)), "the first temperature alone"
    packed = (pairs / "judge" / "calls.jsonl.gz").read_bytes()
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert command("judge", "--mode", "replay")[0] == 0
    document = read_json(paths.JUDGEMENT)
    first = document["judges"][0]
    better = {("polychromic", "lora"), ("lora", "zero_shot")}
    found = {(row["a"], row["b"], row["kind"], row["score"]["value"]) for row in first["contrasts"]}
    assert found == {(*pair, kind, 1.0) for pair in better for kind in ("single", "set")}
    assert document["sets"] == 3 and {row["seeds"] for row in first["contrasts"]} == {2, 3} and first["stability"]["n"] == 2
    assert command("judge", "--people", "--reviewer", "anna", "--export", "anna.csv")[0] == 0
    (pairs / "anna.csv").write_text((pairs / "anna.csv").read_text().replace(",,\n", ",tie,\n", 3))
    code, _, err = command("judge", "--people", "--reviewer", "anna", "--import", "anna.csv")
    assert code == 0 and "names claude-sonnet-5-5, claude-haiku-5-5, anna" in err
    assert read_json(paths.JUDGED) == {"models": ["claude-sonnet-5-5", "claude-haiku-5-5"], "people": ["anna"]}
    assert (pairs / "judge" / "calls.jsonl.gz").read_bytes() != packed
    assert command("judge", "--mode", "replay")[0] == 0 and read_json(paths.JUDGEMENT)["judges"][-1]["calls"] == 3


def test_other_samples_are_a_miss_that_says_what_to_do(pairs: Path, command):
    with serving() as service:
        command("judge", "--base-url", service.url)
    cell = next((pairs / "results" / "listqa" / "test").glob("lora/samples.jsonl.gz"))
    params = load_params(pairs / "params.yaml")
    plan = declared.plan(params)
    write_jsonl(cell, ({"id": one, "seed": seed, "temperature": t, "samples": ["other"] * 10} for seed in (0, 1) for t in (1.0, 0.5)
                       for one in sorted({q.id for q in plan.questions})))  # fmt: skip
    code, _, err = command("judge", "--mode", "replay")
    assert code == 1 and "holds 0 of" not in err.split(";")[0] or "calls of claude-sonnet-5-5" in err
    assert "restore file, replies and rubric" in err and not paths.JUDGEMENT.exists()


def test_calls_of_a_run_that_was_stopped_are_not_lost(pairs: Path, command):
    with serving() as service:
        haiku = ("--model", "claude-haiku-5-5", "--base-url", service.url)
        code, _, err = command("judge", "--direct", "--jobs", "1", "--budget", "0.004", *haiku)
        assert code == 1 and "no model's calls are complete" in err and not paths.JUDGED.exists()
        made = len(service.asked)
        assert 0 < made < 100 and paths.CALLS.is_file()
        assert command("judge", *haiku)[0] == 0
    repeats = 2  # a question that is asked once more, in both orders
    assert len({json.dumps(body, sort_keys=True) for body in service.asked}) == len(service.asked) - repeats > made
    assert read_json(paths.JUDGED)["models"] == ["claude-haiku-5-5"]


@pytest.mark.slow
def test_a_person_in_a_terminal_goes_on_after_a_kill(folder: Path):
    words = ("judge", *FILES, "--people", "--reviewer", "anna")
    with Terminal(folder, *words) as terminal:
        terminal.until("0 of 4 questions answered")
        terminal.press("1")
        terminal.until("1 of 4 questions answered")
        terminal.process.kill()
        terminal.process.wait()
    with Terminal(folder, *words) as terminal:
        terminal.until("1 of 4 questions answered")
        terminal.press("x2tq")
        terminal.until("3 of 4 questions answered. Every answer is in my-judge/calls.jsonl.")
        assert terminal.process.wait(60) == 0 and terminal.same_settings()
    assert [one["calls"] for one in read_json(folder / "my-judge" / "judge.json")["judges"]] == [3]


def test_no_call_is_paid_for_whose_answer_cannot_be_kept(folder: Path, command):
    (folder / "my-judge" / "calls.jsonl").mkdir(parents=True)
    (folder / "file").write_text("")
    (folder / "pipes").mkdir()
    os.mkfifo(folder / "pipes" / "calls.jsonl")
    with serving() as service:
        for out, said in (("my-judge", "not a regular file"), ("pipes", "not a regular file"), ("file/there", "")):
            code, _, err = command("judge", *FILES, "--direct", "--base-url", service.url, "--out", out)
            assert code in (1, 2) and said in err and "Traceback" not in err, err
        assert service.asked == []


def test_a_judge_without_one_verdict_is_no_success(folder: Path, command):
    with serving() as service:
        service.odd = [lambda body: "expired"] * 8
        code, out, err = command("judge", *FILES, "--base-url", service.url)
        assert code == 1 and "8 calls without a verdict" in " ".join(out.split()) and "no call gave a verdict" in err and "--again" in err
        assert command("judge", *FILES, "--base-url", service.url)[0] == 1
        assert command("judge", *FILES, "--base-url", service.url, "--again")[0] == 0


def test_nothing_is_written_where_a_pipeline_writes_from_wherever_one_starts(folder: Path, command):
    (folder / "clone" / "results").mkdir(parents=True)
    (folder / "clone" / "dvc.yaml").write_text("stages: {}\n")
    code, _, err = command("judge", *FILES, "--out", str(folder / "clone" / "results" / "mine"))
    assert code == 2 and "lies in what" in err and list((folder / "clone" / "results").iterdir()) == []


def test_what_another_process_appended_meanwhile_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """The place is tried before the first call, with the file as it is then and not as it was when the store was opened."""
    store, other = Store(folder / "calls.jsonl"), Store(folder / "calls.jsonl")
    request = {"provider": "anthropic", "model": "m", "user": "x"}
    other.extend([record(request, Reply("{}", "end"), 0.0, False)])
    monkeypatch.setattr(work, "estimates", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))  # right after the place was tried
    provider = SimpleNamespace(name="openai", model="m")
    with pytest.raises(KeyboardInterrupt):
        work.ask(None, provider, store, work.Settings(price="1,1"), print)
    assert len(Store(folder / "calls.jsonl").records) == 1
