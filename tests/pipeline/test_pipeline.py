"""Every stage, on tiny random models and the real data: twice with the same bytes, then DVC's own commands, ablations and the way back.

The two full runs take their stages in one process each (tests/run_stages.py), since importing torch per stage is what takes the time; what
DVC does with a stage is seen in the ablations, which it runs itself.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from polychromic.base import paths
from polychromic.base.io import read_json
from polychromic.params import Params
from polychromic.pipeline.stages import Stage, stages
from tests import pipeline_tools as tools
from tests.run_stages import READ
from tests.workspace import make_models

DOMAINS = ("listqa", "replies", "creative", "code")
SENTENCE = r"The weight of $D$ is \num{setup.lambda}."

pytestmark = pytest.mark.timeout(2 * tools.PATIENCE)


@dataclass(frozen=True)
class Run:
    workspace: Path
    environment: dict[str, str]
    made: dict[str, str]  # path -> md5 of every out
    read: dict[str, list[str]]  # stage -> fields of params.yaml's sections that its code read


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[Run, Run]:
    """Two full runs, in folders of different name, with different hash seeds and caches."""
    if shutil.which("latexmk") is None:
        pytest.fail("latexmk is not on PATH; the last stage needs it. As root, `make test` installs LaTeX; else see `polychromic doctor`.")
    base = tmp_path_factory.mktemp("pipeline")
    make_models(base)
    started, found = [], []
    for hash_seed, name in enumerate(("one", "another, longer name"), start=1):
        workspace = tools.tiny_workspace(base / name)
        text = workspace / "paper" / "main.tex"  # which prints nothing, else, that an ablation must change
        text.write_text(text.read_text(encoding="utf-8").replace(r"\end{document}", f"{SENTENCE}\n\\end{{document}}"), encoding="utf-8")
        environment = tools.environment(workspace, base / f"cache {hash_seed}", hash_seed)
        log = base / f"run-{hash_seed}.log"
        started.append((workspace, environment, tools.start(workspace, environment, "tests.run_stages", log=log), log))
    try:
        for workspace, environment, process, log in started:
            tools.finish(process, log)
            outs = [path for stage in stages(workspace).values() for path in stage.outs]
            made = {path: hashlib.md5((workspace / path).read_bytes(), usedforsecurity=False).hexdigest() for path in outs}
            found.append(Run(workspace, environment, made, read_json(workspace / READ)))
    finally:
        for _, _, process, _ in started:
            tools.stop(process)
    return tuple(found)


@pytest.fixture(scope="module")
def recorded(runs) -> Run:
    """The first run as DVC records it: what a `dvc repro` of all stages would leave."""
    run = runs[0]
    tools.dvc(run.workspace, run.environment, "commit", "--force", "--quiet")
    (run.workspace / READ).unlink()
    tools.commit(run.workspace, "Results")
    return run


def test_two_runs_give_the_same_bytes_everywhere(runs):
    one, two = runs
    assert one.made == two.made and len(one.made) > 150
    assert (one.workspace / "paper" / "main.pdf").read_bytes().startswith(b"%PDF")
    assert one.environment["PYTHONHASHSEED"] != two.environment["PYTHONHASHSEED"]
    assert one.environment["POLYCHROMIC_CACHE"] != two.environment["POLYCHROMIC_CACHE"]


SECTIONS = {field.annotation.__name__: name for name, field in Params.model_fields.items() if hasattr(field.annotation, "model_fields")}


def covers(stage: Stage, field: str) -> bool:
    """Whether the parameters that a stage declares hold a field that its code read, as "Train.batch_size" or "Params.seeds"."""
    section, _, name = field.partition(".")
    places = {**SECTIONS, "Params": "", "DomainParams": stage.axes.get("domain", "")}
    keys = stage.params.get(paths.PARAMS.as_posix())
    if section not in places or keys == ():
        return True  # part of a method or of the analysis, which are declared as wholes; or the file is
    wanted = "lambda." if field == "Params.lam" else f"{places[section]}.{name}.".removeprefix(".")
    return any(f"{key}.".startswith(wanted) or wanted.startswith(f"{key}.") for key in keys or ())


# Read by code that serves every stage, and by none to decide what is written: who runs where, what stands on the command line.
EVERYWHERE = {f"Params.{name}" for name in ("methods", "domains", "lam", "seeds", "analysis")}
EVERYWHERE |= {"DomainParams.lambdas", "DomainParams.people"}
# Read there, and decided elsewhere: at which temperatures cells were sampled stands in the samples; n may refuse a list that is too short.
DECIDED = {"score": {"DomainParams.temperatures"}, "compare": {"DomainParams.temperatures"}, "prompted": {"Objective.n"}}
# Sections themselves: what matters is which of their fields is read.
EVERYWHERE |= {f"Params.{name}" for name in (*SECTIONS.values(), "model", "encoder")}


def test_each_stage_declares_the_parameters_that_its_code_reads(runs):
    found = stages(runs[0].workspace)
    assert runs[0].read.keys() == found.keys()
    free = lambda name: EVERYWHERE | DECIDED.get(name.partition("-")[0], set())
    needed = [(name, field) for name, fields in runs[0].read.items() for field in set(fields) - free(name)]
    assert [f"{name} reads {field}" for name, field in needed if not covers(found[name], field)] == []
    assert "Train.schedule" in runs[0].read["tuned-dev@listqa-lora"] and "Train.schedule" not in runs[0].read["compare-dev-listqa"]


def test_dvc_takes_the_run_as_its_own(recorded):
    assert "Data and pipelines are up to date." in tools.dvc(recorded.workspace, recorded.environment, "status")
    again = tools.dvc(recorded.workspace, recorded.environment, "repro")
    assert tools.stages_run(again) == [] and "Data and pipelines are up to date." in again
    locked = {path: md5 for outs in tools.recorded(recorded.workspace).values() for path, md5 in outs.items()}
    assert locked == recorded.made
    assert tools.git(recorded.workspace, "status", "--porcelain") == ""
    kept = set(tools.git(recorded.workspace, "ls-files").splitlines()) & set(recorded.made)
    assert kept and all(path.startswith(("paper/tables/", "paper/figures/", "paper/numbers.tex")) for path in kept)


def test_metrics_and_plots_say_what_was_found(recorded):
    metrics = json.loads(tools.dvc(recorded.workspace, recorded.environment, "metrics", "show", "--json"))
    of_listqa = metrics[""]["data"]["results/listqa/dev/metrics.json"]["data"]
    assert of_listqa.keys() >= {"zero_shot", "lora", "polychromic", f"polychromic@{tools.OTHER}"}
    assert of_listqa["lora"].keys() >= {"valid_distinct@10", "pass@1", "pass@10", "objective", "steps"}
    tools.dvc(recorded.workspace, recorded.environment, "plots", "show", "--out", str(recorded.workspace.with_name("plots")))
    page = (recorded.workspace.with_name("plots") / "index.html").read_text()
    assert '"results_listqa_dev_frontier_csv"' in page and '"results_code_dev_training_csv"' in page


def test_make_paper_runs_nothing_more_and_stamps_a_release(recorded):
    run, venv = recorded, Path(sys.prefix)
    command = ["make", "paper", f"VENV={venv}", f"--assume-old={venv}/installed"]
    done = subprocess.run(command, cwd=run.workspace, env=run.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert tools.stages_run(done.stdout) == []
    (released,) = (run.workspace / "release").glob("polychromic-*.pdf")
    assert released.read_bytes() == (run.workspace / "paper" / "main.pdf").read_bytes()


@dataclass(frozen=True)
class Ablation:
    ran: set[str]
    made: dict[str, str]
    difference: dict  # what `polychromic diff --json` says of it
    params: list[str]  # what `dvc params diff` says


@pytest.fixture(scope="module")
def ablation(recorded) -> Ablation:
    """Another lambda up to the paper: the grids of list questions and sentences have it, replies and functions train a cell."""
    run = recorded
    output = tools.dvc(run.workspace, run.environment, "exp", "run", "-S", f"lambda={tools.OTHER}")
    said = tools.output(run.workspace, run.environment, "polychromic", "diff", "--json")
    params = json.loads(tools.dvc(run.workspace, run.environment, "params", "diff", "--json"))
    keys = [key for file in params.values() for key in file]
    locked = {path: md5 for outs in tools.recorded(run.workspace).values() for path, md5 in outs.items()}
    return Ablation(set(tools.stages_run(output)), locked, json.loads(said), keys)


def test_a_lambda_of_the_grid_trains_nothing_and_leaves_test_alone(recorded, ablation):
    lacking = {f"polychromic-dev-{domain}@{tools.OTHER}" for domain in DOMAINS if tools.OTHER not in tools.GRID[domain]}
    kinds = ("prompted", "tuned", "checked", "polychromic", "cells")
    assert {name for name in ablation.ran if name.split("-")[0] in kinds} == lacking
    again = {f"{stage}{domain}" for stage in ("compare-dev-", "report-dev@") for domain in DOMAINS}
    assert again | {"numbers", "paper"} <= ablation.ran
    assert not {name for name in ablation.ran if "-test" in name}
    assert ablation.made["paper/main.pdf"] != recorded.made["paper/main.pdf"]
    for domain in DOMAINS:
        systems = read_json(recorded.workspace / paths.compare_file(domain, "dev"))["systems"]
        assert {system["lambda"] for system in systems if system["label"] == "polychromic"} == {tools.OTHER}


def test_the_ablation_is_said_in_parameters_and_in_the_papers_sentences(ablation):
    assert ablation.params == ["lambda"]
    changes = {change["key"]: change for change in ablation.difference["changes"]}
    weight = changes["setup.lambda"]
    assert (weight["old"]["text"], weight["new"]["text"]) == (f"{tools.HEADLINE:g}", f"{tools.OTHER:g}")
    (sentence,) = [one for one in ablation.difference["sentences"] if "setup.lambda" in one["keys"]]
    assert f"«{tools.HEADLINE:g} \u2192 {tools.OTHER:g}»" in sentence["text"] and sentence["line"]


def test_the_way_back_gives_the_original_files(recorded, ablation):
    run = recorded
    (run.workspace / "params.yaml").write_text((run.workspace / "params.yaml").read_text().replace("batch_size: 4", "batch_size: 2"))
    tools.git(run.workspace, "add", "params.yaml")  # as an experiment that was interrupted leaves it
    for command in tools.way_back():
        subprocess.run(command, shell=True, cwd=run.workspace, env=run.environment, check=True, capture_output=True)
    for path, md5 in run.made.items():
        assert hashlib.md5((run.workspace / path).read_bytes(), usedforsecurity=False).hexdigest() == md5, path
    assert "Data and pipelines are up to date." in tools.dvc(run.workspace, run.environment, "status")


def test_test_is_refused_once_its_declaration_was_changed(recorded, ablation):
    """The results were committed: from then on another number of prompts on test is another analysis."""
    run, params = recorded, recorded.workspace / "params.yaml"
    before, head = params.read_text(), tools.git(run.workspace, "rev-parse", "HEAD")
    params.write_text(before.replace("prompts: 6", "prompts: 5"))
    try:
        tools.git(run.workspace, "commit", "--quiet", "--message", "Another look", "--", "params.yaml")
        command = [sys.executable, "-m", "polychromic", "score", "listqa", "--split", "test"]
        done = subprocess.run(command, cwd=run.workspace, env=run.environment, capture_output=True, text=True)
        assert done.returncode == 1 and "but test is open since commit" in done.stderr, done.stderr
    finally:
        tools.git(run.workspace, "reset", "--quiet", "--hard", head)
