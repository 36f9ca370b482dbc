"""The command line: exit codes and messages, what it refuses before it works, and that it starts without heavy imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from polychromic import __version__
from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json
from polychromic.cli.app import app as cli
from polychromic.sample import cells
from tests.workspace import KINDS, REPOSITORY, listqa_record, make_models, small_values, write_listqa, write_params


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    """params.yaml and data/listqa.jsonl; no models: what is refused is refused before one is asked for."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    write_params(folder, small_values())
    write_listqa(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    return folder


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_starting_costs_no_heavy_import():
    """In a process of its own: --help and reading params must not wait for torch."""
    code = "import sys; import polychromic.cli.app, polychromic.params; polychromic.params.load_params(); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "transformers", "peft", "pandas", "scipy", "sentence_transformers", "matplotlib", "sklearn", "dvc"}
    assert "polychromic.params" in found
    assert not heavy & set(found)


def test_version_and_help(command):
    assert command("--version") == (0, f"polychromic {__version__}\n", "")
    code, out, _ = command("--help")
    assert code == 0
    for name in ("doctor", "curate", "split", "cell", "train", "score", "select", "compare", "report", "paper", "release"):
        assert name in out


def test_every_command_has_help(command):
    for name in ("doctor", "curate", "split", "cell", "train", "score", "select", "compare", "report", "paper", "release"):
        assert command(name, "--help")[0] == 0


def test_an_unknown_command_or_option_is_a_usage_error(command):
    assert command("trian")[0] == 2
    assert command("split", "listqa", "--sed", "3")[0] == 2
    assert command("cell", "listqa")[0] == 2


# what a cell refuses


@pytest.fixture
def no_run(monkeypatch):
    monkeypatch.setattr(cells, "run_cell", lambda *a, **k: pytest.fail("the cell was run"))


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["listqa", "dora"], ["method 'dora' does not exist", "zero_shot, few_shot, lora, polychromic", "params.yaml"]),
        (["poems", "lora"], ["domain 'poems' does not exist", "listqa, replies"]),
        (["listqa", "polychromic"], ["method 'polychromic' needs a weight", "--lam 3.0"]),
        (["listqa", "lora", "--lam", "3.0"], ["method 'lora' takes no --lam"]),
        (["listqa", "polychromic_plain", "--lam", "3.0"], ["takes no --lam", "methods.polychromic_plain.lam to 0.5"]),
        (["listqa", "rft", "--lam", "3.0"], ["method 'rft' takes no --lam"]),
        (["listqa", "polychromic", "--lam", "abc"], ["--lam is 'abc'", "a number >= 0"]),
        (["listqa", "polychromic", "--lam", "3"], ["--lam is written '3'", "Write 3.0"]),
        (["listqa", "polychromic", "--lam", "0.30"], ["--lam is written '0.30'", "Write 0.3"]),
        (["listqa", "polychromic", "--lam", "1e-1"], ["Write 0.1"]),
        (["listqa", "polychromic", "--lam", "-1.0"], ["--lam is -1.0", ">= 0"]),
        (["listqa", "polychromic", "--lam", "inf"], ["--lam is inf", "finite"]),
        (["listqa", "polychromic", "--lam", "nan"], ["--lam is nan", "finite"]),
        (["listqa", "lora", "--params", "other.yaml"], ["other.yaml: file not found"]),
    ],
)
def test_a_cell_that_does_not_exist_is_refused(arguments, fragments, workspace, command):
    before = tree(workspace)
    code, out, err = command("cell", *arguments)
    assert code == 2 and out == ""
    for fragment in fragments:
        assert fragment in " ".join(err.split())
    assert "Traceback" not in err and tree(workspace) == before


@pytest.mark.usefixtures("workspace")
def test_minus_zero_is_no_weight_of_its_own(command, monkeypatch):
    monkeypatch.setattr(cells, "run_cell", lambda *a, **k: sys.exit(0))
    assert command("cell", "listqa", "polychromic", "--lam", "-0.0")[0] == 2


@pytest.mark.usefixtures("no_run")
def test_another_parameter_file_may_not_write_into_results(workspace, command, monkeypatch):
    write_params(workspace, small_values() | {"lambda": 1.0}, "other.yaml")
    code, _, err = command("cell", "listqa", "lora", "--params", "other.yaml")
    assert code == 2 and "--params other.yaml would write into the tracked results/" in err and "--out" in err
    ran = []
    monkeypatch.setattr(cells, "run_cell", lambda params, *rest: (ran.append((params.lam, *rest)), sys.exit(0)))
    assert command("cell", "listqa", "lora", "--params", "other.yaml", "--out", "elsewhere")[0] == 0
    assert command("cell", "listqa", "lora", "--params", str(workspace / "params.yaml"))[0] == 0, "the same file by its full name"
    assert ran == [(1.0, "listqa", "lora", None, Path("elsewhere")), (3.0, "listqa", "lora", None, paths.cell_dir("listqa", "lora"))]


@pytest.mark.parametrize("stage", ["split", "score", "select", "compare"])
def test_no_stage_writes_tracked_results_with_another_parameter_file(stage, workspace, command):
    write_params(workspace, small_values() | {"lambda": 1.0}, "other.yaml")
    code, _, err = command(stage, "listqa", "--params", "other.yaml")
    assert code == 2 and "would write into the tracked results/" in err


