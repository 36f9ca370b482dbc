"""From the page back to inputs and commit: by key, label, number, path and printed text; in a clone, an archive, without results."""

import json
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.provenance.lock import Lock
from polychromic.provenance.trace import trace
from tests.provenance.conftest import COMPARE, TEST_KEY, TEST_ROW, git
from tests.provenance.test_commit import archive

REPO = Path(__file__).resolve().parents[2]
KEY = "listqa.primary.delta"


def test_a_record_leads_to_row_stage_cells_inputs_and_commit(repository):
    found = trace(KEY, repository)
    lock = Lock.load(repository)
    assert found["kind"] == "record" and found["record"]["text"] == r"\ensuremath{-}0.08"
    assert found["printed"] == [{"file": "paper/main.tex", "line": 5}] and found["macro"] == "paper/numbers/listqa.tex"
    assert (found["recorded_by"]["name"], found["state"]) == ("report@listqa", "as in dvc.lock")
    (source,) = found["sources"]
    assert (source["path"], source["row"]) == (COMPARE, "contrasts/polychromic-vs-lora-pass@1-chosen")
    assert source["values"] == {"id": "polychromic-vs-lora-pass@1-chosen", "delta": -0.0812}
    assert source["stage"]["cmd"] == "cp made/compare.json results/listqa/compare.json"
    assert [cell["name"] for cell in found["cells"]] == ["poly@listqa-3.0", "cell@listqa-lora"]
    assert found["cells"][1]["params"] == {"params.yaml": {"listqa.steps": 4, "train": {"learning_rate": 1e-05, "schedule": "on"}}}
    assert found["stages"][-2:] == ["compare@listqa", "report@listqa"]
    (data,) = found["data"]
    assert (data["path"], data["data_dvc"]) == ("data/listqa.jsonl", "same")
    assert data["md5"] == lock.stages["cell@listqa-lora"].dep("data/listqa.jsonl").md5 and found["data_dvc"]["md5"].endswith(".dir")
    assert found["commit"]["commit"] == git(repository, "rev-parse", "HEAD") and found["commit"]["exact"]
    json.dumps(found, allow_nan=False)


def test_a_row_with_a_temperature_names_its_own_cell(repository):
    found = trace("listqa.lora.pass@1", repository)
    assert found["sources"][0]["values"]["mean"] == 0.242
    assert [cell["name"] for cell in found["cells"]] == ["cell@listqa-lora"] and found["printed"] == []


def test_a_record_of_a_whole_file_rests_on_every_cell(repository):
    names = {cell["name"] for cell in trace("listqa.n_prompts", repository)["cells"]}
    assert names == {"cell@listqa-zero_shot", "cell@listqa-lora", "poly@listqa-0.3", "poly@listqa-3.0"}


def test_a_parameter_and_a_timing(repository):
    found = trace("setup.lambda", repository)
    assert found["sources"][0]["values"] == {"lambda": 3.0} and found["data"] == [] and found["cells"] == []
    found = trace("listqa.cost.sentence", repository)
    assert [file["path"] for file in found["data"]] == ["benchmarks/results/cost.json"] and found["cells"] == []


@pytest.mark.parametrize(
    "query", ["fig:listqa-frontier", "Figure 1", "paper/figures/listqa-frontier.pdf", "listqa-frontier.pdf", "listqa-frontier"]
)
def test_a_figure_by_each_of_its_names(repository, query):
    found = trace(query, repository)
    assert (found["path"], found["stage"]["name"]) == ("paper/figures/listqa-frontier.pdf", "report@listqa")
    assert found["floats"] == [{"label": "fig:listqa-frontier", "name": "Figure 1", "line": 8}]
    assert found.get("also", []) == []
    assert {"data/listqa.jsonl", "benchmarks/results/cost.json"} == {file["path"] for file in found["data"]}


