"""The bundle for arXiv: what LaTeX read, nothing else, compiled alone by pdflatex to the same PDF."""

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.base.io import write_json
from polychromic.report import arxiv
from polychromic.report.latex import compile_paper
from tests.report.synthetic import record_files

needs_latex = pytest.mark.skipif(shutil.which("latexmk") is None, reason="LaTeX is not installed")


@needs_latex
def test_the_bundle_compiles_alone_to_the_same_pdf(paper: Path):
    (paper / "tables" / "left-over.tex").write_text("not read")
    out = arxiv.bundle(paper.parent, record_files(paper))
    assert out == paper.parent / "release" / "arxiv.tar.gz"
    with tarfile.open(out) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}
        assert all((member.mtime, member.uid, member.uname) == (0, 0, "") for member in tar.getmembers())
    assert {
        "main.tex",
        "main.bbl",
        "recordshash.tex",
        "numbers/listqa.tex",
        "tables/provenance-numbers.tex",
        "figures/listqa-frontier.pdf",
    } <= set(files)
    assert not [
        name for name in files if name.endswith((".bib", ".svg", ".md", ".aux", ".out")) or "left-over" in name or name.startswith("/")
    ]
    assert files["main.tex"].startswith(b"\\pdfoutput=1\n")
    pdf = compile_paper(paper, paper / "main.pdf", record_files(paper))
    assert arxiv.compile_alone(files) == pdf.read_bytes()
    files.pop("numbers/listqa.tex")
    with pytest.raises(PolychromicError, match=r"(?s)does not compile alone.*listqa"):
        arxiv.compile_alone(files)


def test_what_latex_read_of_its_own_folder():
    read = ["/usr/share/article.cls", "main.tex", "./tables/a.tex", "main.aux", "main.bbl", "main.tex"]
    record = "PWD /build\n" + "".join(f"INPUT {name}\n" for name in read) + "OUTPUT main.pdf\n"
    assert arxiv.read_by_latex(record) == ["main.bbl", "main.tex", "tables/a.tex"]


def test_the_same_files_give_the_same_bytes():
    one = arxiv.packed({"b/c.tex": b"2", "a.tex": b"1"})
    assert one == arxiv.packed({"a.tex": b"1", "b/c.tex": b"2"})
    with tarfile.open(fileobj=io.BytesIO(one)) as tar:
        assert tar.getnames() == ["a.tex", "b/c.tex"]


def test_without_latex_the_packages_are_named(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    write_json(workspace / "results/listqa/numbers.json.gz", [])
    monkeypatch.setenv("PATH", str(workspace))
    with pytest.raises(PolychromicError, match=r"LaTeX is not installed.*arxiv\.tar\.gz needs the Debian packages latexmk"):
        arxiv.bundle(workspace, [workspace / "results/listqa/numbers.json.gz"])
