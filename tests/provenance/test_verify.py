"""dvc.lock and data.dvc against DVC's own reading of them; then somebody changes one thing: the check that names it, and the exit code."""

import json
import re
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from polychromic.base.errors import DataError, PolychromicError
from polychromic.base.io import write_json
from polychromic.pipeline.workspace import workspace_environment
from polychromic.provenance import verify as checks
from polychromic.provenance.lock import Lock, data_files, md5_of, stored
from polychromic.provenance.verify import CHECKS, verify
from polychromic.provenance.workspace import Workspace
from tests.provenance import conftest as mini
from tests.provenance.conftest import COMPARE, DATA, MACROS, NUMBERS, REPO, SPLIT, STAGES, TABLE, archive, commit, edit, git, put, ran


def test_the_repository_lock_reads_as_dvc_reads_it_and_fast():
    text = (REPO / "dvc.lock").read_text()
    started = time.process_time()
    lock = Lock.load(REPO)
    assert time.process_time() - started < 1.5
    first = text[: text.index("\n  ", len(text) // 100)]  # ruamel takes seconds for all of it
    expected = dict(list(YAML(typ="safe").load(first)["stages"].items())[:-1])
    assert expected
    for name, entry in expected.items():
        assert lock.stages[name].params == entry.get("params", {})
        for kind in ("deps", "outs"):
            assert getattr(lock.stages[name], kind) == {one["path"]: one.get("md5") for one in entry.get(kind, [])}


@pytest.mark.parametrize(
    ("text", "message"),
    [("[", "while parsing a flow"), ("{a: {deps: []}}", "('cmd')"), ("{a: {cmd: x, deps: {b: c}}}", "lists of path, md5"),
     ("{a: {cmd: x, deps: [{md5: c}]}}", "('path')"), ("{a: {cmd: x, params: [b]}}", "file -> key -> value")],
)  # fmt: skip
def test_a_malformed_lock_is_one_clear_error(tmp_path, text, message):
    for lock, said in ((f"schema: '2.0'\nstages: {text}", message), ("", "not what DVC writes"), ("schema: 3.0\nstages: {}", "schema 3.0")):
        with pytest.raises(DataError, match=re.escape(said)) as caught:
            put(tmp_path, {"dvc.lock": lock})
            Lock.load(tmp_path)
        assert str(tmp_path / "dvc.lock") in str(caught.value) and "Allowed" in str(caught.value)


def test_files_and_folders_are_hashed_as_dvc_does(tmp_path):
    put(tmp_path, {"a/x": "1", "a/b/y": "2", "a/__pycache__/z": "3", "a/w.pyc": "4"})
    rows = [{"md5": md5_of(tmp_path / "a" / name), "relpath": name} for name in ("b/y", "x")]
    assert md5_of(tmp_path / "a/x") == "c4ca4238a0b923820dcc509a6f75849b"
    put(tmp_path, {"rows": json.dumps(rows)})
    assert md5_of(tmp_path / "a") == f"{md5_of(tmp_path / 'rows')}.dir"
    if (REPO / "data").is_dir():
        assert md5_of(REPO / "data") == data_files(REPO)["data"]
    with pytest.raises(PolychromicError, match="nothing: file not found.*dvc pull"):
        md5_of(tmp_path / "nothing")


LIST = "0d44fb6888144c4b82f34eb5530dac46.dir"
PINNED = f"outs:\n- md5: {LIST}\n  size: 5\n  nfiles: 1\n  hash: md5\n  path: data\n"


@pytest.mark.parametrize(("pinned", "members"), [(PINNED, "{"), (PINNED, '[{"md5": 1}]'), ("x: 1", "[]"), ("outs: []", "[]")])
def test_data_files_come_from_the_store_or_the_cache_and_what_is_missing_or_malformed_says_what_to_do(tmp_path, pinned, members):
    for read, message in ((data_files, "data.dvc: file not found"), (Lock.load, "dvc.lock: file not found.*dvc repro")):
        with pytest.raises(PolychromicError, match=message):
            read(tmp_path)
    put(tmp_path, {"data.dvc": PINNED})
    with pytest.raises(PolychromicError, match="neither in store/ nor in .dvc/cache.*dvc pull"):
        data_files(tmp_path)
    for place in (".dvc/cache", "store"):
        put(tmp_path, {"data.dvc": PINNED, f"{place}/files/md5/{LIST[:2]}/{LIST[2:]}": '[{"md5": "ab", "relpath": "sub/x.txt"}]'})
        assert data_files(tmp_path) == {"data": LIST, "data/sub/x.txt": "ab"}
    put(tmp_path, {"data.dvc": pinned, f"store/files/md5/{LIST[:2]}/{LIST[2:]}": members})
    with pytest.raises(DataError, match="one out with path and md5, and for it a JSON list"):
        data_files(tmp_path)


AUDIT = "benchmarks/results/audit.json"


@pytest.fixture
def whole(repository, monkeypatch):
    """The repository in miniature with what verify needs beside it: an audit, and reports that write what lies here."""

    def built(params):
        macros = "other" if "-0.0912" in Path(COMPARE).read_text() else (repository / MACROS).read_text()
        put(Path.cwd(), {TABLE: "a & b\n", MACROS: macros})
        return [Path(TABLE), Path(MACROS)]

    monkeypatch.setattr(checks, "_built", built)
    ignored = "/data\n/results/\n__pycache__\n"
    put(repository, {AUDIT: json.dumps({"population": 3, "cells": []}), "requirements.lock": "", ".gitignore": ignored})
    commit(repository, "With an audit")
    return repository


def failing(folder, ok: bool | None = False, **options: bool) -> dict[str, dict]:
    return {row["check"]: row for row in verify(folder, **options)["checks"] if row["ok"] is ok}


def got(folder, name: str) -> str:
    """What one check says, "" where all is well."""
    answer = CHECKS[name][0](Workspace(folder))
    return answer if isinstance(answer, str) else "; ".join(answer[1])


def test_the_miniature_is_whole_and_a_folder_without_a_pipeline_is_refused(whole, tmp_path):
    with pytest.raises(PolychromicError, match=r"dvc\.yaml: file not found"):
        verify(tmp_path)
    assert list(failing(whole, True)) == list(CHECKS) and failing(whole, True, fresh=False).keys() == CHECKS.keys() - {"freshness"}


RATE = "params.yaml: train.learning_rate is 2e-05, prompted-dev@listqa-zero_shot ran with 1e-05"


@pytest.mark.parametrize(("path", "old", "new", "found"), [
    (TABLE, "& b", "& c", {"files": f"{TABLE}: md5 ", "rebuilt": f"{TABLE}:1 is not what", "freshness": "tables changed since"}),
    (MACROS, "{141}", "{142}", {"files": f"{MACROS}: md5 "}),
    (COMPARE, "-0.0812", "-0.0912", {"files": f"{COMPARE}: md5 ", "rebuilt": MACROS, "freshness": f"{COMPARE} changed since numbers"}),
    ("params.yaml", "1e-05", "2e-05", {"params.yaml": "params.yaml differs from the last", "freshness": RATE}),
    ("polychromic/train/trainer.py", "loss = 1", "loss = 2", {"freshness": "polychromic/train changed since "}),
    ("dvc.yaml", "stages: {}", "stages: {a: b}", {"rebuilt": "dvc.yaml:1 is not what comes out"}),
    ("paper/main.tex", "Nothing is printed", "It wins on 93.1\\,\\% of", {"text": "It wins on 93.1"}),
    (DATA, "baker", "bakers", {"files": f"{DATA}: md5 ", "freshness": f"{DATA} changed since "}),
])  # fmt: skip
def test_one_edit_and_the_checks_that_name_it(whole, path, old, new, found):
    edit(whole / path, old, new)
    rows = failing(whole)
    assert rows.keys() - {"freshness"} == found.keys() - {"freshness"} and all(row["remedy"] for row in rows.values())
    for name, text in found.items():
        assert text in "; ".join(rows[name]["findings"]), (name, rows[name])


AN_AUDIT = {"stage": "a", "kind": "cell", "commit": "c", "cpu": "A", "compared": "bytes", "equal": False, "minutes": 1}
LEAK = json.dumps({"splits": {"train": ["p0", "p2"], "dev": ["p2"], "test": ["p3"]}})
OTHER_PDF = b"%PDF\nstream\n" + zlib.compress(b"nothing") + b"\nendstream"


@pytest.mark.parametrize(("files", "check", "said"), [
    ({f"data/{number}": "x" for number in range(5)}, "files", "data/2: not in data.dvc; data/3: not in data.dvc"),
    ({".dvc/config.local": "['remote \"store\"']\n    url = /elsewhere\n"}, "store", ".dvc/config.local names another remote"),
    ({"store/files/md5/ab/c": "x"}, "store", "store/files/md5/ab/c: its content has md5 9dd4e461"),
    ({NUMBERS: "[]"}, "PDF", "paper/main.pdf carries "),
    ({"paper/main.pdf": OTHER_PDF}, "PDF", "carries none that can be read, the records have "),
    ({SPLIT: LEAK}, "splits", "stands in dev and in train"),
    ({MACROS: "\\defineclaim{a.gap}{higher than}{0}{a.gap is 0.1 [-0.2, 0.4]}%\n"}, "text",
     "numbers.tex: a.gap higher than 0: a.gap is 0.1"),
    ({AUDIT: json.dumps({"population": 3, "cells": [AN_AUDIT | {"outs": [{"path": "a", "expected": "b", "got": "c"}]}]})}, "audit",
     "a came out otherwise on A; a was audited with outs that dvc.lock no longer has"),
])  # fmt: skip
def test_a_file_and_the_check_that_names_it(whole, files, check, said):
    assert got(whole, check) == ""
    put(whole, files)
    (row,) = (row for row in verify(whole)["checks"] if row["check"] == check)
    assert said in (row["got"] if row["ok"] is None else "; ".join(row["findings"]))
    assert check != "files" or row["got"].endswith("data/2: not in data.dvc; and 2 more")


def test_objects_that_the_store_lacks_and_results_that_are_nowhere(whole):
    lock, path = Lock.load(whole), mini.samples("dev", "lora")
    place = stored(whole, lock.outs[path])
    (whole / path).unlink()
    assert got(whole, "files") == ""
    place.unlink()
    assert got(whole, "files") == f"{path}: neither here nor in store/"
    assert f"{path}: {place.relative_to(whole)} is missing" in got(whole, "store")


def test_entries_of_the_lock_agree_with_the_stages_and_with_each_other(whole):
    text = (whole / "dvc.lock").read_text()
    put(whole, {"dvc.lock": text.replace("\n  numbers:\n", "\n  counts:\n")})
    assert got(whole, "dvc.lock") == "numbers: in dvc.yaml, never run; counts: in dvc.lock, not in dvc.yaml"
    head, entry, rest = text.partition("\n  numbers:\n")
    put(whole, {"dvc.lock": text})
    md5 = Lock.load(whole).outs[COMPARE]
    put(whole, {"dvc.lock": head + entry + rest.replace(md5, "a" * 32, 1)})
    assert got(whole, "dvc.lock") == f"numbers read {COMPARE} as aaaaaaaa, its maker has {md5[:8]}"
    put(whole, {"dvc.lock": text.replace("cmd: python -m polychromic compare listqa\n", "cmd: other\n").replace(mini.COST, "b/c.json")})
    assert got(whole, "freshness") == f"compare-dev ran as `other`; numbers ran with other inputs: b/c.json, {mini.COST}"
    put(whole, {"dvc.lock": "stages: {"})
    assert "while parsing a flow" in failing(whole)["dvc.lock"]["got"]


def test_a_cell_at_another_lambda_may_stay_and_what_is_left_over_may_not(whole):
    other = mini.samples("dev", "polychromic-0.5")
    put(whole, {other: (whole / mini.samples("dev", "lora")).read_bytes()})
    cell = STAGES["polychromic-dev-listqa@0.3"]
    names = ("polychromic-dev-listqa@0.5", "polychromic-dev-listqa@lora", "polychromic-dev-replies@0.5", "left")
    ran(whole, STAGES | {name: replace(cell, name=name, outs={other: True}, params={}) for name in names})
    assert got(whole, "dvc.lock") == "; ".join(f"{name}: in dvc.lock, not in dvc.yaml" for name in names[1:])
    assert got(whole, "files") == ""


def test_a_forged_result_is_not_what_the_records_say(whole):
    """Hash, store and every reader's entry agree with each other; what is computed from the result does not agree with it."""
    edit(whole / COMPARE, "-0.0812", "-0.0912")
    ran(whole)
    assert failing(whole).keys() == {"rebuilt"} and got(whole, "rebuilt") == f"{MACROS}:1 is not what comes out again"


def test_an_analysis_that_changed_after_test_was_opened(whole, monkeypatch):
    monkeypatch.setattr(checks, "check_sealed", lambda folder: (_ for _ in ()).throw(PolychromicError("analysis was changed")))
    assert failing(whole)["analysis"]["got"] == "analysis was changed"
    ran(whole, {name: stage for name, stage in STAGES.items() if "test" not in name and name not in ("numbers", "paper")})
    assert got(whole, "analysis") == ""


def test_a_draft_notes_what_only_a_commit_must_hold(whole):
    """Where nothing differs from the last commit, --draft changes nothing."""
    named = lambda draft: {row["check"]: row["ok"] for row in verify(whole, draft=draft)["checks"]}
    put(whole, {AUDIT: "{}"})
    commit(whole, "A broken audit")
    assert named(True)["audit"] is named(False)["audit"] is False
    edit(whole / "params.yaml", "domains", "# mine\ndomains")
    assert named(False)["params.yaml"] is named(False)["audit"] is False
    assert named(True)["params.yaml"] is named(True)["audit"] is None


def test_without_history_two_checks_are_not_made(whole, tmp_path):
    unpacked = archive(whole, tmp_path / "archive")
    rows = failing(unpacked, None)
    assert failing(unpacked) == {} and rows.keys() == {"params.yaml", "analysis"}
    assert rows["params.yaml"]["got"] == "not checked: archive without history"
    git(tmp_path, "clone", "--quiet", "--depth=1", whole.as_uri(), str(tmp_path / "clone"))
    assert got(tmp_path / "clone", "analysis") == "shallow history"


def test_the_command(whole, inside):
    code, said, _ = inside("verify")
    assert code == 0 and "ok" in said and "FAILED" not in said
    put(whole, {mini.FIGURE: "% mine\n"})
    code, said, _ = inside("verify", "--no-fresh")
    assert code == 1 and "FAILED" in said and mini.FIGURE in said and "git checkout" in said
    code, said, _ = inside("verify", "--no-fresh", "--json")
    assert code == 1 and [one["check"] for one in json.loads(said)["checks"] if one["ok"] is False] == ["files"]
    assert inside("verify", "--fresh")[0] == 2


def test_the_page_explains_every_check_and_make_paper_verifies_before_the_release():
    page = (REPO / "docs" / "verify.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| ([^|]+) \|", page, flags=re.MULTILINE)[1:] == list(CHECKS)
    recipe = re.search(r"^paper-alone:.*\n((?:\t.*\n)+)", (REPO / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    steps = [recipe.index(step) for step in ("dvc repro", "polychromic verify --no-fresh", "polychromic release")]
    assert steps == sorted(steps)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not (REPO / ".git").exists(), reason="this is an archive itself")
def test_the_committed_state_is_whole(tmp_path):
    """In a clone of one commit with no results but those of its store, where a forged result is named, and in an archive, which knows its
    commit and where DVC works after `make archive`, with which `make paper` and `make test` begin."""
    clone, folder = tmp_path / "clone", archive(REPO, tmp_path / "archive")
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{REPO}", str(clone))
    assert failing(clone) == failing(folder) == {}
    document = json.loads(stored(clone, Lock.load(clone).outs[COMPARE]).read_text())
    document["contrasts"][0]["delta"] += 0.01
    write_json(clone / COMPARE, document)
    assert "paper/tables/listqa-contrasts.tex:" in got(clone, "rebuilt")
    run = lambda *command: subprocess.run(command, cwd=folder, env=workspace_environment(folder), capture_output=True, text=True)
    done = run("make", "archive", f"VENV={sys.prefix}", f"--assume-old={sys.prefix}/installed")
    assert done.returncode == 0 and "no_scm = true" in (folder / ".dvc" / "config.local").read_text(), done.stderr
    done = run(sys.executable, "-m", "dvc", "pull", "--quiet", "split@listqa")
    assert done.returncode == 0 and (folder / SPLIT).exists(), done.stderr
    done = run(sys.executable, "-m", "polychromic", "diff")
    assert done.returncode == 1 and "no Git history to compare with" in done.stderr
