"""README: each command runs in a test, its table and its loss are the repository's; and every link of every page leads somewhere."""

import re
import subprocess

import pytest

from polychromic.report.paper import with_results
from tests import page_tools as pages
from tests.workspace import make_models, small_values, write_listqa, write_params

REPOSITORY = pages.REPOSITORY
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PAGES = [REPOSITORY / "README.md", REPOSITORY / "DATA.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
MODEL = ("polychromic doctor", "polychromic train listqa polychromic --lam 3.0 --seed 0 --out my-adapter")
PIPELINE, HERE = "tests/pipeline/test_pipeline.py::", "tests/pages/test_readme.py::"
# command -> the test, or the fixture of a test, that runs it
RUN_BY = {
    "make paper": PIPELINE + "test_make_paper_runs_nothing_more_and_stamps_a_release",
    "make test": HERE + "test_make_targets_resolve",  # it is what runs this file
    "source .venv/bin/activate": "tests/conftest.py::command",  # every test runs in the environment
    "dvc exp run --pull -S lambda=0.3": PIPELINE + "ablation",
    "polychromic diff": PIPELINE + "ablation",
    "dvc params diff": PIPELINE + "ablation",
    "git restore --source=HEAD --staged --worktree . && dvc checkout": PIPELINE + "test_the_way_back_gives_the_original_files",
} | dict.fromkeys(MODEL, HERE + "test_what_is_said_about_ones_own_model")


def test_every_command_is_run_by_a_test():
    assert set(pages.commands(README)) == set(RUN_BY)
    for path, _, name in (place.partition("::") for place in RUN_BY.values()):
        assert f"def {name}(" in (REPOSITORY / path).read_text(encoding="utf-8"), name


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:`|^)make ([a-z-]+)", README, flags=re.MULTILINE))))
def test_make_targets_resolve(target):
    done = subprocess.run(["make", "--dry-run", target], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "python" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
    if page.stem in ("method", "metric", "own-data", "reproduce"):
        pages.check(page.read_text(encoding="utf-8"))  # one page long


def test_the_table_is_the_pipelines():
    table = (REPOSITORY / "paper" / "tables" / "listqa-test.md").read_text(encoding="utf-8")
    assert with_results(README, table) == README


def test_the_map_has_the_loss_as_it_stands_and_every_folder_in_the_order_of_the_flow():
    (loss,) = re.findall(r"`(loss = [^`]+)`", README)
    assert loss in (REPOSITORY / "polychromic" / "train" / "trainer.py").read_text(encoding="utf-8")
    mapped = re.findall(r"^\| \[([a-z]+)(?:\.py)?\]", README, flags=re.MULTILINE)
    assert mapped == re.findall(r"^\| \d+ \| `(\w+)`", pages.read("architecture.md"), flags=re.MULTILINE)


def test_what_is_said_about_ones_own_model(tmp_path, monkeypatch, command):
    make_models(tmp_path)
    write_params(tmp_path, small_values())
    write_listqa(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    assert command("split", "listqa")[0] == 0
    (doctor, said, _), (train, _, problem) = (command(*line.split()[1:]) for line in MODEL)
    assert doctor in (0, 1) and "python" in said and "weights" in said
    assert train == 0, problem
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {path.name for path in (tmp_path / "my-adapter").iterdir()}
