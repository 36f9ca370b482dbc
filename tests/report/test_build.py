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
from polychromic.report import results
from polychromic.report.build import build, outs
from polychromic.report.domain_numbers import split_numbers
from tests.report.synthetic import REPOSITORY, make

PARAMS = load_params(REPOSITORY / "params.yaml")
STAGES = [("listqa", "dev"), ("listqa", "test"), ("replies", "calibration")]
ALONE = ("costs", "designs", "summary", "setup", "numbers")


@pytest.mark.parametrize(("what", "split"), [*STAGES, *((what, None) for what in ALONE)])
def test_each_stage_writes_what_outs_declares(workspace: Path, what: str, split: str | None):
    declared = outs("report", what, split) if split else outs(what)
    before = {path for path in workspace.rglob("*") if path.is_file()}
    assert [path.as_posix() for path in build(PARAMS, what, split)] == sorted(declared)
    assert {path.relative_to(workspace).as_posix() for path in set(workspace.rglob("*")) - before if path.is_file()} == set(declared)


def test_outs_are_named_after_the_domain_and_of_stages_that_exist():
    assert outs("examples", "code") == ["paper/tables/code-samples.tex", "paper/tables/code-lambda-samples.tex"]
    assert outs("numbers") == ["paper/numbers.tex", "results/numbers.json.gz"]
    for arguments, allowed in ((("dev",), "examples, costs"), (("report", "listqa", "train"), "dev, test, calibration")):
        with pytest.raises(UsageError, match=f"does not exist. Allowed: {allowed}"):
            outs(*arguments)


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_run(workspace: Path):
    """Two processes that hash differently; the fast version draws one figure twice, in test_figures."""
    made = []
    for seed in ("1", "2"):
        code = f"from tests.report.test_build import PARAMS, STAGES, build; [build(PARAMS, *stage) for stage in {STAGES[:2]}]"
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)}, check=True)
        made.append({path: sha256_file(path) for path in Path("paper").rglob("listqa-*")})
    assert made[0] == made[1] and len(made[0]) == len(outs("report", "listqa", "dev") + outs("report", "listqa", "test"))


@pytest.mark.parametrize("split", ["dev", "test"])
def test_a_domain_of_one_seed_one_temperature_and_no_counted_cost_makes_every_file(workspace: Path, split: str):
    """As the smoke run leaves it: no front, no family, no primary contrast, no D at temperature 1."""
    document = make("listqa", split)
    document["systems"] = [system for system in document["systems"] if system["chosen"]]
    document["contrasts"] = [row | {"family": "secondary"} for row in document["contrasts"] if row["rule"] == "chosen"]
    for front in document["fronts"].values():
        front |= {key: front[key][:1] for key in ("temperatures", "quality", "value")} | {"curve": None}
    for row in (*document["costs"].values(), *(row for rows in document.get("histories", {}).values() for row in rows)):
        row |= dict.fromkeys({"flops", "relative", "checked"} & row.keys())
    document |= {"budgets": {}, "self_contrasts": []}
    if split == "dev":
        document["selection"]["lambda"] |= {"trend": None}
        document["selection"]["doses"] = document["selection"]["doses"][-1:]
        for row in (*document["selection"]["lambda"]["rows"], *document["selection"]["doses"]):
            row["objective"] = None
    write_json(paths.compare_file("listqa", split), document)
    assert [path.as_posix() for path in build(PARAMS, "listqa", split)] == sorted(outs("report", "listqa", split))
    assert all(Path(name).stat().st_size > 100 for name in outs("report", "listqa", split))
    assert len(build(PARAMS, "summary")) == len(outs("summary")) and list(split_numbers(results.load("listqa", split)))


def test_macros_records_and_claims_say_the_same(workspace: Path):
    build(PARAMS, "numbers")
    records = {record["key"]: record for record in read_json(paths.NUMBERS)}
    front = "listqa.dev.front.polychromic.lora"
    printed = [f"{front}.gap", "listqa.dev.lora.pass@1", "listqa.dev.n_prompts", "setup.lambda"]
    assert list(records) == sorted([*printed, f"{front}.ci", f"{front}.p_adjusted", "listqa.dev.lora.pass@1.ci"])
    assert set(records["setup.lambda"]) == {"key", "value", "text", "unit", "low", "high", "n", "seeds", "split", "source"}
    macros = Path("paper/numbers.tex").read_text().splitlines()[1:]
    claims = [rf"\defineclaim{{{front}.gap}}{{higher than}}{{0}}{{}}%", r"\defineclaim{listqa.dev.lora.pass@1}{at least}{40}{}%"]
    assert macros == [*(f"\\definenumber{{{key}}}{{{records[key]['text']}}}%" for key in printed), *claims]


@pytest.mark.parametrize(("what", "split", "message"), [
    ("listqa", "test", r"test/compare\.json: no 'contrasts'"),
    ("numbers", None, r"main\.tex:10: \\num\{setup\.lamda\} is no record\. Nearest: setup\.lambda"),
    ("costs", None, r"gradient_variance\.json: file not found.*`make bench`"),
    ("designs", None, r"fronts\.json: file not found.*`python -m benchmarks\.fronts`"),
    ("listqa", "calibration", r"listqa/calibration/compare\.json: file not found"),
])  # fmt: skip
def test_an_error_leaves_the_old_files(workspace: Path, what: str, split: str | None, message: str):
    old = Path((outs("report", what, split) if split else outs(what))[0])
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_text("old")
    document, main = read_json(paths.compare_file("listqa", "test")), Path("paper/main.tex")
    del document["contrasts"]
    write_json(paths.compare_file("listqa", "test"), document)
    main.write_text(main.read_text().replace(r"\num{setup.lambda}", r"\num{setup.lamda}"))
    for name in ("gradient_variance", "fronts"):
        Path(f"benchmarks/results/{name}.json").unlink()
    before = sorted(Path("paper").rglob("*"))
    with pytest.raises(PolychromicError, match=message):
        build(PARAMS, what, split)
    assert old.read_text() == "old" and sorted(Path("paper").rglob("*")) == before and not paths.NUMBERS.exists()
