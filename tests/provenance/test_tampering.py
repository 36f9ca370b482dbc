"""Somebody changes one thing in a clone of this repository: `verify` or `audit` names it, says what to do, and ends with 1.

The clone has a history of one commit and no results but those of its store, as a reader's has.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from polychromic.pipeline.workspace import workspace_environment
from polychromic.provenance.audit import audit, remedy
from polychromic.provenance.lock import Lock, stored
from polychromic.provenance.state import Row, State
from polychromic.provenance.verify import FRESHNESS, INTEGRITY, verify
from tests.provenance.conftest import dvc, git
from tests.provenance.test_commit import archive

REPO = Path(__file__).resolve().parents[2]
OF_HISTORY = {"parameters committed", "analysis"}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def _clone(tmp_path_factory) -> Path:
    if not (REPO / ".git").exists():
        pytest.skip("this is an archive, which nobody can clone")
    target = tmp_path_factory.mktemp("tampering") / "clone"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{REPO}", str(target)], check=True)
    return target


@pytest.fixture
def clone(_clone: Path) -> Iterator[Path]:
    yield _clone
    git(_clone, "reset", "--quiet", "--hard")
    git(_clone, "clean", "-dxfq")


def failing(folder: Path, **options: bool) -> dict[str, Row]:
    return {one.check: one for one in verify(folder, **options) if one.ok is False}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def forge(folder: Path, path: str, change) -> None:
    """Change an out, and its hash in dvc.lock and its object in the store with it, as if the pipeline had made it so."""
    out = Lock.load(folder).producer(path).out(path)
    content = change(stored(folder, out.md5).read_bytes())
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert md5 != out.md5 and len(content) == out.size
    (folder / "store/files/md5" / md5[:2]).mkdir(exist_ok=True)
    (folder / "store/files/md5" / md5[:2] / md5[2:]).write_bytes(content)
    lock = folder / "dvc.lock"
    lock.write_text(lock.read_text().replace(str(out.md5), md5))


def test_the_committed_state_is_whole(clone):
    rows = verify(clone)
    assert {one.check: one.got for one in rows if one.ok is False} == {}
    assert [one.check for one in rows] == [*INTEGRITY, *FRESHNESS]


def test_an_archive_is_as_good_as_a_clone_but_has_no_history(tmp_path):
    if not (REPO / ".git").exists():
        pytest.skip("this is an archive itself")
    folder = archive(REPO, tmp_path / "archive")
    link = folder / "paper" / "pipeline.yaml"
    link.unlink()
    link.write_text("../dvc.yaml")  # what some programs make of a link in a zip
    rows = {one.check: one for one in verify(folder)}
    assert {name: one.got for name, one in rows.items() if one.ok is False} == {}
    assert {name for name, one in rows.items() if one.ok is None} == OF_HISTORY
    assert rows["parameters committed"].got == "not checked: no history (no Git repository)"


def test_a_digit_in_a_table(clone):
    table = clone / "paper/tables/listqa-systems.tex"
    text = table.read_text()
    place = re.search(r"\d\.(\d)\d", text).start(1)
    table.write_text(f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}")
    rows = failing(clone, fresh=False)
    assert "paper/tables/listqa-systems.tex: md5" in rows["paper's files"].got and "git checkout" in rows["paper's files"].remedy
    assert "paper/tables/listqa-systems.tex:" in rows["tables"].got


def test_a_byte_in_the_store(clone):
    lock = Lock.load(clone)
    path = "results/listqa/lora/samples.jsonl.gz"
    place = stored(clone, lock.producer(path).out(path).md5)
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(content)
    rows = failing(clone, fresh=False)
    assert place.relative_to(clone).as_posix() in rows["store"].got and "git checkout store" in rows["store"].remedy
    assert path in rows["results"].got


def test_an_object_that_the_store_lacks(clone):
    path = "results/replies/rft/history.jsonl"
    stored(clone, Lock.load(clone).producer(path).out(path).md5).unlink()
    rows = failing(clone, fresh=False)
    assert path in rows["store"].got and "dvc push" in rows["store"].remedy and f"{path}: neither here nor in store/" in rows["results"].got


def test_a_line_of_the_parameters(clone):
    edit(clone / "params.yaml", "learning_rate: 5e-4", "learning_rate: 4e-4")
    rows = failing(clone, fresh=False)
    assert "params.yaml differs from the last commit" in rows["parameters committed"].got
    assert "params.yaml: train.learning_rate is 0.0004, dvc.lock has 0.0005" in rows["parameters recorded"].got
    assert "dvc repro" in rows["parameters recorded"].remedy
    drafted = failing(clone, fresh=False, draft=True)
    assert "parameters committed" not in drafted and "parameters recorded" in drafted


def test_a_module_that_changed_without_a_run(clone):
    with (clone / "polychromic/compare/stats.py").open("a") as file:
        file.write("\n# another line\n")
    rows = failing(clone)
    assert rows.keys() == {"freshness"} and "dvc repro" in rows["freshness"].remedy
    assert any("polychromic/compare/stats.py changed since compare@listqa ran" in finding for finding in rows["freshness"].findings)
    assert failing(clone, fresh=False) == {}


def test_a_number_typed_in_the_text(clone):
    edit(clone / "paper/main.tex", "\\section{Introduction}\n", "\\section{Introduction}\nIt wins on 93.1\\,\\% of prompts.\n")
    rows = failing(clone, fresh=False)
    assert rows.keys() == {"typed digits"} and "\\num{key}" in rows["typed digits"].remedy
    assert re.search(r"paper/main\.tex:\d+: “It wins on 93\.1", rows["typed digits"].got)


def test_a_key_that_no_file_defines(clone):
    edit(clone / "paper/main.tex", r"\num{listqa.primary.delta}", r"\num{listqa.primary.gain}")
    rows = failing(clone, fresh=False)
    assert rows.keys() == {"numbers in use"} and "listqa.primary.gain is not defined" in rows["numbers in use"].got


def test_a_result_that_was_declared_to_decide_is_left_out(clone):
    main = clone / "paper/main.tex"
    text = re.sub(r"\\num\{replies\.primary\.(delta|ci)\}|\\input\{tables/replies-contrasts\}", "", main.read_text())
    main.write_text(text)
    assert "replies.primary.delta" in failing(clone, fresh=False)["headline"].got


def test_a_dep_that_is_not_declared(clone):
    edit(clone / "dvc.yaml", "        - polychromic/compare/matched.py\n", "")
    rows = failing(clone)
    assert "compare@listqa: polychromic/compare/matched.py" in rows["imports"].got and "deps in dvc.yaml" in rows["imports"].remedy
    assert any(finding.startswith("compare@listqa ran with other inputs") for finding in rows["freshness"].findings)


def test_an_entry_too_many_and_one_too_few(clone):
    lock = clone / "dvc.lock"
    text = lock.read_text()
    assert "\n  setup:\n" in text
    lock.write_text(text.replace("\n  setup:\n", "\n  setting:\n"))
    row = failing(clone)["dvc.lock"]
    assert "setup: in dvc.yaml, never run" in row.got and "setting: in dvc.lock, not in dvc.yaml" in row.got


def test_a_lock_that_is_no_yaml_is_named_once(clone):
    (clone / "dvc.lock").write_text("stages: {")
    rows = failing(clone)
    assert "not YAML" in rows["dvc.lock"].got and rows["results"].got == "the same error as above"


def test_a_dev_prompt_in_train(clone):
    def leak(content: bytes) -> bytes:
        document = json.loads(content)
        splits = document["splits"]
        one, other = next((a, b) for a in splits["train"] for b in splits["dev"] if len(a) == len(b))
        return content.replace(f'"{one}"'.encode(), f'"{other}"'.encode(), 1) if content.index(one.encode()) else content

    forge(clone, "results/listqa/split.json", leak)
    row = failing(clone, fresh=False)["splits"]
    assert "stands in dev and in train" in row.got and "void" in row.remedy


def test_a_forged_result_is_not_what_the_records_say(clone):
    """Hash, store and every reader's entry agree with each other; what was computed from the result does not agree with it."""

    def raise_a_difference(content: bytes) -> bytes:
        primary = next(one for one in json.loads(content)["contrasts"] if one["metric"] == "valid_distinct@10")
        old = json.dumps(primary["delta"])
        new = old[:2] + "9" + old[3:] if old[2] != "9" else old[:2] + "8" + old[3:]
        return content.replace(f'"delta": {old}'.encode(), f'"delta": {new}'.encode(), 1)

    forge(clone, "results/listqa/compare.json", raise_a_difference)
    rows = failing(clone)
    assert rows.keys() == {"records", "tables"}
    assert "results/listqa/numbers.json.gz" in rows["records"].got and "dvc repro" in rows["records"].remedy
    assert "paper/tables/listqa-contrasts.tex" in rows["tables"].got


