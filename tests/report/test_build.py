"""The stages write the files they declare, all or nothing, and the same bytes twice."""

import subprocess
import sys
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, sha256_file, write_json
from polychromic.report.build import build, build_costs, build_designs, build_people, build_setup
from tests.report.synthetic import METRICS, PARAMS


def run(workspace: Path, domain: str) -> list[str]:
    return relative(workspace, build(domain, workspace / "results", workspace / "paper", workspace / "benchmarks" / "results"))


def costs(workspace: Path) -> list[str]:
    return relative(workspace, build_costs(tuple(METRICS), workspace / "results", workspace / "paper", workspace / "benchmarks" / "results"))


def people(workspace: Path) -> list[str]:
    return relative(workspace, build_people("replies", workspace / "results", workspace / "paper"))


def relative(workspace: Path, files: list[Path]) -> list[str]:
    return [path.relative_to(workspace).as_posix() for path in files]


def test_build_writes_the_declared_files_and_the_same_bytes_twice(workspace: Path):
    written = run(workspace, "listqa")
    assert written == [
        "paper/figures/listqa-cover.pdf",
        "paper/figures/listqa-differences.pdf",
        "paper/figures/listqa-forest.pdf",
        "paper/figures/listqa-frontier.pdf",
        "paper/figures/listqa-frontier.svg",
        "paper/figures/listqa-lambda.pdf",
        "paper/figures/listqa-passk.pdf",
        "paper/figures/listqa-training.pdf",
        "paper/numbers/listqa.tex",
        "paper/tables/listqa-contrasts.tex",
        "paper/tables/listqa-lambda.tex",
        "paper/tables/listqa-metrics.tex",
        "paper/tables/listqa-peers.tex",
        "paper/tables/listqa-systems.md",
        "paper/tables/listqa-systems.tex",
        "paper/tables/listqa-tries.tex",
        "results/listqa/numbers.json.gz",
    ]
    first = {name: sha256_file(workspace / name) for name in written}
    run(workspace, "listqa")
    assert {name: sha256_file(workspace / name) for name in written} == first


def test_costs_write_the_declared_files_and_the_same_bytes_twice(workspace: Path):
    written = costs(workspace)
    assert written == [
        "paper/figures/cost-gain.pdf",
        "paper/numbers/cost.tex",
        "paper/tables/cost.tex",
        "paper/tables/gradient-variance.tex",
        "paper/tables/sampler.tex",
        "results/costs/numbers.json.gz",
    ]
    first = {name: sha256_file(workspace / name) for name in written}
    costs(workspace)
    assert {name: sha256_file(workspace / name) for name in written} == first


def test_people_write_the_declared_files_and_the_same_bytes_twice(workspace: Path):
    written = people(workspace)
    assert written == ["paper/figures/people.pdf", "paper/numbers/people.tex", "paper/tables/people.tex", "results/people/numbers.json.gz"]
    first = {name: sha256_file(workspace / name) for name in written}
    people(workspace)
    assert {name: sha256_file(workspace / name) for name in written} == first
    rows = (workspace / "paper/tables/people.tex").read_text().splitlines()
    assert next(line for line in rows if line.startswith("people")).startswith(r"people & 1 & 12.0 {\scriptsize [10.8, 13.2]} & 2.4 &")