def test_files_of_results_data_and_text(repository):
    found = trace("results/listqa/lora/samples.jsonl.gz", repository)
    assert (found["stage"]["name"], found["read_by"], found["state"]) == ("cell@listqa-lora", ["compare@listqa"], "as in dvc.lock")
    assert found["commit"]["commit"] == git(repository, "rev-parse", "HEAD")
    assert trace("results/listqa/numbers.json.gz", repository)["records"] == trace("paper/numbers/listqa.tex", repository)["records"]
    assert KEY in trace("paper/main.tex", repository)["records"]
    found = trace("data/listqa.jsonl", repository)
    assert found["stage"] is None and found["md5"] and len(found["read_by"]) == 4
    (repository / "results/listqa/compare.json").write_text("{}")
    assert trace(COMPARE, repository)["state"] == "differs from dvc.lock"
    assert trace(KEY, repository)["sources"][0]["values"] is None


def test_a_printed_text_leads_to_its_records(repository):
    found = trace("-0.08", repository)
    assert [(row["key"], row["printed"]) for row in found["matches"]] == [("listqa.cost.sentence", True), (KEY, True)]
    assert trace("24.2 %", repository)["record"]["key"] == "listqa.lora.pass@1"
    one = trace("141", repository)
    assert (one["record"]["key"], one["same"]) == ("listqa.n_prompts", ["listqa.n_samples.all"])
    assert {row["key"] for row in trace("The score is \u22120.08 [\u22120.20", repository)["matches"]} == {KEY, "listqa.primary.ci"}


def test_an_unknown_name_suggests_similar_ones(repository):
    with pytest.raises(PolychromicError, match=r"'listqa\.primary\.dleta'.*Similar: listqa\.primary\.delta"):
        trace("listqa.primary.dleta", repository)
    with pytest.raises(PolychromicError, match=r"Similar: .*fig:listqa-frontier"):
        trace("fig:listqa-fronteir", repository)
    with pytest.raises(PolychromicError, match=r"paper/main\.tex. lists the records"):
        trace("zzzzzzzzzzzz", repository)


def test_a_record_of_test_leads_to_its_systems_on_test_and_not_to_cells_of_dev(opened):
    found = trace(TEST_KEY, opened)
    assert (found["recorded_by"]["name"], found["macro"]) == ("report_test@listqa", "paper/numbers/listqa-test.tex")
    assert (found["record"]["split"], found["record"]["file"]) == ("test", "results/listqa/test-numbers.json.gz")
    (source,) = found["sources"]
    assert (source["path"], source["row"]) == ("results/listqa/test.json", f"contrasts/{TEST_ROW}")
    assert source["stage"]["name"] == "compare_test@listqa"
    assert source["values"] == {"id": TEST_ROW, "delta": 0.17}
    assert {cell["name"] for cell in found["cells"]} == {"sample_test@listqa-lora", "sample_test@listqa-polychromic"}
    assert {name.partition("@")[0] for name in found["stages"]} == {"sample_test", "compare_test", "report_test"}
    assert [file["path"] for file in found["data"]] == ["data/listqa.jsonl"]
    assert found["commit"]["commit"] == git(opened, "rev-parse", "HEAD") and found["printed"][0]["file"] == "paper/main.tex"
    one = trace("listqa.test.lora.pass@1", opened)
    assert [cell["name"] for cell in one["cells"]] == ["sample_test@listqa-lora"] and one["sources"][0]["values"]["mean"] == 0.25
    assert "sample_test@listqa-lora" not in {cell["name"] for cell in trace(KEY, opened)["cells"]}, "dev is as it was"


def test_a_figure_and_samples_of_test(opened):
    found = trace("fig:listqa-test-gains", opened)
    assert (found["path"], found["stage"]["name"]) == ("paper/figures/listqa-test-gains.pdf", "report_test@listqa")
    assert len(found["cells"]) == 3
    found = trace("results/listqa/test/lora.jsonl.gz", opened)
    assert (found["stage"]["name"], found["read_by"]) == ("sample_test@listqa-lora", ["compare_test@listqa"])


