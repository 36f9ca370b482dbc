"""The stages write the files they declare, all or nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from polychromic.base import paths
from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_json, sha256_file, write_json
from polychromic.params import load_params
from polychromic.report import build
from polychromic.report.build import outs
from tests.report.synthetic import METRICS, REPOSITORY

PARAMS = load_params(REPOSITORY / "params.yaml").model_dump(mode="json", by_alias=True)
STAGES = {
    "dev": (lambda: build.build("listqa", "dev"), ("report", "listqa", "dev")),
    "test": (lambda: build.build("listqa", "test"), ("report", "listqa", "test")),
    "calibration": (lambda: build.build("replies", "calibration"), ("report", "replies", "calibration")),
    "costs": (lambda: build.build_costs(list(METRICS)), ("costs",)),
    "designs": (lambda: build.build_designs(), ("designs",)),
    "summary": (lambda: build.build_summary(list(METRICS)), ("summary",)),
    "setup": (lambda: build.build_setup(PARAMS), ("setup",)),
    "numbers": (lambda: build.build_numbers(PARAMS), ("numbers",)),
}


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_writes_what_outs_declares(workspace: Path, name: str):
    run, stage = STAGES[name]
    before = {path for path in workspace.rglob("*") if path.is_file()}
    assert [path.as_posix() for path in run()] == sorted(outs(*stage))
    assert {path.relative_to(workspace).as_posix() for path in set(workspace.rglob("*")) - before if path.is_file()} == set(outs(*stage))


def test_outs_of_a_domain_are_named_after_it():
    assert "paper/tables/code-peers.tex" in outs("report", "code", "dev") and outs("designs") == ["paper/tables/designs.tex"]
    assert outs("examples", "code") == ["paper/tables/code-samples.tex", "paper/tables/code-lambda-samples.tex"]
    assert outs("numbers") == ["paper/numbers.tex", "results/numbers.json.gz"]


@pytest.mark.parametrize(
    ("arguments", "allowed"), [(("dev",), "examples, costs"), (("report", "listqa", "train"), "dev, test, calibration")]
)
def test_a_stage_that_does_not_exist_is_refused(arguments: tuple, allowed: str):
    with pytest.raises(UsageError, match=f"does not exist. Allowed: {allowed}"):
        outs(*arguments)


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_run(workspace: Path):
    """Two processes that hash differently; the fast version draws one figure twice, in test_style."""
    made = []
    for seed in ("1", "2"):
        code = "from polychromic.report.build import build; build('listqa', 'dev'); build('listqa', 'test')"
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run([sys.executable, "-c", code], env=env, check=True)
        made.append({path: sha256_file(path) for path in Path("paper").rglob("listqa-*")})
    assert made[0] == made[1] and len(made[0]) == len(outs("report", "listqa", "dev") + outs("report", "listqa", "test"))


def test_macros_and_records_say_the_same_and_intervals_have_their_records(workspace: Path):
    build.build_numbers(load_params(REPOSITORY / "params.yaml"))
    records = {record["key"]: record for record in read_json(paths.NUMBERS)}
    assert sorted(records) == ["listqa.n_prompts", "listqa.primary.ci", "listqa.primary.delta", "setup.lambda"]
    printed = [key for key in records if key != "listqa.primary.ci"]
    macros = Path("paper/numbers.tex").read_text().splitlines()[1:]
    assert macros == [f"\\definenumber{{{key}}}{{{records[key]['text']}}}%" for key in sorted(printed)]


def test_a_key_that_nothing_makes_stops_before_anything_is_written(workspace: Path):
    main = Path("paper/main.tex")
    main.write_text(main.read_text().replace(r"\num{setup.lambda}", r"\num{setup.lamda}"))
    with pytest.raises(PolychromicError, match=r"main\.tex:12: \\num\{setup\.lamda\} is no record\. Nearest: setup\.lambda"):
        build.build_numbers(PARAMS)
    assert not Path("paper/numbers.tex").exists() and not paths.NUMBERS.exists()


def test_a_domain_without_people_has_no_such_report(workspace: Path):
    with pytest.raises(PolychromicError, match=r"listqa/calibration/compare\.json: file not found"):
        build.build("listqa", "calibration")


@pytest.mark.parametrize("name", ["step_cost-listqa.json", "sampler.json", "gradient_variance.json"])
def test_a_missing_benchmark_names_the_command_and_writes_nothing(workspace: Path, name: str):
    (workspace / "benchmarks/results" / name).unlink()
    with pytest.raises(PolychromicError, match=rf"{name}: file not found.*`make bench`"):
        build.build_costs(list(METRICS))
    assert not Path("paper/tables").exists()


@pytest.mark.parametrize("timed", [True, False])
def test_a_domain_without_measured_steps_has_no_costs(workspace: Path, timed: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("polychromic.report.style.save", lambda figure, path: None)
    if not timed:
        Path("benchmarks/results/step_cost-replies.json").unlink()
    build.build("replies", "dev")
    rows = Path("paper/tables/replies-peers.tex").read_text().splitlines()
    assert next(row for row in rows if row.startswith("LoRA")).endswith(rf" & {'1.00' if timed else '--'} & 3 \\")


@pytest.mark.parametrize(
    ("split", "change", "message"),
    [
        ("dev", lambda v: v.update(histories={}), "dev/compare.json: no history has objective_mean"),
        (
            "test",
            lambda v: v.update(contrasts=[c for c in v["contrasts"] if c["b"] != "lora"]),
            "no contrast of 'polychromic' against 'lora'",
        ),
    ],
)
def test_an_error_leaves_the_old_files(workspace: Path, split: str, change, message: str):
    old = Path(outs("report", "listqa", split)[0])
    old.parent.mkdir(parents=True)
    old.write_text("old")
    document = read_json(paths.compare_file("listqa", split))
    change(document)
    write_json(paths.compare_file("listqa", split), document)
    with pytest.raises(PolychromicError, match=message):
        build.build("listqa", split)
    assert old.read_text() == "old" and len(list(old.parent.iterdir())) == 1


def test_outs_is_light_and_the_report_needs_no_torch():
    for module, heavy in (("build", ("matplotlib", "pydantic", "torch")), ("points", ("torch", "pandas"))):
        code = f"import sys, polychromic.report.{module}; sys.exit(any(name in sys.modules for name in {heavy}))"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, module
