"""From the page back to inputs and commit: by key, label, number, path and printed text; in a clone, an archive, without results."""

import json
import resource
import shutil
import subprocess
import sys

import pytest
import yaml

from polychromic.base.errors import PolychromicError
from polychromic.cli.output import show
from polychromic.provenance.lock import Lock, md5_of
from polychromic.provenance.printed import brief
from polychromic.provenance.trace import trace
from polychromic.report.paper import records_hash
from tests.provenance import conftest as mini
from tests.provenance.conftest import CELLS, COMPARE, DATA, KEY, MACROS, NUMBERS, REPO, archive, commit, git, packed, put, ran, samples


def test_a_record_leads_to_row_stage_cells_inputs_and_commit(repository):
    found = trace(KEY, repository)
    assert (found["kind"], found["record"]["text"], found["state"]) == ("record", r"\ensuremath{-}0.08", "as in dvc.lock")
    assert found["printed"] == [{"file": "paper/main.tex", "line": 5}]
    (source,) = found["sources"]
    assert (source["path"], source["row"]) == (COMPARE, "contrasts/polychromic-vs-lora-pass@1-chosen")
    assert source["values"] == {"id": "polychromic-vs-lora-pass@1-chosen", "delta": -0.0812}
    assert source["stage"]["cmd"] == "python -m polychromic compare listqa"
    assert [cell["name"] for cell in found["cells"]] == ["polychromic-dev-listqa@3.0", "tuned-dev@listqa-lora"]
    assert found["cells"][1]["params"] == {"params.yaml": {"listqa.steps": 4, "train": {"learning_rate": 1e-05, "schedule": "on"}}}
    assert found["stages"][-2:] == ["compare-dev", "numbers"] and not [name for name in found["stages"] if "-test" in name]
    assert found["data"] == {DATA: md5_of(repository / DATA)} and found["code"]["polychromic/train"].endswith(".dir")
    assert found["commit"]["commit"] == git(repository, "rev-parse", "HEAD") and found["commit"]["exact"]
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(("key", "cells", "data", "values"), [
    ("listqa.lora.pass@1", ["tuned-dev@listqa-lora"], [DATA], {"label": "lora", "temperature": 0.5, "mean": 0.242}),
    ("listqa.n_prompts", sorted(cell.name for cell in CELLS if cell.axes["split"] == "dev"), [DATA], None),
    ("setup.lambda", [], [], {"lambda": 3.0}), ("listqa.cost.sentence", [], [mini.COST], None),
    (mini.TEST_KEY, ["checked-test@listqa-polychromic", "tuned-test@listqa-lora"], [DATA], {"id": mini.TEST_ROW, "delta": 0.17}),
    ("listqa.test.lora.pass@1", ["tuned-test@listqa-lora"], [DATA], {"label": "lora", "temperature": 0.5, "mean": 0.25}),
])  # fmt: skip
def test_a_record_rests_on_the_cells_of_its_row(repository, key, cells, data, values):
    """On its row's where it names them, on all behind a file, on none behind a parameter or a timing; on its own split alone."""
    found = trace(key, repository)
    assert sorted(cell["name"] for cell in found["cells"]) == cells and list(found["data"]) == data
    assert found["sources"][0]["values"] == values


@pytest.mark.parametrize("query", ["fig:listqa-frontier", "Figure 1", mini.FIGURE, "listqa-frontier.pdf", "listqa-frontier"])
def test_a_figure_by_each_of_its_names(repository, query):
    found = trace(query, repository)
    assert (found["path"], found["stage"]["name"]) == (mini.FIGURE, "report-dev@listqa") and found.get("also", []) == []
    assert found["floats"] == [{"label": "fig:listqa-frontier", "name": "Figure 1", "line": 8}]
    assert list(found["data"]) == [DATA] and len(found["cells"]) == 4


def test_files_of_results_data_and_text(repository):
    head = git(repository, "rev-parse", "HEAD")
    found = trace(samples("dev", "lora"), repository)
    assert (found["stage"]["name"], found["read_by"], found["state"]) == ("tuned-dev@listqa-lora", ["compare-dev"], "as in dvc.lock")
    assert found["commit"]["commit"] == head
    assert trace(samples("test", "lora"), repository)["read_by"] == ["compare-test"] and len(trace(mini.GAINS, repository)["cells"]) == 3
    assert trace(NUMBERS, repository)["records"] == trace(MACROS, repository)["records"] == sorted(one["key"] for one in mini.RECORDS)
    assert KEY in trace("paper/main.tex", repository)["records"]
    found = trace(DATA, repository)
    assert found["stage"] is None and found["md5"] and "split@listqa" in found["read_by"] and len(found["read_by"]) == 8
    found = trace("polychromic/train/trainer.py", repository)
    assert "tuned-dev@listqa-lora" in found["read_by"] and found["md5"] is None and found["commit"]["commit"] == head
    assert trace(mini.TABLE, repository)["read_by"] == ["paper"]
    md5 = Lock.load(repository).stages["compare-dev"].outs[COMPARE]
    assert trace(md5[:8], repository)["path"] == trace(md5, repository)["path"] == COMPARE
    (repository / COMPARE).write_text("{}")
    assert trace(KEY, repository)["sources"][0]["values"] is None and trace(COMPARE, repository)["state"] == "differs from dvc.lock"


