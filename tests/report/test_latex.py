"""The PDF: byte-identical, with the records' hash and embedded fonts; its failures name what is wrong."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, write_json
from polychromic.provenance.manuscript import Manuscript
from polychromic.report import latex
from polychromic.report.build import build
from tests.report.synthetic import REPOSITORY, write_provenance
from tests.report.synthetic import record_files as records

needs_latex = pytest.mark.skipif(shutil.which("latexmk") is None, reason="LaTeX is not installed")


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
@pytest.mark.parametrize("real", [False, True], ids=["synthetic", "committed"])
def test_everything_fits_the_page_and_every_reference_leads_somewhere(paper: Path, real: bool):
    folder = REPOSITORY / "paper" if real else paper
    with latex.compiled(folder, records(paper)) as build:
        log = (build / "main.log").read_text(encoding="utf-8", errors="replace")
    assert latex.badly_set(log) == []
    assert latex.leads_nowhere(log) == [] and "undefined references" not in log


@needs_latex
def test_a_table_that_would_become_too_small_is_named(paper: Path, capsys: pytest.CaptureFixture[str]):
    table = paper / "tables" / "people.tex"
    table.write_text(table.read_text().replace(" & ", " & " + "M" * 40, 1))
    latex.compile_paper(paper, paper / "main.pdf", records(paper))
    assert re.search(r"does not fit the page:\n  Table \d+ is \S+pt wide and has \S+pt .*near tables/people\.tex", capsys.readouterr().err)


def test_what_is_too_wide_is_named_with_its_file():
    log = r"""(./tables/a-b.tex
Overfull \hbox (12.5pt too wide) in alignment at lines 2--6
Overfull \hbox (0.9pt too wide) in paragraph at lines 7--7
Overfull \hbox (12.5pt too wide) in alignment at lines 2--6
) (./tables/c.tex)
Package polychromic Warning: Table 3 is 600pt wide and has 470pt on input line 9."""
    assert latex.badly_set(log) == [
        "12.5 pt too wide near tables/a-b.tex, in alignment at lines 2--6",
        "Table 3 is 600pt wide and has 470pt on input line 9. near tables/c.tex",
    ]


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


@needs_latex
def test_values_and_captions_lead_to_their_rows(paper: Path):
    """In math, captions and section titles, too; the numbers of figures and tables are those that trace gives them."""
    main = paper / "main.tex"
    text = main.read_text()
    title = r"\section{A title of \num{listqa.n_prompts} prompts, \num{listqa.primary.delta}}"
    main.write_text(
        text.replace(r"\section{Limitations}", title + "\n$x=\\num{setup.lambda}^{\\num{setup.lambda}}$\n" + r"\section{Limitations}")
    )
    write_provenance(paper)
    with latex.compiled(paper, records(paper)) as build:
        log, aux, bookmarks = ((build / f"main.{name}").read_text(errors="replace") for name in ("log", "aux", "out"))
    assert latex.leads_nowhere(log) == [] and "Token not allowed" not in log and "destination with the same identifier" not in log
    numbers = dict(re.findall(r"\\newlabel\{((?:fig|tab):[^}]+)\}\{\{(\d+)\}", aux))
    floats = Manuscript.load(paper.parent).floats
    assert {one.label: str(one.number) for one in floats} == numbers and len(floats) > 20
    assert re.search(r"A title of|A\\040title|\\000A\\000", bookmarks)


@needs_latex
@pytest.mark.skipif(shutil.which("pdfinfo") is None, reason="poppler is not installed")
def test_the_pdf_has_the_rows_as_targets(paper: Path):
    pdf = latex.compile_paper(paper, paper / "main.pdf", records(paper))
    targets = subprocess.run(["pdfinfo", "-dests", str(pdf)], check=True, capture_output=True, text=True).stdout
    manuscript = Manuscript.load(paper.parent)
    assert set(re.findall(r'"num:([^"]+)"', targets)) == set(manuscript.keys)
    assert set(re.findall(r'"stage:([^"]+)"', targets)) == {f"{one.kind}.{one.number}" for one in manuscript.floats}


@needs_latex
def test_a_value_without_a_row_is_named(paper: Path):
    table = paper / "tables" / "provenance-numbers.tex"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if r"{num:listqa.primary.delta}" not in line))
    with pytest.raises(PolychromicError, match=r"(?s)name\{num:listqa\.primary\.delta\} has been referenced.*provenance tables"):
        latex.compile_paper(paper, paper / "main.pdf", records(paper))


def test_missing_latex_names_packages_and_command(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    build("listqa", workspace / "results", workspace / "paper")
    monkeypatch.setenv("PATH", str(workspace))
    with pytest.raises(PolychromicError, match=r"apt-get install --no-install-recommends latexmk texlive-latex-recommended .* lmodern"):
        latex.compile_paper(workspace / "paper", workspace / "paper" / "main.pdf", [workspace / "results/listqa/numbers.json.gz"])


def test_missing_records_are_named(workspace: Path):
    with pytest.raises(PolychromicError, match=r"records missing: .*numbers\.json\.gz"):
        latex.compile_paper(workspace / "paper", workspace / "out.pdf", [workspace / "results/listqa/numbers.json.gz"])
    with pytest.raises(PolychromicError, match="none given"):
        latex.compile_paper(workspace / "paper", workspace / "out.pdf")


def test_records_hash_follows_the_content_and_not_the_place(workspace: Path, tmp_path: Path):
    build("listqa", workspace / "results", workspace / "paper")
    file = workspace / "results/listqa/numbers.json.gz"
    copy = tmp_path / "elsewhere/listqa/numbers.json.gz"
    copy.parent.mkdir(parents=True)
    shutil.copyfile(file, copy)
    assert latex.records_hash([file]) == latex.records_hash([copy])
    assert re.fullmatch(r"[0-9a-f]{12}", latex.records_hash([file]))
    write_json(copy, read_json(copy)[1:])
    assert latex.records_hash([file]) != latex.records_hash([copy])


def test_error_lines_keeps_the_first_error():
    log = "noise\n./main.tex:12: Undefined control sequence.\n\nl.12 \\foo\n         bar\nmore\nmain.tex:14: second\n"
    assert latex.error_lines(log) == ["./main.tex:12: Undefined control sequence.", "l.12 \\foo", "         bar"]


def test_the_text_has_no_typed_decimal():
    """Decimals in the manuscript come from records; what is left are lengths of the layout."""
    source = (Path(__file__).resolve().parents[2] / "paper" / "main.tex").read_text()
    body = source[source.index(r"\begin{document}") :]
    body = re.sub(r"\\num\{[^}]*\}|\\(?:setlength|includegraphics|renewcommand|newgeometry|fontsize)\S*|\\\\\[1ex\]|(?<!\\)%.*", "", body)
    assert re.findall(r"\d+\.\d+|\d+\s*\\%", body) == []
