"""The command line: exit codes and messages, what it refuses before it works, and that it starts without heavy imports."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from polychromic import __version__
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json
from polychromic.cli import app as cli
from polychromic.sample import cells
from tests.workspace import KINDS, REPOSITORY, make_models, small_values, write_listqa, write_params

COMMANDS = "split sample score compare report examples paper pipeline open-test doctor train smoke reproduce release curate".split()
HEAVY = {"torch", "transformers", "peft", "pandas", "sentence_transformers", "matplotlib", "sklearn", "dvc", "nltk", "scipy"}
DEV = "--split dev"
POLY = f"sample listqa polychromic {DEV}"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """params.yaml, one with another lambda, and data/listqa.jsonl; no models: what is refused is refused before one is asked for."""
    folder = tmp_path_factory.mktemp("made")
    write_params(folder, small_values())
    write_params(folder, small_values() | {"lambda": 1.0}, "other.yaml")
    write_listqa(folder)
    return folder


@pytest.fixture
def workspace(made, tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(folder := shutil.copytree(made, tmp_path / "workspace"))
    return folder


@pytest.fixture
def ran(monkeypatch) -> list[tuple]:
    """(lambda of params.yaml, split, weight, folder) of each cell that a command would have sampled."""
    found = []
    monkeypatch.setattr(cells, "sample_cell", lambda params, _, split, cell, out: found.append((params.lam, split, cell.lam, str(out))))
    return found


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("line", ["--help", f"sample listqa dora {DEV}", f"score poems {DEV}", "report poems"])
def test_starting_costs_no_heavy_import(line):
    """In a process of its own: --help, reading params and refusing what there is not must not wait for torch."""
    run = "import atexit, sys, polychromic.cli.app as app; atexit.register(lambda: print('modules', *sys.modules)); app.main()"
    done = subprocess.run([sys.executable, "-c", run, *line.split()], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    found = set(done.stdout.rpartition("modules ")[2].split())
    assert done.returncode == (0 if line == "--help" else 2) and "polychromic.cli.app" in found
    assert not HEAVY & found


def test_version_and_help(command):
    assert command("--version") == (0, f"polychromic {__version__}\n", "")
    assert all(name in command("--help")[1] for name in COMMANDS)
    assert [name for name in COMMANDS if command(name, "--help")[0]] == []


REFUSED = [
    *((line, ["Usage: "]) for line in ("trian", "split listqa --sed 3", "sample listqa", "sample listqa lora", "score listqa --split x")),
    (f"sample listqa dora {DEV}", ["method 'dora' does not exist", "zero_shot, few_shot, lora, polychromic", "params.yaml"]),
    (f"sample poems lora {DEV}", ["'poems' is not in `domains:`", "listqa, re"]), (POLY, ["'polychromic' needs a weight", "--lam 3.0"]),
    *((f"sample listqa {method} {DEV} --lam 3.0", [f"method '{method}' takes no --lam"]) for method in ("lora", "rft")),
    (f"sample listqa reward {DEV} --lam 1.0", ["takes no --lam", "methods.reward.lam to 3.0"]),
    ("sample listqa rft --split test", ["analysis.test.listqa.systems has no 'rft'", "zero_shot, few_shot, lora, polychromic-3.0"]),
    ("sample listqa polychromic --split test --lam 0.3", ["has no 'polychromic-0.3'", "polychromic-3.0"]),
    ("sample replies dco --split calibration", ["people has no 'dco'"]),
    *((f"{POLY} --lam={lam}", ["Invalid value for '--lam'"]) for lam in ("abc", "-1.0", "nan")),
    (f"{POLY} --lam=inf", ["'polychromic' needs a weight, a finite number"]),
    (f"sample listqa lora {DEV} --params gone.yaml --out x", ["gone.yaml: file not found"]),
    (f"sample listqa lora {DEV} --params other.yaml", ["--params other.yaml would write into the tracked results/", "--out FOLDER"]),
    ("report poems", ["report 'poems' does not exist", "listqa, replies, creative, code, costs, designs"]),
    ("report listqa", ["needs --split, one of dev, test, calibration"]), ("report costs --split dev", ["report costs takes no --split"]),
    ("open-test poems", ["has no 'poems'"]), ("open-test --jobs 0", ["'--jobs'"]), ("train listqa lora --seed -1 --out x", ["'--seed'"]),
    ("train listqa few_shot --seed 0 --out adapter", ["'few_shot' has no adapter to train. Allowed: lora, polychromic, lora_1c,", "rft"]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "fragments"), REFUSED)
def test_what_cannot_run_is_refused_and_nothing_is_written(line, fragments, workspace, command, ran):
    before = tree(workspace)
    code, out, err = command(*line.split())
    assert (code, out) == (2, "") and "Traceback" not in err
    assert [fragment for fragment in fragments if fragment not in err.replace("\n", " ")] == [], err
    assert ran == [] and tree(workspace) == before


TEST = "--split test"
NOT_OPENED = [
    *(f"sample code {cell} {TEST}" for cell in ("lora", "polychromic", "polychromic --lam 3.0")),
    *(f"{command} code {TEST}" for command in ("score", "compare", "report")), "open-test code", "open-test listqa code",
]  # fmt: skip


@pytest.mark.parametrize("line", NOT_OPENED)
def test_a_domain_without_a_plan_is_not_opened(line, workspace, command, ran):
    values = small_values()
    del values["analysis"]["test"]["code"]
    write_params(workspace, values)
    before = tree(workspace)
    code, out, err = command(*line.split())
    assert (code, out) == (2, "") and ran == [] and tree(workspace) == before
    said = "analysis.test has no 'code'. Declared: listqa, replies, creative. Declare its systems and contrasts first."
    assert " ".join(err.split()) == f"error: params.yaml: {said}"


def test_what_is_opened_at_once_are_the_domains_with_a_plan(workspace, command, monkeypatch):
    opened = []
    monkeypatch.setattr("polychromic.pipeline.run.open_test", lambda params, domains, jobs: opened.append(domains))
    values = small_values()
    del values["analysis"]["test"]["code"]
    for plans in (values["analysis"]["test"], {}):
        values["analysis"]["test"] = plans
        values["judge"]["pairs"] = {}
        write_params(workspace, values)
        code, _, err = command("open-test")
        assert code == (0 if plans else 2) and ("analysis.test has no 'listqa'. Declared: none." in " ".join(err.split())) == (not plans)
    assert opened == [["listqa", "replies", "creative"]]


@pytest.mark.parametrize(("line", "expected"), [
    (f"{POLY} --lam 0.30", (3.0, "dev", 0.3, "results/listqa/dev/polychromic-0.3")),
    (f"{POLY} --lam 3", (3.0, "dev", 3.0, "results/listqa/dev/polychromic-3.0")),
    (f"{POLY} --lam=-0.0", (3.0, "dev", 0.0, "results/listqa/dev/polychromic-0.0")),
    (f"{POLY} --lam 1e-1", (3.0, "dev", 0.1, "results/listqa/dev/polychromic-0.1")),
    ("sample listqa polychromic --split test", (3.0, "test", 3.0, "results/listqa/test/polychromic-3.0")),
    ("sample replies lora --split calibration", (3.0, "calibration", None, "results/replies/calibration/lora")),
    (f"sample listqa lora {DEV} --params HERE/params.yaml", (3.0, "dev", None, "results/listqa/dev/lora")),  # by its full name
    (f"sample listqa lora {DEV} --params other.yaml --out elsewhere", (1.0, "dev", None, "elsewhere")),
])  # fmt: skip
def test_the_folder_of_a_cell_is_named_after_split_method_and_weight(line, expected, workspace, command, ran):
    assert command(*line.replace("HERE", str(workspace)).split())[:2] == (0, "") and ran == [expected]


@pytest.mark.parametrize(("line", "fragments"), [
    ("{oops", ["not JSON"]), (None, [f"id 'listqa-{KINDS[0]}' was already used at ", "listqa.jsonl:1"]),  # None: the first line again
])  # fmt: skip
def test_a_bad_line_of_data_stops_split_with_file_and_line_and_leaves_what_was_written(line, fragments, workspace, command):
    assert command("split", "listqa")[0] == 0
    path, data = Path("results/listqa/split.json"), Path("data/listqa.jsonl")
    written, before, lines = path.read_bytes(), tree(workspace), data.read_text().splitlines()
    lines[4] = line or lines[0]
    data.write_text("\n".join(lines))
    code, out, err = command("split", "listqa")
    assert (code, out) == (1, "") and "Traceback" not in err
    assert all(fragment in " ".join(err.split()) for fragment in ["data/listqa.jsonl:5: ", "Allowed: ", *fragments]), err
    assert tree(workspace) == before and path.read_bytes() == written


@pytest.mark.parametrize(("code", "file", "old", "new", "parts"), [
    (1, "data/listqa.jsonl", "{", "{oops", ["data/listqa.jsonl:1: not JSON"]),
    (2, "params.yaml", "lambda: 3.0", "lambda: abc\nsead: 1", ["params.yaml: 2 error(s):\n", "lambda: ", "sead: "]),
])  # fmt: skip
def test_python_m_polychromic_exits_1_on_bad_data_and_2_on_bad_params(code, file, old, new, parts, workspace):
    """The whole path once, in a process: exit code, message on stderr, nothing on stdout, nothing written."""
    (workspace / file).write_text((workspace / file).read_text().replace(old, new, 1))
    before, environment = tree(workspace), os.environ | {"PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1"}
    done = subprocess.run([sys.executable, "-m", "polychromic", "split", "listqa"], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (code, "") and done.stderr.startswith(f"error: {parts[0]}")
    assert all(part in done.stderr for part in parts) and tree(workspace) == before


def test_split_writes_its_file_and_train_exports_an_adapter(workspace, command):
    make_models(workspace)
    assert command("split", "listqa")[0] == 0
    splits = read_json("results/listqa/split.json")["splits"]
    assert {name: len(ids) for name, ids in splits.items()} == {"train": 6, "dev": 4, "test": 4, "calibration": 0}
    assert len({i for ids in splits.values() for i in ids}) == 14
    code, out, _ = command("norms", "listqa")
    assert code == 0 and out == f"cosine {read_json('results/listqa/norms.json')['training']['cosine']}\n"
    assert command("train", "listqa", "polychromic", "--lam", "3", "--seed", "0", "--out", "adapter")[:2] == (0, "adapter\n")
    assert {path.name for path in (workspace / "adapter").iterdir()} == {"adapter_config.json", "adapter_model.safetensors", "history.json"}
    assert str(workspace) not in (workspace / "adapter" / "adapter_config.json").read_text()


def test_square_brackets_of_a_message_are_shown_as_they_are_and_debug_shows_the_traceback(command, monkeypatch, workspace):
    monkeypatch.setattr("polychromic.data.split.run", Mock(side_effect=PolychromicError("data[bold]: [red]odd[/red] [/]")))
    code, _, err = command("split", "listqa")
    assert code == 1 and "data[bold]: [red]odd[/red] [/]" in err and "Traceback" not in err
    monkeypatch.setattr(sys, "argv", ["polychromic", "--debug", "split", "listqa"])
    with pytest.raises(PolychromicError, match="odd"):
        cli.main()


def test_what_the_system_refuses_is_one_message_and_a_bug_a_traceback(command, monkeypatch, workspace):
    monkeypatch.setattr("polychromic.data.split.run", Mock(side_effect=PermissionError(13, "Permission denied", "results")))
    code, _, err = command("split", "listqa")
    assert code == 1 and "error: results: Permission denied. Allowed: " in err and "Traceback" not in err
    odd = UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates")
    for error in (OSError("disk"), MemoryError(), RecursionError("deep"), OverflowError("large"), odd):
        monkeypatch.setattr("polychromic.data.split.run", Mock(side_effect=error))
        code, _, err = command("split", "listqa")
        assert code == 1 and "error: the command stopped (" in err and "--debug" in err and "Traceback" not in err
    monkeypatch.setattr("polychromic.data.split.run", Mock(side_effect=ZeroDivisionError("a bug")))
    monkeypatch.setattr(sys, "argv", ["polychromic", "split", "listqa"])
    with pytest.raises(ZeroDivisionError, match="a bug"):
        cli.main()
