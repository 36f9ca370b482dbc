"""The hash on the first page of a PDF leads to the commit whose records it was made from."""

import shutil

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.provenance.imprint import imprint
from polychromic.provenance.lock import Lock
from polychromic.provenance.pipeline import md5_file
from polychromic.provenance.trace import trace
from polychromic.report.latex import records_hash
from tests.provenance.conftest import RECORDS, commit, git, packed, put
from tests.provenance.test_commit import archive

NAMES = ("results/listqa/numbers.json.gz", "results/setup/numbers.json.gz")


def test_it_is_the_hash_that_the_pdf_carries(repository):
    files = {name: repository / name for name in NAMES}
    assert imprint(files) == records_hash(list(files.values()))


def test_records_of_test_are_a_part_of_it(opened):
    """And of the hash that compile_paper gives where nobody names the records; the commit is the one that opened test."""
    first = records_hash([opened / name for name in NAMES])
    files = [opened / name for name in (*NAMES, "results/listqa/test-numbers.json.gz")]
    shutil.copytree(opened / ".dvc/cache/files", opened / "store/files")
    assert first != records_hash(files) == imprint({path.relative_to(opened).as_posix(): path for path in files})
    assert trace(records_hash(files), opened)["commit"]["commit"] == git(opened, "rev-parse", "HEAD")
    assert trace(first, opened)["commit"]["commit"] == git(opened, "rev-parse", "HEAD~1")


def test_the_commit_of_a_pdf(repository, tmp_path):
    first = git(repository, "rev-parse", "HEAD")
    old = records_hash([repository / name for name in NAMES])
    put(repository, {"other.txt": "x"})
    commit(repository, "Something else")
    # as a stage would: other records, their object in the cache, their hash in dvc.lock
    content = packed(RECORDS[:-1])
    put(repository, {NAMES[0]: content})
    md5, before = md5_file(repository / NAMES[0]), Lock.load(repository).stages["report@listqa"].out(NAMES[0]).md5
    put(repository, {f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}": content})
    lock = repository / "dvc.lock"
    lock.write_text(lock.read_text().replace(before, md5))
    shutil.copytree(repository / ".dvc/cache/files", repository / "store/files")
    second = commit(repository, "Other records")
    new = records_hash([repository / name for name in NAMES])
    assert old != new
    assert trace(old, repository)["commit"]["commit"] == first and trace(new, repository)["commit"]["commit"] == second
    assert trace(new, repository)["commit"]["subject"] == "Other records"
    with pytest.raises(PolychromicError, match="nothing here is called"):
        trace("0" * 12, repository)
    unpacked = archive(repository, tmp_path / "zip")
    assert trace(new, unpacked)["commit"] | {"date": ""} == {
        "commit": second, "date": "", "subject": "", "exact": False, "note": "archive without history",
    }  # fmt: skip
    with pytest.raises(PolychromicError, match="nothing here is called"):
        trace(old, unpacked)


def test_a_hash_of_a_file_leads_to_the_file(repository, command, monkeypatch):
    md5 = Lock.load(repository).stages["compare@listqa"].outs[0].md5
    assert trace(md5[:8], repository)["path"] == trace(md5, repository)["path"] == "results/listqa/compare.json"
    monkeypatch.chdir(repository)
    code, out, _ = command("trace", records_hash([repository / name for name in NAMES]))
    assert code == 0 and "by the hash that the PDF carries" in out and "since commit" in out
