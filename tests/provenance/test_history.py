"""Since which commit a text is in a file, the release that says its commit, and what changed in print since a revision."""

import hashlib
import json
import shutil

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, write_json
from polychromic.provenance.commit import Commit, current, introduced, release
from polychromic.provenance.trace import diff
from tests.provenance.conftest import COMPARE, KEY, MACROS, NUMBERS, archive, commit, git, put, ran

LINE = r"\definenumber{listqa.n_prompts}{141}%"


def edit(repository, old: str, new: str) -> None:
    """In the macros and in the records, as a stage would."""
    text, records = (repository / MACROS).read_text(), read_json(repository / NUMBERS)
    assert old in text
    (repository / MACROS).write_text(text.replace(old, new))
    write_json(repository / NUMBERS, [record | {"text": record["text"].replace(old, new)} for record in records])


def test_a_repository_is_clean_or_dirty_or_broken(repository, tmp_path):
    head = git(repository, "rev-parse", "HEAD")
    assert current(repository) == Commit(head, False)
    (repository / "params.yaml").write_text("changed")
    assert current(repository) == Commit(head, True)
    put(tmp_path, {"new/a": "x"})
    git(tmp_path / "new", "init", "--quiet")
    assert current(tmp_path / "new") == Commit(None, None)
    (repository / ".git" / "HEAD").write_text("nonsense")
    with pytest.raises(PolychromicError, match="git .* failed in"):
        introduced(repository, MACROS)


def test_an_archive_knows_its_commit_even_inside_another_repository(repository, tmp_path):
    head, inside = git(repository, "rev-parse", "HEAD"), archive(repository, repository / "unpacked")
    assert current(inside) == Commit(head, None)
    for found in (introduced(inside, MACROS, LINE), introduced(inside, MACROS)):
        assert (found["commit"], found["exact"], found["note"]) == (head, False, "archive without history") and found["date"]
    put(tmp_path, {"copy/.git_archival.txt": (repository / ".git_archival.txt").read_text()})  # not filled in
    assert current(tmp_path / "copy") == Commit(None, None)
    assert introduced(tmp_path / "copy", MACROS, LINE)["note"] == "no Git history here"


def test_the_first_commit_of_the_present_value(repository):
    first = git(repository, "rev-parse", "HEAD")
    edit(repository, "{141}", "{140}")
    commit(repository, "Another value")
    edit(repository, "{140}", "{141}")
    back = commit(repository, "The old value again")
    put(repository, {"other.txt": "x"})
    commit(repository, "Something else")
    found = introduced(repository, MACROS, LINE)
    assert (found["commit"], found["subject"], found["exact"]) == (back, "The old value again", True)
    assert introduced(repository, MACROS, r"\definenumber{listqa.lora.pass@1}{24.2\,\%}%")["commit"] == first
    assert introduced(repository, MACROS)["commit"] == back
    found = introduced(repository, MACROS, r"\definenumber{listqa.n_prompts}{7}%")
    assert found["commit"] is None and "not committed" in found["note"]
    (repository / MACROS).write_text("changed")
    assert "differs from the last commit" in introduced(repository, MACROS)["note"]
    assert introduced(repository, COMPARE)["note"] == "not tracked by Git"


def test_a_value_that_a_merge_brought(repository):
    git(repository, "checkout", "--quiet", "-b", "side")
    edit(repository, "n_prompts}{141}", "n_prompts}{150}")
    brought = commit(repository, "On the side")
    git(repository, "checkout", "--quiet", "main")
    put(repository, {"other.txt": "x"})
    commit(repository, "On the main line")
    git(repository, "merge", "--quiet", "--no-ff", "--message", "Merge", "side")
    assert introduced(repository, MACROS, r"\definenumber{listqa.n_prompts}{150}%")["commit"] == brought


def test_the_release_says_its_commit(repository):
    head = git(repository, "rev-parse", "HEAD")
    pdf = release(repository)
    assert pdf == repository / "release" / f"polychromic-{head[:7]}.pdf"
    assert pdf.read_bytes() == (repository / "paper/main.pdf").read_bytes()
    sha256 = lambda name: hashlib.sha256((repository / name).read_bytes()).hexdigest()
    hashes = {"dvc_lock_sha256": sha256("dvc.lock"), "pdf_sha256": sha256("paper/main.pdf")}
    assert read_json(pdf.with_suffix(".json")) == {"commit": head, "dirty": False} | hashes
    assert release(repository).name == f"polychromic-{head[:7]}-dirty.pdf"  # release/ is not ignored here
    inner = repository / "inside"
    put(inner, {"paper/main.pdf": "x", "dvc.lock": "y"})
    assert release(inner).name == "polychromic-unknown.pdf"
    assert read_json(inner / "release/polychromic-unknown.json")["dirty"] is None
    assert not (inner / "release/polychromic-unknown.html").exists()
    put(inner, {"paper/explore.html": b'<html data-commit="">\r\n data-commit=""'})
    release(inner)
    assert (inner / "release/polychromic-unknown.html").read_bytes() == b'<html data-commit="unknown">\r\n data-commit=""'
    (inner / "paper/main.pdf").unlink()
    with pytest.raises(PolychromicError, match=r"main\.pdf: file not found.*dvc repro"):
        release(inner)