def swap(content: bytes) -> bytes:
    """Two prompts of the training set change places: nothing that is computed from a split notices."""
    document = json.loads(content)
    ids = document["splits"]["train"]
    ids[0], ids[1] = ids[1], ids[0]
    return (json.dumps(document, sort_keys=True, ensure_ascii=False, indent=2) + "\n").encode()


def test_only_an_audit_sees_a_forged_input_of_everything(clone):
    forge(clone, "results/listqa/split.json", swap)
    assert failing(clone) == {}
    code, said = command(clone, "audit", "--cell", "split@listqa", "--out", "audit.json")
    assert code == 1 and "split@listqa" in said and "dvc repro --force --single-item" in said
    (cell,) = json.loads((clone / "audit.json").read_text())["cells"]
    (out,) = cell["outs"]
    assert not cell["equal"] and out["path"] == "results/listqa/split.json" and out["got"] != out["expected"]
    assert 0 < out["rows"] - out["rows_equal"] <= 4


def test_an_edit_that_was_committed_without_a_run(clone):
    """`dvc commit -f` writes the new code beside the old result: fresh by its hashes, and no run has given it."""
    dvc(clone, "pull", "--quiet", "data.dvc", "split@listqa")
    edit(clone / "polychromic/data/split.py", 'f"{seed}:{', 'f"{seed}!{')
    dvc(clone, "commit", "--force", "split@listqa")
    stale = failing(clone)["freshness"].findings
    assert not any("split@listqa" in finding for finding in stale)
    here = State(clone)
    (cell,) = audit(here, ["split@listqa"], out=Path("audit.json"))
    assert not cell.equal and cell.kind == "stage" and "dvc repro --force --single-item split@listqa" in remedy(here, cell)


def test_an_honest_stage_comes_out_the_same(clone):
    (cell,) = audit(State(clone), ["split@code"], out=Path("audit.json"))
    assert cell.equal and cell.outs[0].rows == cell.outs[0].rows_equal > 0
    assert not (clone / ".work/audit").exists()


def command(folder: Path, *arguments: str) -> tuple[int, str]:
    words = [sys.executable, "-m", "polychromic", *arguments]
    done = subprocess.run(words, cwd=folder, env=workspace_environment(folder) | {"COLUMNS": "300"}, capture_output=True, text=True)
    return done.returncode, done.stdout


def test_the_command_ends_with_one_and_prints_the_remedy(clone):
    with (clone / "paper/tables/summary.tex").open("a") as file:
        file.write("% mine\n")
    code, said = command(clone, "verify", "--no-fresh")
    assert code == 1 and "FAILED" in said and "paper/tables/summary.tex" in said and "git checkout" in said
    code, said = command(clone, "verify", "--no-fresh", "--json")
    document = json.loads(said)
    assert code == 1 and not document["ok"] and {one["check"] for one in document["checks"] if one["ok"] is False} == {"paper's files"}
