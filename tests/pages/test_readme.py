"""Every command of the README runs, and its table is the pipeline's. A new command there needs an entry here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from polychromic.report.readme import with_results

from tests import pipeline_tools as tools

README = (tools.REPOSITORY / "README.md").read_text(encoding="utf-8")
TRAIN = "polychromic train listqa polychromic --lam 3.0 --seed 0 --out my-adapter"
# command -> the test that runs it
RUN_BY = {
    "make paper": "tests/test_pipeline.py",
    "make test": "test_make_targets_resolve",  # it is what runs this file
    "source .venv/bin/activate": "every test runs in the environment",
    "dvc exp run --pull -S lambda=0.3": "tests/test_pipeline.py",
    "polychromic diff": "tests/test_pipeline.py",  # after an experiment
    "dvc params diff": "test_comparing",
    "git checkout . && dvc checkout": "tests/test_pipeline.py",  # after an experiment
    "polychromic doctor": "test_doctor_prints_a_table",
    TRAIN: "test_train_exports_an_adapter",
}


def commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def test_every_command_is_run_by_a_test():
    assert set(commands()) == set(RUN_BY)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z-]+)`", README))))
def test_make_targets_resolve(target):
    done = subprocess.run(["make", "--dry-run", target], cwd=tools.REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "python" in done.stdout


def test_links_lead_to_files():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets and [target for target in targets if not (tools.REPOSITORY / target).exists()] == []


def test_the_table_is_the_pipelines():
    table = (tools.REPOSITORY / "paper" / "tables" / "listqa-test.md").read_text(encoding="utf-8")
    assert with_results(README, table) == README


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    base = tmp_path_factory.mktemp("readme")
    tools.make_models(base)
    workspace = tools.tiny_workspace(base / "workspace", domains=["listqa"])
    environment = tools.environment(workspace, base / "cache")
    tools.dvc(workspace, environment, "repro", "split@listqa")
    tools.commit(workspace, "Split")
    return workspace, environment


def polychromic(workspace: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "polychromic", *arguments], cwd=workspace, env=environment, capture_output=True, text=True)


def test_train_exports_an_adapter(workspace):
    folder, environment = workspace
    done = polychromic(folder, environment, *TRAIN.split()[1:])
    assert done.returncode == 0, done.stderr
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {path.name for path in (folder / "my-adapter").iterdir()}


def test_doctor_prints_a_table(workspace):
    done = polychromic(*workspace, "doctor")
    assert done.returncode in (0, 1), done.stderr
    assert "python" in done.stdout and "weights" in done.stdout


def test_comparing(workspace):
    folder, environment = workspace
    params = folder / "params.yaml"
    before = params.read_text()
    params.write_text(before.replace("lambda: 3.0", "lambda: 0.3"))
    assert "lambda" in tools.dvc(folder, environment, "params", "diff")
    tools.git(folder, "checkout", ".")
    assert params.read_text() == before

