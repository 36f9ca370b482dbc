"""Every stage, on tiny random models and the real data: twice with the same bytes, then ablations and the way back."""

import hashlib
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import pipeline_tools as tools

DOMAINS = ("listqa", "replies", "creative", "code")
HEADLINE = 3.0
ABLATED = ("select", "compare", "report")  # that a new headline lambda runs again in each domain
POLY = {"listqa": "poly", "replies": "poly_core", "creative": "poly_headline", "code": "code_poly"}  # the stage of a domain's weights of D
GRID = {"listqa": (0.3, HEADLINE), "replies": (0.3, HEADLINE), "creative": (HEADLINE,), "code": (HEADLINE,)}
PREFIX = {"code": "code_"}  # of the stages of cells with deps of their own
OF_ALL = "prompted@{}-zero_shot", "prompted@{}-few_shot", "lora@{}-lora"
OF_LISTQA = ("listed", "list_prompt"), ("decoded", "lora_min_p"), ("losses", "gem"), ("objectives", "polychromic_plain", "polychromic_bulk")
CELLS = (
    {PREFIX.get(domain, "") + cell.format(domain) for cell in OF_ALL for domain in DOMAINS}
    | {f"rft@{domain}-rft" for domain in ("listqa", "replies")}
    | {f"{POLY[domain]}@{domain}-{lam}" for domain in DOMAINS for lam in GRID[domain]}
    | {f"openers@replies-{method}" for method in ("zero_shot", "few_shot", "lora", "rft")}
    | {f"openers_poly@replies-{lam}" for lam in (0.3, HEADLINE)}
    | {f"{stage}@listqa-{method}" for stage, *methods in OF_LISTQA for method in methods}
)
OPENED = {"listqa": "sample_test", "code": "sample_test_code"}  # sample_test_others in the other domains
SYSTEMS = ("zero_shot", "few_shot", "lora", "polychromic", "rft")
OF_TEST = (
    {f"{OPENED.get(domain, 'sample_test_others')}@{domain}-{system}" for domain in DOMAINS for system in SYSTEMS}
    | {"sample_test@listqa-lora_min_p"}
    | {f"{stage}@{domain}" for stage in ("score_test", "compare_test", "report_test") for domain in DOMAINS}
    | {"summary"}
)
# What no choice of lambda concerns.
BEFORE = CELLS | {f"{stage}@{domain}" for stage in ("split", "score") for domain in DOMAINS} | {"designs", "audit"} | OF_TEST

pytestmark = pytest.mark.timeout(2 * tools.PATIENCE)


@dataclass(frozen=True)
class Run:
    workspace: Path
    environment: dict[str, str]
    output: str
    recorded: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[Run, Run]:
    """Two full runs at the same time, in folders of different name, with different hash seeds and caches."""
    if shutil.which("latexmk") is None:
        pytest.fail("latexmk is not on PATH; the last stage needs it. As root, `make test` installs LaTeX; else see `polychromic doctor`.")
    base = tmp_path_factory.mktemp("pipeline")
    tools.make_models(base)
    started, runs = [], []
    for hash_seed, name in enumerate(("one", "another, longer name"), start=1):
        workspace = tools.tiny_workspace(base / name)
        environment = tools.environment(workspace, base / f"cache {hash_seed}", hash_seed)
        log = base / f"run-{hash_seed}.log"
        started.append((workspace, environment, tools.start(workspace, environment, "dvc", "repro", log=log), log))
    try:
        for workspace, environment, process, log in started:
            output = tools.finish(process, log)
            tools.commit(workspace, "Results")
            runs.append(Run(workspace, environment, output, tools.recorded(workspace)))
    finally:
        for _, _, process, _ in started:
            tools.stop(process)
    return tuple(runs)


@pytest.fixture(scope="module")
def repeated(runs) -> str:
    return tools.dvc(runs[0].workspace, runs[0].environment, "repro")


@pytest.fixture(scope="module")
def later(runs) -> set[str]:
    """The stages that depend on the headline lambda, or on all of params.yaml."""
    return set(tools.dvc(runs[0].workspace, runs[0].environment, "stage", "list", "--name-only").split()) - BEFORE


@dataclass(frozen=True)
class Ablation:
    lam: float
    stages: list[str]
    recorded: dict[str, dict[str, str]]
    lambdas: set[float]
    headline: float
    difference: dict  # what `polychromic diff --json` says of it