def test_records_of_test_are_read_from_the_store(opened):
    shutil.rmtree(opened / "results")
    found = trace(TEST_KEY, opened)
    assert found["state"] == "not here; in the store" and found["sources"][0]["values"]["delta"] == 0.17


def test_a_clone_without_results_answers_from_the_store(repository, tmp_path):
    shutil.rmtree(repository / "results")
    found = trace(KEY, repository)
    assert found["state"] == "not here; in the store" and found["sources"][0]["values"]["delta"] == -0.0812


def test_a_shallow_clone_and_an_archive(repository, tmp_path):
    head = git(repository, "rev-parse", "HEAD")
    shutil.copytree(repository / ".dvc/cache/files", repository / "store/files")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--amend", "--no-edit")
    head = git(repository, "rev-parse", "HEAD")
    git(tmp_path, "clone", "--quiet", "--depth=1", repository.as_uri(), str(tmp_path / "clone"))
    for folder, note in ((tmp_path / "clone", "shallow history"), (archive(repository, tmp_path / "zip"), "archive without history")):
        found = trace(KEY, folder)
        assert (found["commit"]["commit"], found["commit"]["exact"], found["commit"]["note"]) == (head, False, note)
        assert found["data"][0]["data_dvc"] == "same" and len(found["cells"]) == 2


def test_missing_and_malformed_locks_are_named(repository):
    (repository / "dvc.lock").write_text("schema: '2.0'\nstages: [")
    with pytest.raises(PolychromicError, match=r"dvc\.lock: not YAML"):
        trace(KEY, repository)
    (repository / "dvc.lock").unlink()
    with pytest.raises(PolychromicError, match=r"dvc\.lock: file not found"):
        trace(KEY, repository)


def test_the_command_draws_a_tree(repository, command, monkeypatch):
    monkeypatch.chdir(repository)
    monkeypatch.setenv("COLUMNS", "200")
    code, out, err = command("trace", KEY)
    assert code == 0 and err == ""
    for text in ("-0.08", "paper/main.tex:5", "report@listqa", f"{COMPARE}#contrasts/polychromic-vs-lora-pass@1-chosen", "poly@listqa-3.0",
                 "data/listqa.jsonl", "in data.dvc", "since commit"):  # fmt: skip
        assert text in out, text
    code, out, _ = command("trace", "-0.08")
    assert code == 0 and "2 records print '-0.08'" in out and KEY in out
    assert "Figure 1" in command("trace", "listqa-frontier")[1]


def test_the_command_prints_one_document_or_one_error(repository, command, monkeypatch):
    monkeypatch.chdir(repository)
    code, out, _ = command("trace", "-0.08", "--json")
    assert code == 0 and json.loads(out)["kind"] == "matches"
    code, out, err = command("trace", "no.such.key")
    assert (code, out) == (1, "") and "nothing here is called or prints" in err


def test_the_repository_is_traced_within_a_second():
    """CPU time, which other work on the machine does not lengthen: the command as it is called, interpreter and all."""
    command = [sys.executable, "-m", "polychromic", "trace", KEY, "--json"]
    spent = []
    for _ in range(6):  # the least of several: a busy machine lengthens CPU time, too, and nothing shortens it
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        spent.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    found = json.loads(done.stdout)
    assert found["data"][0]["data_dvc"] == "same" and re.fullmatch("[0-9a-f]{40}", found["commit"]["commit"] or "0" * 40)
    assert min(spent) < 1.0


def test_nothing_heavy_is_loaded():
    code = "import sys, polychromic.provenance.trace, polychromic.provenance.show, polychromic.provenance.diff; "
    code += "print([name for name in ('torch', 'pandas', 'dvc', 'numpy', 'pydantic', 'matplotlib') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True).stdout.strip() == "[]"
