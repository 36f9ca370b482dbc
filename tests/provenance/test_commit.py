"""The commit of a repository, of an unpacked archive, of neither; and since when a text is in a file, however short the history."""

import subprocess
import tarfile

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.provenance.commit import Commit, current, introduced, last_change, resolve, show
from tests.provenance.conftest import commit, git, put

FILE = "paper/numbers/listqa.tex"
LINE = r"\definenumber{listqa.n_prompts}{141}%"


def archive(repository, target):
    """What `git archive HEAD` unpacks to."""
    target.mkdir()
    subprocess.run(["git", "archive", "--format=tar", f"--output={target}.tar", "HEAD"], cwd=repository, check=True)
    with tarfile.open(f"{target}.tar") as tar:
        tar.extractall(target, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # Debian 12's Python has none
    return target


def test_a_repository_is_clean_or_dirty(repository):
    head = git(repository, "rev-parse", "HEAD")
    assert current(repository) == Commit(head, False, "git")
    (repository / "params.yaml").write_text("changed")
    assert current(repository) == Commit(head, True, "git")


def test_before_the_first_commit_nothing_is_known(tmp_path):
    git(tmp_path, "init", "--quiet")
    assert current(tmp_path) == Commit(None, None, "unknown")


def test_an_archive_knows_its_commit_even_inside_another_repository(repository):
    folder = archive(repository, repository / "unpacked")
    assert current(folder) == Commit(git(repository, "rev-parse", "HEAD"), None, "archive")
    found = introduced(folder, LINE, FILE)
    assert (found.commit, found.exact, found.note) == (git(repository, "rev-parse", "HEAD"), False, "archive without history")
    assert found.date and last_change(folder, FILE) == found


def test_a_copy_without_both_knows_nothing(repository, tmp_path):
    folder = tmp_path / "copy"
    put(folder, {".git_archival.txt": (repository / ".git_archival.txt").read_text()})  # not filled in
    assert current(folder) == Commit(None, None, "unknown")
    assert introduced(folder, LINE, FILE).note == "no Git history here"


def test_the_first_commit_of_the_present_value(repository):
    first = git(repository, "rev-parse", "HEAD")
    path = repository / FILE
    text = path.read_text()
    path.write_text(text.replace("{141}", "{140}"))
    commit(repository, "Another value")
    path.write_text(text)
    back = commit(repository, "The old value again")
    put(repository, {"other.txt": "x"})
    commit(repository, "Something else")
    found = introduced(repository, LINE, FILE)
    assert (found.commit, found.subject, found.exact) == (back, "The old value again", True)
    assert introduced(repository, r"\definenumber{listqa.lora.pass@1}{24.2\,\%}%", FILE).commit == first
    assert last_change(repository, FILE).commit == back


def test_a_value_that_is_not_committed(repository):
    found = introduced(repository, r"\definenumber{listqa.n_prompts}{7}%", FILE)
    assert found.commit is None and "not committed" in found.note
    (repository / FILE).write_text("changed")
    assert "differs from the last commit" in last_change(repository, FILE).note
    assert last_change(repository, "results/listqa/compare.json").note == "not tracked by Git"


def test_a_value_that_a_merge_brought(repository):
    path = repository / FILE
    git(repository, "checkout", "--quiet", "-b", "side")
    path.write_text(path.read_text().replace("{141}", "{150}"))
    brought = commit(repository, "On the side")
    git(repository, "checkout", "--quiet", "main")
    put(repository, {"other.txt": "x"})
    commit(repository, "On the main line")
    git(repository, "merge", "--quiet", "--no-ff", "--message", "Merge", "side")
    assert introduced(repository, r"\definenumber{listqa.n_prompts}{150}%", FILE).commit == brought


def test_a_shallow_clone_says_that_it_may_be_older(repository, tmp_path):
    put(repository, {"other.txt": "x"})
    head = commit(repository, "Later")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth=1", repository.as_uri(), str(clone))
    found = introduced(clone, LINE, FILE)
    assert (found.commit, found.exact, found.note) == (head, False, "shallow history")
    assert last_change(clone, FILE).note == "shallow history"


def test_revisions_and_experiments_by_name(repository):
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "update-ref", f"refs/exps/aa/{'b' * 38}/gray-cats", head)
    assert resolve(repository, "HEAD") == resolve(repository, "main") == resolve(repository, "gray-cats") == head
    assert resolve(repository, "no-such-thing") is None and resolve(repository, "--all") is None
    put(repository, {"other.txt": "x"})
    git(repository, "update-ref", f"refs/exps/cc/{'d' * 38}/gray-cats", commit(repository, "Later"))
    with pytest.raises(PolychromicError, match="'gray-cats' exists 2 times: refs/exps/"):
        resolve(repository, "gray-cats")
    assert show(repository, head, FILE).startswith("% generated") and show(repository, head, "none.tex") is None


def test_a_broken_repository_is_one_message(repository):
    (repository / ".git" / "HEAD").write_text("nonsense")
    with pytest.raises(PolychromicError, match="git .* failed in"):
        last_change(repository, FILE)