def ablate(run: Run, lam: float) -> Ablation:
    output = tools.dvc(run.workspace, run.environment, "exp", "run", "-S", f"lambda={lam}")
    systems = json.loads((run.workspace / "results" / "listqa" / "compare.json").read_text())["systems"]
    lambdas = {system["lambda"] for system in systems if system["method"] == "polychromic"}
    (headline,) = {system["lambda"] for system in systems if system["label"] == "polychromic"}
    said = tools.output(run.workspace, run.environment, "polychromic", "diff", "--json")
    return Ablation(lam, tools.stages_run(output), tools.recorded(run.workspace), lambdas, headline, json.loads(said))


@pytest.fixture(scope="module")
def ablations(runs, repeated) -> list[Ablation]:
    """lambda = 0.3, which the grid has, in the first workspace; 0.5, which it has not, in the second."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(ablate, runs, (0.3, 0.5)))


def test_two_runs_give_the_same_bytes_everywhere(runs):
    one, two = runs
    assert one.recorded == two.recorded
    assert set(tools.stages_run(one.output)) == set(one.recorded)
    assert BEFORE < set(one.recorded)
    assert {stage.split("@")[0] for stage in set(one.recorded) - BEFORE} >= {"select", "compare", "report", "setup", "paper"}
    pdf = (one.workspace / "paper" / "main.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and pdf == (two.workspace / "paper" / "main.pdf").read_bytes()
    assert one.recorded["paper"] == {"paper/main.pdf": hashlib.md5(pdf, usedforsecurity=False).hexdigest()}
    assert len({run.environment["PYTHONHASHSEED"] for run in runs}) == len({run.environment["POLYCHROMIC_CACHE"] for run in runs}) == 2


def test_git_sees_no_cached_out(runs):
    """What DVC keeps must not be offered to Git: after `git add --all` DVC would refuse to run the stage again."""
    outs = {out for stage in runs[0].recorded.values() for out in stage}
    kept = set(tools.git(runs[0].workspace, "ls-files").splitlines()) & outs
    assert kept and all(out.startswith(("paper/tables/", "paper/figures/", "paper/numbers/")) for out in kept)
    assert tools.git(runs[0].workspace, "status", "--porcelain") == ""


def test_every_stage_of_dvc_yaml_ran(runs, later):
    assert set(runs[0].recorded) == BEFORE | later


def test_a_second_repro_runs_nothing(repeated):
    assert tools.stages_run(repeated) == []
    assert "Data and pipelines are up to date." in repeated


def test_make_paper_runs_nothing_more_and_stamps_a_release(runs, repeated):
    run, venv = runs[0], Path(sys.prefix)
    command = ["make", "paper", f"VENV={venv}", f"--assume-old={venv}/installed"]
    done = subprocess.run(command, cwd=run.workspace, env=run.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert tools.stages_run(done.stdout) == []
    (released,) = (run.workspace / "release").glob("polychromic-*.pdf")
    assert released.read_bytes() == (run.workspace / "paper" / "main.pdf").read_bytes()


def test_a_lambda_of_the_grid_runs_no_cell(runs, ablations, later):
    """Of the domains that have it; the others train their cell at it."""
    ablation = ablations[0]
    lacking = [domain for domain in DOMAINS if 0.3 not in GRID[domain]]
    new = {f"{POLY[domain]}@{domain}-0.3" for domain in lacking} | {f"score@{domain}" for domain in lacking}
    ran = set(ablation.stages)
    assert ran - new <= later and new <= ran and {f"{stage}@{domain}" for stage in ABLATED for domain in DOMAINS} <= ran
    assert {"setup", "paper"} <= set(ablation.stages)
    assert ablation.headline == 0.3 and ablation.lambdas == {0.3, HEADLINE}
    before = runs[0].recorded
    for stage in BEFORE - new:
        assert ablation.recorded[stage] == before[stage]
    assert ablation.recorded["paper"] != before["paper"]


def test_the_difference_is_said_in_the_papers_sentences(ablations):
    for ablation in ablations:
        changes = {change["key"]: change for change in ablation.difference["changes"]}
        weight = changes["listqa.headline.lambda"]
        assert (weight["old"]["text"], weight["new"]["text"]) == (f"{HEADLINE:g}", f"{ablation.lam:g}")
        sentences = [one for one in ablation.difference["sentences"] if "listqa.headline.lambda" in one["keys"]]
        assert weight["printed"] and sentences
        assert all(f"«{HEADLINE:g} \u2192 {ablation.lam:g}»" in one["text"] and one["line"] for one in sentences)


def test_no_lambda_touches_test(runs, ablations):
    """What was declared for it is sampled with the weight that was declared, whatever the headline is now."""
    assert OF_TEST <= set(runs[0].recorded)
    for run, ablation in zip(runs, ablations, strict=True):
        assert not OF_TEST & set(ablation.stages)
        assert {stage: ablation.recorded[stage] for stage in OF_TEST} == {stage: run.recorded[stage] for stage in OF_TEST}
    for domain in DOMAINS:
        systems = json.loads((runs[0].workspace / "results" / domain / "test.json").read_text())["systems"]
        assert {system["lambda"] for system in systems if system["label"] == "polychromic"} == {HEADLINE}
        assert {system["n_prompts"] for system in systems} == {6}


def test_a_new_lambda_runs_its_cells_alone(runs, ablations, later):
    ablation = ablations[1]
    new = {f"{POLY[domain]}@{domain}-0.5" for domain in DOMAINS} | {"openers_poly@replies-0.5"}
    ran = set(ablation.stages)
    assert ran & CELLS == set() and ran - later == new | {f"score@{domain}" for domain in DOMAINS}
    assert {f"{stage}@{domain}" for stage in ABLATED for domain in DOMAINS} | {"setup", "paper"} <= ran
    assert ablation.headline == 0.5 and ablation.lambdas == {0.3, 0.5, HEADLINE}
    assert new <= set(ablation.recorded)
    for stage in CELLS:
        outs = runs[1].recorded[stage]
        assert ablation.recorded.get(stage, outs) == outs


@pytest.mark.parametrize("which", [0, 1])
def test_the_way_back_gives_the_original_files(runs, ablations, which):
    run = runs[which]
    tools.git(run.workspace, "checkout", "--", ".")
    tools.dvc(run.workspace, run.environment, "checkout")
    assert tools.recorded(run.workspace) == run.recorded
    for outs in run.recorded.values():
        for path, md5 in outs.items():
            assert hashlib.md5((run.workspace / path).read_bytes(), usedforsecurity=False).hexdigest() == md5, path
    assert not list(run.workspace.glob("results/*/polychromic-0.5/*"))
    assert "Data and pipelines are up to date." in tools.dvc(run.workspace, run.environment, "status")


def test_a_cell_that_the_stage_does_not_name_is_not_scored(runs, ablations):
    """A folder that an earlier ablation left behind must not get into this one's tables."""
    run = runs[0]
    stray = run.workspace / "results" / "listqa" / "polychromic-9.0"
    shutil.copytree(run.workspace / "results" / "listqa" / f"polychromic-{HEADLINE}", stray)
    try:
        output = tools.dvc(run.workspace, run.environment, "repro", "--force", "--single-item", "score@listqa")
        assert tools.stages_run(output) == ["score@listqa"]
        assert tools.recorded(run.workspace)["score@listqa"] == run.recorded["score@listqa"]
    finally:
        shutil.rmtree(stray)


def test_test_is_refused_once_its_declaration_was_changed(runs, ablations):
    """The results were committed: from then on another number of prompts on test is another analysis."""
    run = runs[1]
    params = run.workspace / "params.yaml"
    before, head = params.read_text(), tools.git(run.workspace, "rev-parse", "HEAD").strip()
    params.write_text(before.replace("prompts: 6", "prompts: 5"))
    assert params.read_text() != before
    try:
        for commit in (False, True):
            if commit:
                tools.git(run.workspace, "commit", "--quiet", "--message", "Another look", "--", "params.yaml")
            command = [sys.executable, "-m", "polychromic", "score-test", "listqa"]
            done = subprocess.run(command, cwd=run.workspace, env=run.environment, capture_output=True, text=True)
            said = "but test is open since commit" if commit else "analysis differs from the last commit"
            assert done.returncode == 1 and said in done.stderr, done.stderr
    finally:
        tools.git(run.workspace, "reset", "--quiet", "--hard", head)