def test_the_folder_of_a_cell_is_named_after_method_and_weight(workspace, command, monkeypatch):
    ran = []
    monkeypatch.setattr(cells, "run_cell", lambda params, domain, method, lam, out: (ran.append((lam, out)), sys.exit(0)))
    command("cell", "listqa", "polychromic", "--lam", "0.3")
    command("cell", "listqa", "zero_shot")
    assert ran == [(0.3, Path("results/listqa/polychromic-0.3")), (None, Path("results/listqa/zero_shot"))]


# train


def test_train_refuses_a_method_without_adapter(workspace, command):
    command("split", "listqa")
    code, _, err = command("train", "listqa", "few_shot", "--seed", "0", "--out", "adapter")
    assert code == 2 and "method 'few_shot' has no adapter" in err
    allowed = err.replace("\n", " ").split("Allowed: ")[1].rstrip(" .").split(", ")
    assert {"lora", "polychromic", "gem", "rft"} <= set(allowed) and not {"zero_shot", "few_shot", "list_prompt"} & set(allowed)
    assert not (workspace / "adapter").exists()


def test_train_refuses_a_negative_seed(workspace, command):
    before = tree(workspace)
    code, _, err = command("train", "listqa", "lora", "--seed", "-1", "--out", "adapter")
    assert code == 2 and "Invalid value for '--seed'" in err
    assert tree(workspace) == before


def test_train_exports_an_adapter(workspace, command):
    make_models(workspace)
    assert command_succeeds(["split", "listqa"])
    assert command_succeeds(["train", "listqa", "polychromic", "--lam", "3.0", "--seed", "0", "--out", "adapter"])
    names = {path.name for path in (workspace / "adapter").iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "history.json"}
    assert str(workspace) not in (workspace / "adapter" / "adapter_config.json").read_text()


def command_succeeds(arguments: list[str]) -> bool:
    cli.app(arguments, standalone_mode=False)
    return True


# bad data, in a process of its own as a user runs it


def record(number: int, **changes) -> str:
    row = listqa_record(number).model_dump() | changes
    return json.dumps({key: value for key, value in row.items() if value is not None})


BAD_LINES = {
    "not JSON": ("{oops", ["not JSON"]),
    "not an object": ("[1, 2]", ["a JSON list"]),
    "no prompt": (record(4, prompt=None), ["prompt: Field required"]),
    "empty prompt": (record(4, prompt="  "), ["prompt: ", "at least 1 character"]),
    "empty reference": (record(4, references=["red", ""]), ["references.1: ", "at least 1 character"]),
    "no reference": (record(4, references=[]), ["references is empty"]),
    "duplicate id": (record(4, id=f"listqa-{KINDS[1]}"), [f"id 'listqa-{KINDS[1]}' was already used at ", "listqa.jsonl:2"]),
    "unknown field": (record(4, promt="x"), ["promt: Extra inputs are not permitted"]),
    "no valid answers": (record(4, valid=[]), ["valid is empty"]),
}


def with_line(workspace: Path, line: str) -> None:
    lines = [record(number) for number in range(len(KINDS))]
    lines[4] = line
    (workspace / "data" / "listqa.jsonl").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_bad_line_of_data_stops_split_with_file_and_line(case, workspace, command):
    line, fragments = BAD_LINES[case]
    with_line(workspace, line)
    before = tree(workspace)
    code, out, err = command("split", "listqa")
    assert code == 1 and out == "" and "Traceback" not in err
    text = " ".join(err.split())
    for fragment in ["data/listqa.jsonl:5: ", "Allowed: ", *fragments]:
        assert fragment in text
    assert tree(workspace) == before


def test_python_m_polychromic_exits_1_on_bad_data_and_2_on_bad_params(workspace):
    """The whole path once, in a process: exit code, message on stderr, nothing on stdout, nothing written."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1"}
        return subprocess.run([sys.executable, "-m", "polychromic", *arguments], capture_output=True, text=True, env=environment)

    with_line(workspace, "{oops")
    before = tree(workspace)
    result = run("split", "listqa")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: data/listqa.jsonl:5: not JSON")
    write_params(workspace, small_values() | {"lambda": "abc", "sead": 1})
    result = run("split", "listqa")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: params.yaml: 2 error(s):\n") and "lambda: " in result.stderr and "sead: " in result.stderr
    assert tree(workspace) == before


def test_split_writes_the_file(workspace, command):
    assert command_succeeds(["split", "listqa"])
    document = read_json("results/listqa/split.json")
    assert {name: len(ids) for name, ids in document["splits"].items()} == {"train": 6, "dev": 4, "test": 4, "calibration": 0}
    assert len({i for ids in document["splits"].values() for i in ids}) == 14


def test_an_old_split_file_survives_bad_data(workspace, command):
    assert command_succeeds(["split", "listqa"])
    before = (workspace / "results" / "listqa" / "split.json").read_bytes()
    with_line(workspace, "{oops")
    assert command("split", "listqa")[0] == 1
    assert (workspace / "results" / "listqa" / "split.json").read_bytes() == before


# errors


def test_square_brackets_of_a_message_are_shown_as_they_are(command, monkeypatch):
    def fail(*a, **k):
        raise PolychromicError("data[bold]: [red]odd[/red] [/]")

    monkeypatch.setattr("polychromic.data.split.run", fail)
    monkeypatch.chdir(REPOSITORY)
    code, _, err = command("split", "listqa")
    assert code == 1 and "data[bold]: [red]odd[/red] [/]" in err


def test_debug_shows_the_traceback(monkeypatch, workspace):
    monkeypatch.setattr(sys, "argv", ["polychromic", "--debug", "split", "poems"])
    with pytest.raises(PolychromicError, match="poems"):
        cli.main()