def test_a_printed_text_leads_to_its_records(repository):
    found = trace("-0.08", repository)
    assert [(row["key"], row["printed"]) for row in found["matches"]] == [("listqa.cost.sentence", True), (KEY, True)]
    assert trace(r"\ensuremath{-}0.08", repository)["matches"] == trace("\u22120.08", repository)["matches"] == found["matches"]
    for text, key in (("24.2 %", "listqa.lora.pass@1"), ("1.26 [1.12, 1.40]", "listqa.cost.sentence"), ("141", "listqa.n_prompts")):
        assert trace(text, repository)["record"]["key"] == key


def test_an_unknown_name_suggests_similar_ones(repository):
    for query, message in {
        "listqa.primary.dleta": r"'listqa\.primary\.dleta'.*Similar: listqa\.primary\.delta", "fig:listqa-fronteir": "fig:listqa-frontier",
        "zzzzzzzzzzzz": r"paper/main\.tex. lists the records", "41": "nothing here is called or prints", "0" * 12: "have that hash",
    }.items():  # fmt: skip
        with pytest.raises(PolychromicError, match=message):
            trace(query, repository)


def test_the_hash_of_a_pdf_leads_to_the_commit_of_its_records(repository, tmp_path):
    first, old = git(repository, "rev-parse", "HEAD"), records_hash(repository / NUMBERS)
    put(repository, {"other.txt": "x"})
    commit(repository, "Something else")
    put(repository, {NUMBERS: packed(mini.RECORDS[:-1])})
    ran(repository)
    second, new = commit(repository, "Other records"), records_hash(repository / NUMBERS)
    assert trace(old, repository)["commit"]["commit"] == first
    assert trace(new, repository)["commit"].items() >= {"commit": second, "subject": "Other records"}.items()
    unpacked = archive(repository, tmp_path / "zip")
    of_archive = {"commit": second, "subject": "", "exact": False, "note": "archive without history"}
    assert trace(new, unpacked)["commit"].items() >= of_archive.items()
    with pytest.raises(PolychromicError, match="nothing here is called"):
        trace(old, unpacked)


def test_a_clone_without_results_answers_from_the_store(repository, tmp_path):
    head = git(repository, "rev-parse", "HEAD")
    git(tmp_path, "clone", "--quiet", "--depth=1", repository.as_uri(), str(tmp_path / "clone"))
    for folder, note in ((tmp_path / "clone", "shallow history"), (archive(repository, tmp_path / "zip"), "archive without history")):
        for key, value in ((KEY, -0.0812), (mini.TEST_KEY, 0.17)):
            found = trace(key, folder)
            assert found["state"] == "not here; in the store" and found["sources"][0]["values"]["delta"] == value
            assert (found["commit"]["commit"], found["commit"]["exact"], found["commit"]["note"]) == (head, False, note)
            assert list(found["data"]) == [DATA] and len(found["cells"]) == 2


def test_the_command(repository, inside):
    code, out, err = inside("trace", KEY)
    said = ("text: '-0.08'", "low: -0.2", "seeds: [0, 1]", "line: 5}", f"path: {COMPARE}", "polychromic-dev-listqa@3.0", "commit:")
    assert code == 0 and err == "" and [text for text in said if text not in out] == []
    assert "Figure 1" in (out := inside("trace", "listqa-frontier")[1]) and f"{COMPARE}: " in out and "read_by" not in out
    assert "kind: matches" in inside("trace", "-0.08")[1] and json.loads(inside("trace", "-0.08", "--json")[1])["kind"] == "matches"
    code, out, err = inside("trace", "no.such.key")
    assert (code, out) == (1, "") and "nothing here is called or prints" in err
    shutil.rmtree(repository / "results")
    assert "not here; in the store" in inside("trace", mini.TEST)[1]


@pytest.mark.parametrize("many", [[0, 1, 2, 3, 4], ["name of one", "b", "c", "d", "e"], [{"name": name} for name in "abcde"]])
def test_many_of_a_kind_are_printed_as_yaml_whose_lines_are_whole(many, capsys):
    show({"seeds": many, "text": "word " * 60}, brief, json=False)
    said = yaml.safe_load(capsys.readouterr().out)
    assert said["seeds"][:3] == [one["name"] if isinstance(one, dict) else one for one in many[:3]]


HEAVY = {"torch", "transformers", "peft", "sentence_transformers", "dvc", "matplotlib"}


@pytest.mark.parametrize(("modules", "heavy"), [
    ("provenance.trace", HEAVY | {"pandas", "numpy", "pydantic"}), ("provenance.verify", HEAVY),
    ("report.build", {"matplotlib", "pydantic", "torch"}), ("report.figures", {"torch", "pandas"}),
])  # fmt: skip
def test_nothing_heavy_is_loaded(modules, heavy):
    code = f"import sys, polychromic.{modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    assert not heavy & set(done.stdout.split())


@pytest.mark.slow
def test_the_repository_is_traced_within_a_second():
    """CPU time of the command as it is called; the least of several: a busy machine lengthens it, and nothing shortens it."""
    spent = []
    for _ in range(6):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-m", "polychromic", "trace", KEY, "--json"], cwd=REPO, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        spent.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert json.loads(done.stdout)["data"] and min(spent) < 1.0
