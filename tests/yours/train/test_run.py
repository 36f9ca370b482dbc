"""Training on rows of one's own with a tiny model: what lies there at the end, a stop and a way on, and what is refused before it costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

from polychromic.base.errors import DataError, PolychromicError, UsageError
from polychromic.base.io import read_json, read_jsonl, sha256_file
from polychromic.yours.train import run, steps
from polychromic.yours.train.run import train
from polychromic.yours.train.steps import StoppedError
from tests.page_tools import REPOSITORY
from tests.yours.train.bench import make_place, request_of

WEIGHTS = "adapter_model.safetensors"


def rows(path: Path) -> list[dict]:
    return [row for _, row in read_jsonl(path)]


def test_a_trained_folder_holds_adapter_tokenizer_card_and_drafts_and_nothing_of_the_work(made):
    out, card = made / "adapter", read_json(made / "adapter" / "polychromic.json")
    names = {path.name for path in out.iterdir()}
    assert {"adapter_config.json", WEIGHTS, "tokenizer.json", "README.md", "polychromic.json", "dev.jsonl", "history.jsonl"} <= names
    assert {"drafts-base.jsonl", "drafts-adapter.jsonl"} <= names and not [name for name in names if name.startswith(".")]
    assert card["data"]["rows"] == 9 - 1 and card["dev"]["prompts"] == 4 and card["dev"]["drafts"] == 12
    assert card["settings"]["lam"] == 3.0 and card["settings"]["steps"] == 6 and card["functions"]["similarity"] == "words"
    drawing = card["drawing"]
    assert (drawing["temperature"], drawing["min_p"]) in steps.DECODINGS and drawing["max_new_tokens"] == 4
    drafts = rows(out / "drafts-adapter.jsonl")
    assert [len(row["samples"]) for row in drafts] == [12] * 4 and {row["system"] for row in drafts} == {"adapter"}
    for row in drafts:  # the numbers are those of the drafts
        assert row["quality"] == [min(1.0, text.count("a") / 2) for text in row["samples"]]
        assert row["valid"] == [value >= 0.5 for value in row["quality"]]
    passed = [good for row in drafts for good in row["valid"]]
    assert card["dev"]["metrics"]["pass@1"]["adapter"]["mean"] == pytest.approx(sum(passed) / len(passed))
    history = rows(out / "history.jsonl")
    assert ["objective" in row for row in history if "loss" in row] == [False] * 3 + [True] * 3
    text = (out / "README.md").read_text()
    assert card["data"]["sha256"] in text and "| pass@1 |" in text and str(made) not in text


def test_the_adapter_loads_by_auto_peft_and_differs_from_its_base(made):
    model = AutoPeftModelForCausalLM.from_pretrained(made / "adapter")
    tokenizer = AutoTokenizer.from_pretrained(made / "adapter")
    ids = torch.tensor([tokenizer.apply_chat_template([{"role": "user", "content": "Describe the heron."}], return_dict=False)])
    with torch.no_grad():
        ours, base = model(input_ids=ids).logits, AutoModelForCausalLM.from_pretrained(made / "base")(input_ids=ids).logits
    assert not torch.allclose(ours, base, atol=1e-4)


def test_the_same_command_again_finds_it_done_and_another_one_is_refused(made, monkeypatch, capsys):
    monkeypatch.setattr(steps.Bench, "train", lambda self: pytest.fail("trained again"))
    before = sha256_file(made / "adapter" / WEIGHTS)
    assert train(request_of(made))["name"] == "adapter" and "is done" in capsys.readouterr().err
    with pytest.raises(PolychromicError, match=r"adapter was made with another settings \(lam\). Allowed: to go on as it was begun"):
        train(request_of(made, lam=1.0))
    (made / "other").mkdir(exist_ok=True)
    (made / "other" / "thesis.tex").write_text("x")
    with pytest.raises(PolychromicError, match="other holds 'thesis.tex', which was not made here"):
        train(request_of(made, "other"))
    assert sha256_file(made / "adapter" / WEIGHTS) == before


class Die(TrainerCallback):
    """At the end of a step: a signal to this process, as `kill` sends it, or an error as a power cut is one."""

    def __init__(self, step: int, number: int | None):
        self.step, self.number = step, number

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            if self.number is None:
                raise MemoryError
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, StoppedError), (None, MemoryError)], ids=["SIGTERM", "killed"])
def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_adapter(number, error, made, monkeypatch, capsys):
    original = steps.PolychromicTrainer.__init__

    def init(self, *args, **kwargs):
        kwargs["callbacks"] = [Die(4, number), *kwargs["callbacks"]]
        original(self, *args, **kwargs)

    out = f"stopped-{number and int(number)}"
    with monkeypatch.context() as patched:
        patched.setattr(steps.PolychromicTrainer, "__init__", init)
        with pytest.raises(error) as caught:
            train(request_of(made, out))
    if number:
        assert caught.value.exit_code == 143 and "stopped at step 4 of 6, which is saved" in str(caught.value)
    assert {path.name for path in (made / out).iterdir()} == {".work"}
    capsys.readouterr()
    train(request_of(made, out))
    said = capsys.readouterr().err
    assert f"going on at step {4 if number else 3} of 6" in said and "drafts of the base" not in said
    assert sha256_file(made / out / WEIGHTS) == sha256_file(made / "adapter" / WEIGHTS)
    same = [rows(made / name / f"drafts-{name}.jsonl") for name in (out, "adapter")]
    assert [row["samples"] for row in same[0]] == [row["samples"] for row in same[1]]
    assert rows(made / out / "history.jsonl") == rows(made / "adapter" / "history.jsonl")


@pytest.mark.parametrize("method", ["lora", "rft"])
def test_the_other_methods_train_too(method, made):
    card = train(request_of(made, method, method=method, good=0.01, steps=4))
    assert card["method"] == method and "lam" not in card["settings"] and card["dev"]["metrics"]["objective"]["adapter"]["mean"] >= 0
    assert (card["cost"]["replies_judged"] > 0) == (method == "rft")


def test_that_no_draft_of_the_base_passes_is_said_before_training(made, monkeypatch, capsys):
    monkeypatch.setattr(steps.Bench, "train", lambda self: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        train(request_of(made, "none-passes", quality=("likeness",), good=1.0))
    assert "note: none passes (--good 1); the best has quality 0." in capsys.readouterr().err


def test_without_dev_nothing_is_measured_and_a_llama_in_plain_text_will_do(tmp_path):
    folder = make_place(tmp_path, "llama")
    (folder / "base" / "chat_template.jinja").unlink()
    card = train(request_of(folder, dev_share=0.0, steps=2, warm_up=0.0))
    assert card["dev"] == {} and card["prompts"]["plain"] and card["drawing"]["temperature"] == 1.0
    assert "nothing was measured" in (folder / "adapter" / "README.md").read_text()


def test_a_hidden_fault_of_the_users_function_stops_training_and_keeps_the_checkpoint(made):
    """It fails on what the model says, so that no trial on the rows shows it; with it corrected, training goes on."""
    (made / "late.py").write_text("calls = 0\ndef good(row, replies):\n    global calls\n    calls += 1\n"
                                  "    return [1.0 if calls < 27 else float('nan')] * len(replies)\n")  # fmt: skip
    message = r"late.py:good returned nan at .*run the same command again: what was trained so far is kept"
    with pytest.raises(PolychromicError, match=message):
        train(request_of(made, "late", quality=(f"{made / 'late.py'}:good",)))
    assert steps.last_checkpoint(made / "late" / ".work" / "checkpoints") is not None


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({"lam": -1.0, "n": 1}, UsageError, "--lam is -1.0. Allowed: 0 or more; --n is 1. Allowed: 2 or more. Correct"),
    ({"quality": ("likenes",)}, UsageError, "neither a name of ours nor a function"),
    ({"quality": ("regex:(",)}, UsageError, "no regular expression"), ({"columns": {"prompt": "q"}}, DataError, "no column 'q'"),
    ({"similarity": "cosine"}, UsageError, "--similarity 'cosine': neither a name of ours"),
    ({"quality": ("tests",)}, PolychromicError, "the row's column `tests` is null"),
    ({"max_length": 8}, PolychromicError, "no row is left of 8"),
])  # fmt: skip
def test_what_cannot_be_is_refused_and_leaves_nothing(changes, error, message, made):
    with pytest.raises(error, match=message):
        train(request_of(made, "refused", **changes))
    assert not (made / "refused").exists()


def test_a_slow_quality_is_told_before_training_with_what_it_makes_of_it(made, monkeypatch, capsys):
    monkeypatch.setattr(run, "SLOW", 0.05)
    (made / "slow.py").write_text("import time\ndef good(row, replies):\n    time.sleep(0.1)\n    return [0.0 for _ in replies]\n")
    monkeypatch.setattr(run, "_run", lambda *a: {})
    train(request_of(made, "slow", quality=(f"{made / 'slow.py'}:good",)))
    said = capsys.readouterr().err
    assert "took 0.1 s for 2 replies; about 12 calls are 0 minutes" in said.replace("0.2 s", "0.1 s")
    assert "no completion of yours is good by this quality" in said


def test_a_bad_file_is_refused_in_two_seconds_of_processor_time_and_without_torch(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": "x"}) + "\n")
    code = (
        "import atexit, resource, sys; from polychromic.cli import app\n"
        "atexit.register(lambda: print('torch' in sys.modules, resource.getrusage(resource.RUSAGE_SELF).ru_utime))\napp.main()"
    )
    line = [sys.executable, "-c", code, "train", "--data", "rows.jsonl", "--out", "x"]
    done = subprocess.run(line, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=False)
    torch_there, seconds = done.stdout.split()
    assert done.returncode == 1 and "rows.jsonl:1: columns 'text'" in done.stderr and torch_there == "False" and float(seconds) < 2
    assert not (tmp_path / "x").exists()


def test_the_command_trains_and_says_which_of_its_two_kinds_it_got(made, command, monkeypatch):
    monkeypatch.chdir(made)
    line = "--data rows.jsonl --base base --quality mine.py:good --similarity words --steps 2 --batch 4 --max-new-tokens 4 --n 2"
    code, out, err = command("train", *line.split(), "--out", "by-command")
    assert code == 0 and out == "by-command\n" and "adapter - base" in err and "Describe the" in err
    for words, message in (("", "no --data, and no DOMAIN, no METHOD"),
                           ("listqa lora --seed 0 --out x --base base", "makes no use of --base"),
                           ("listqa --data rows.jsonl --out x", "makes no use of DOMAIN"),
                           ("--data rows.jsonl", "needs --out FOLDER")):  # fmt: skip
        code, out, err = command("train", *words.split())
        assert code == 2 and message in " ".join(err.split()), err