@pytest.mark.parametrize(("file", "old", "new", "stale"), [
    ("params.yaml", "steps: 4", "steps: 5", {"tuned-dev@listqa-lora", "checked-test@listqa-polychromic"}),
    ("polychromic/train/trainer.py", "loss = 1", "loss = 2", {"tuned-dev@listqa-lora"}),
    ("paper/main.tex", "Nothing", "Naught", {"numbers"}),
])  # fmt: skip
def test_what_has_not_run_is_named(repository, file, old, new, stale):
    """An experiment whose report has not run prints the numbers of before."""
    (repository / file).write_text((repository / file).read_text().replace(old, new))
    found = diff("HEAD", repository)
    assert found["changes"] == [] and stale <= set(found["stale"]) and "paper" not in found["stale"]
    ran(repository)
    assert diff("HEAD", repository)["stale"] == []


def test_values_and_sentences_old_and_new(repository):
    edit(repository, r"\ensuremath{-}0.08", "+0.19")
    edit(repository, r"[\ensuremath{-}0.20, +0.04]", "[+0.07, +0.50]")
    edit(repository, "not distinguishable from", "higher than")
    found = diff("HEAD", repository)
    assert [row["key"] for row in found["changes"]] == ["listqa.cost.sentence", "listqa.primary.ci", KEY, "listqa.primary.verdict"]
    for change, old, new in zip(found["changes"][2:], ("-0.08", "not distinguishable from"), ("+0.19", "higher than"), strict=True):
        assert change["old"] == {"text": old, "ci": "[-0.20, +0.04]"} and change["new"] == {"text": new, "ci": "[+0.07, +0.50]"}
    first, _ = found["sentences"]
    assert (first["line"], first["keys"]) == (5, ["listqa.primary.ci", KEY])
    assert first["old"] == "The score is -0.08 [-0.20, +0.04], as Figure 1 shows [somebody]."
    assert first["new"] == "The score is +0.19 [+0.07, +0.50], as Figure 1 shows [somebody]."
    assert first["text"].startswith("The score is «-0.08 → +0.19» «[-0.20, +0.04] → [+0.07, +0.50]», as")
    assert found["summary"].startswith("4 printed values changed")


def test_keys_that_came_and_went(repository):
    kept = "".join(line for line in (repository / MACROS).read_text().splitlines(keepends=True) if "n_prompts" not in line)
    (repository / MACROS).write_text(kept + "\\definenumber{listqa.new}{1}%\n")
    found = {row["key"]: row for row in diff("HEAD", repository)["changes"]}
    assert found["listqa.n_prompts"]["new"] is found["listqa.new"]["old"] is None and found["listqa.n_prompts"]["old"]["text"] == "141"
    assert diff("HEAD", repository)["sentences"][0]["new"] == "The frontier over [listqa.n_prompts] prompts."


def test_an_experiment_by_its_name(repository):
    head = git(repository, "rev-parse", "HEAD")
    (repository / MACROS).write_text((repository / MACROS).read_text().replace("n_prompts}{141}", "n_prompts}{150}"))
    git(repository, "update-ref", f"refs/exps/aa/{'b' * 38}/gray-cats", commit(repository, "experiment"))
    git(repository, "reset", "--quiet", "--hard", head)
    assert [(one["old"]["text"], one["new"]["text"]) for one in diff("gray-cats", repository)["changes"]] == [("150", "141")]
    assert diff("HEAD", repository)["commit"] == diff("main", repository)["commit"] == head
    for name in ("grey-cats", "--all"):
        with pytest.raises(PolychromicError, match=rf"'{name}' is no revision and no experiment.*dvc exp list"):
            diff(name, repository)


def test_a_commit_without_numbers_and_a_folder_without_git_are_refused(repository):
    git(repository, "rm", "--quiet", MACROS)
    commit(repository, "None")
    with pytest.raises(PolychromicError, match=r"has no paper/numbers\.tex.*git log"):
        diff("HEAD", repository)
    with pytest.raises(PolychromicError, match=r"numbers\.tex: file not found"):
        diff("HEAD~1", repository)
    shutil.rmtree(repository / ".git")
    with pytest.raises(PolychromicError, match="no Git history to compare with"):
        diff("HEAD", repository)


def test_the_command(repository, inside):
    code, out, err = inside("diff")
    assert code == 0 and err == "" and "no printed values changed" in out and "changes" not in out
    edit(repository, r"\ensuremath{-}0.08", "+0.19")
    code, out, _ = inside("diff", "--json")
    assert code == 0 and len(json.loads(out)["changes"]) == 2
    put(repository, {"polychromic/report.py": "build = 2\n"})
    code, out, err = inside("diff", "HEAD")
    assert code == 1 and "-0.08 → +0.19" in out and "did not run with it, such as numbers. Run `dvc repro` first." in " ".join(err.split())