def test_designs_write_the_declared_files(workspace: Path):
    written = relative(workspace, build_designs(workspace / "results", workspace / "paper", workspace / "benchmarks" / "results"))
    assert written == ["paper/numbers/designs.tex", "paper/tables/designs.tex", "results/designs/numbers.json.gz"]
    rows = (workspace / "paper/tables/designs.tex").read_text().splitlines()
    assert r" & samples as independent, $z$ & -- & 41.0 {\scriptsize $\pm$ 1.1} & 60.0 {\scriptsize $\pm$ 1.1} \\" in rows
    assert sum(line.startswith("60 & ") for line in rows) == sum(line.startswith("300 & ") for line in rows) == 1
    texts = {record["key"]: record["text"] for record in read_json(workspace / "results/designs/numbers.json.gz")}
    assert (texts["designs.coverage.low"], texts["designs.coverage.high"]) == (r"94.0\,\%", r"96.2\,\%")
    assert r"141 & valid distinct@10 of listqa, matched quality & 96.2 {\scriptsize $\pm$ 0.5} & -- & -- \\" in rows
    assert (texts["designs.false_positives"], texts["designs.pooled.false_positives"]) == (r"5.0\,\%", r"41.0\,\%")
    assert texts["designs.mde.300"] == "1.5 points" and texts["designs.sentence"].startswith("With 300 prompts, a difference of 1.5 points")


def test_missing_simulations_name_the_command(workspace: Path):
    (workspace / "benchmarks/results/calibration.json").unlink()
    with pytest.raises(PolychromicError, match="calibration.json: file not found.*`make calibration`"):
        build_designs(workspace / "results", workspace / "paper", workspace / "benchmarks" / "results")


def test_a_domain_with_a_checker_has_no_people(workspace: Path):
    with pytest.raises(PolychromicError, match="no calibration of the person-match"):
        build_people("listqa", workspace / "results", workspace / "paper")


@pytest.mark.parametrize("name", ["step_cost-listqa.json", "sampler.json", "gradient_variance.json"])
def test_a_missing_benchmark_names_the_command_and_writes_nothing(workspace: Path, name: str):
    (workspace / "benchmarks/results" / name).unlink()
    with pytest.raises(PolychromicError, match=rf"{name}: file not found.*`make bench`"):
        costs(workspace)
    assert not (workspace / "paper/tables").exists() and not (workspace / "results/costs").exists()


def test_a_domain_without_measured_steps_has_no_costs(workspace: Path):
    (workspace / "benchmarks" / "results" / "step_cost-replies.json").unlink()
    run(workspace, "replies")
    rows = (workspace / "paper/tables/replies-peers.tex").read_text().splitlines()
    assert next(row for row in rows if row.startswith("LoRA")).endswith(r" & -- & 3 \\")
    run(workspace, "listqa")
    rows = (workspace / "paper/tables/listqa-peers.tex").read_text().splitlines()
    assert next(row for row in rows if row.startswith("LoRA &")).endswith(r" & 1.00 & 3 \\")


def test_macros_and_records_say_the_same(workspace: Path):
    run(workspace, "replies")
    records = read_json(workspace / "results/replies/numbers.json.gz")
    macros = (workspace / "paper/numbers/replies.tex").read_text().splitlines()[1:]
    assert macros == [f"\\definenumber{{{record['key']}}}{{{record['text']}}}%" for record in records]
    assert set(records[0]) == {"key", "value", "text", "unit", "low", "high", "n", "seeds", "split", "source"}


def test_an_error_leaves_the_old_files(workspace: Path):
    written = run(workspace, "listqa")
    before = {name: sha256_file(workspace / name) for name in written}
    path = workspace / "results/listqa/compare.json"
    compare = read_json(path)
    compare["histories"] = {}
    write_json(path, compare)
    with pytest.raises(PolychromicError, match="no history has objective_mean"):
        run(workspace, "listqa")
    assert {name: sha256_file(workspace / name) for name in written} == before


def test_build_setup(workspace: Path):
    written = build_setup(PARAMS, workspace / "results", workspace / "paper")
    assert [path.relative_to(workspace).as_posix() for path in written] == [
        "paper/numbers/setup.tex", "paper/tables/definitions.tex", "paper/tables/setup.tex", "results/setup/numbers.json.gz",
    ]  # fmt: skip
    assert "\\definenumber{setup.objective.n}{4}%" in written[0].read_text()


def test_the_report_needs_no_torch():
    code = "import sys, polychromic.report.build; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
