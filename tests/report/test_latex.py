"""The PDF: byte-identical, with the records' hash and embedded fonts; its failures name what is wrong."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from polychromic.errors import PolychromicError
from polychromic.report import latex
from polychromic.report.build import build, build_costs, build_designs, build_people, build_setup, build_summary
from polychromic.report.examples import examples_table
from tests.report.synthetic import METRICS, PARAMS
from tests.workspace import listqa_record

needs_latex = pytest.mark.skipif(shutil.which("latexmk") is None, reason="LaTeX is not installed")


@pytest.fixture
def paper(workspace: Path) -> Path:
    for domain in METRICS:
        build(domain, workspace / "results", workspace / "paper", workspace / "benchmarks" / "results")
    build_costs("listqa", workspace / "results", workspace / "paper", workspace / "benchmarks" / "results")
    build_people("replies", workspace / "results", workspace / "paper")
    build_designs(workspace / "results", workspace / "paper", workspace / "benchmarks" / "results")
    build_setup(PARAMS, workspace / "paper")
    build_summary(list(METRICS), workspace / "results", workspace / "paper")
    for domain in METRICS:
        shown, drafts = [listqa_record(0)], {"lora": [["cat", "cat 100%"]], "polychromic": [["dog", "caf\u00e9 \U0001f602"]]}
        table = examples_table(shown, dict.fromkeys(drafts, 0.75), drafts, dict.fromkeys(drafts, [[True, False]]))
        for name in (f"{domain}-samples.tex", f"{domain}-lambda-samples.tex"):
            (workspace / "paper" / "tables" / name).write_text(table, encoding="utf-8")
    return workspace / "paper"


def records(paper: Path) -> list[Path]:
    return [paper.parent / "results" / domain / "numbers.json" for domain in (*METRICS, "costs", "designs", "people", "summary")]


def text_of(pdf: Path) -> str:
    return re.sub(r"\s+", " ", subprocess.run(["pdftotext", str(pdf), "-"], check=True, capture_output=True, text=True).stdout)


@needs_latex
def test_paper_compiles_to_the_same_bytes_in_folders_of_different_name(paper: Path, tmp_path: Path):
    before = sorted(path.relative_to(paper) for path in paper.rglob("*"))
    pdf = latex.compile_paper(paper, paper / "main.pdf", records(paper))
    assert sorted(path.relative_to(paper) for path in paper.rglob("*")) == sorted([*before, Path("main.pdf")])
    twin = tmp_path / "a longer name"
    shutil.copytree(paper.parent, twin)
    again = latex.compile_paper(twin / "paper", twin / "paper" / "main.pdf", records(twin / "paper"))
    assert again.read_bytes() == pdf.read_bytes()
    assert os.fsencode(str(tmp_path)) not in pdf.read_bytes()
    if shutil.which("pdftotext") is None:
        return
    text = text_of(pdf)
    assert latex.records_hash(records(paper)) in text
    assert "??" not in text and "[?]" not in text
    assert "development-set results" in text
    fonts = subprocess.run(["pdffonts", str(pdf)], check=True, capture_output=True, text=True).stdout.splitlines()[2:]
    assert fonts and all(
        "Type 3" not in font and re.search(r"yes yes yes\s+\d+\s+\d+$", font) for font in fonts
    )  # embedded, subset, unicode


@needs_latex
def test_an_undefined_number_stops_latex_and_is_named(paper: Path):
    main = paper / "main.tex"
    main.write_text(main.read_text().replace(r"\num{listqa.primary.verdict}", r"\num{listqa.primary_.no@such-key}", 1))
    with pytest.raises(PolychromicError, match=r"The number 'listqa\.primary_\.no@such-key' is undefined"):
        latex.compile_paper(paper, paper / "main.pdf", records(paper))
    assert not (paper / "main.pdf").exists()


@needs_latex
def test_an_undefined_citation_is_an_error(paper: Path):
    main = paper / "main.tex"
    main.write_text(main.read_text().replace(r"\citep{hu2022lora}", r"\citep{nobody1999}"))
    with pytest.raises(PolychromicError, match="nobody1999"):
        latex.compile_paper(paper, paper / "main.pdf", records(paper))


@needs_latex
def test_a_missing_table_is_named_and_the_old_pdf_stays(paper: Path):
    (paper / "main.pdf").write_bytes(b"old")
    (paper / "tables" / "replies-lambda.tex").unlink()
    with pytest.raises(PolychromicError, match="replies-lambda"):
        latex.compile_paper(paper, paper / "main.pdf", records(paper))
    assert (paper / "main.pdf").read_bytes() == b"old"


def test_missing_latex_names_packages_and_command(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    build("listqa", workspace / "results", workspace / "paper")
    monkeypatch.setenv("PATH", str(workspace))
    with pytest.raises(PolychromicError, match=r"apt-get install --no-install-recommends latexmk texlive-latex-recommended .* lmodern"):
        latex.compile_paper(workspace / "paper", workspace / "paper" / "main.pdf", [workspace / "results/listqa/numbers.json"])


def test_missing_records_are_named(workspace: Path):
    with pytest.raises(PolychromicError, match=r"records missing: .*numbers\.json"):
        latex.compile_paper(workspace / "paper", workspace / "out.pdf", [workspace / "results/listqa/numbers.json"])
    with pytest.raises(PolychromicError, match="none given"):
        latex.compile_paper(workspace / "paper", workspace / "out.pdf")


def test_records_hash_follows_the_content_and_not_the_place(workspace: Path, tmp_path: Path):
    build("listqa", workspace / "results", workspace / "paper")
    file = workspace / "results/listqa/numbers.json"
    copy = tmp_path / "elsewhere/listqa/numbers.json"
    copy.parent.mkdir(parents=True)
    shutil.copyfile(file, copy)
    assert latex.records_hash([file]) == latex.records_hash([copy])
    assert re.fullmatch(r"[0-9a-f]{12}", latex.records_hash([file]))
    copy.write_text(copy.read_text().replace("dev", "test", 1))
    assert latex.records_hash([file]) != latex.records_hash([copy])


def test_error_lines_keeps_the_first_error():
    log = "noise\n./main.tex:12: Undefined control sequence.\n\nl.12 \\foo\n         bar\nmore\nmain.tex:14: second\n"
    assert latex.error_lines(log) == ["./main.tex:12: Undefined control sequence.", "l.12 \\foo", "         bar"]


def test_the_text_has_no_typed_decimal():
    """Decimals in the manuscript come from records; what is left are lengths of the layout."""
    source = (Path(__file__).resolve().parents[2] / "paper" / "main.tex").read_text()
    body = source[source.index(r"\begin{document}") :]
    body = re.sub(r"\\num\{[^}]*\}|\\(?:setlength|includegraphics|renewcommand)\S*|\\\\\[1ex\]|(?<!\\)%.*", "", body)
    assert re.findall(r"\d+\.\d+|\d+\s*\\%", body) == []
