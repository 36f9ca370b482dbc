"""The PDF and the bundle: byte-identical, with the records' hash; their failures name what is wrong. Most of it on a page of its own."""

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import write_json
from polychromic.params import load_params
from polychromic.report import paper
from polychromic.report.build import build, outs
from polychromic.report.examples import drafts_table
from polychromic.report.records import uses
from tests.provenance.conftest import edit
from tests.report.synthetic import DOMAINS, REPOSITORY

PARAMS = load_params(REPOSITORY / "params.yaml")
PAPER, PDF, MAIN = paths.PAPER, paths.PAPER / "main.pdf", paths.PAPER / "main.tex"


@pytest.fixture
def page(workspace: Path, needs_latex) -> Path:
    """The workspace with what its page reads."""
    build(PARAMS, "designs")
    build(PARAMS, "numbers")
    return workspace


def test_it_compiles_to_the_same_bytes_in_folders_of_different_name(page: Path, tmp_path: Path):
    before = sorted(PAPER.rglob("*"))
    paper.compile_paper(PAPER, PDF, paths.NUMBERS)
    assert sorted(PAPER.rglob("*")) == sorted([*before, PDF])
    twin = tmp_path / "a longer name"
    shutil.copytree(page, twin)
    again = paper.compile_paper(twin / "paper", twin / "again.pdf", paths.NUMBERS)
    assert again.read_bytes() == PDF.read_bytes() and os.fsencode(str(tmp_path)) not in PDF.read_bytes()
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", str(PDF), "-"], check=True, capture_output=True, text=True).stdout
        assert paper.records_hash(paths.NUMBERS) in text and "??" not in text and "[?]" not in text


@pytest.mark.parametrize(("old", "new", "message"), [
    (r"\num{setup.lambda}", r"\num{no_.such@key}", r"The number 'no_\.such@key' is undefined"),
    (r"{higher than}{0}", r"{lower than}{0}", r"The claim 'listqa\.dev\.front\.polychromic\.lora\.gap' lower than '0' is undefined"),
    (r"\cite{hu2022lora}", r"\cite{nobody1999}", r"(?s)undefined references.*nobody1999.*refs\.bib"),
    (r"\input{tables/designs}", r"\input{tables/lost}", r"(?s)does not compile:.*tables/lost.*dvc repro"),
    (r"\cite{hu2022lora}", r"\hyperlink{num:lost}{1}", r"(?s)name\{num:lost\} has been referenced.*provenance tables"),
])  # fmt: skip
def test_what_stops_it_is_named_and_the_old_pdf_stays(page: Path, old: str, new: str, message: str):
    PDF.write_bytes(b"old")
    edit(MAIN, old, new)
    with pytest.raises(PolychromicError, match=message):
        paper.compile_paper(PAPER, PDF, paths.NUMBERS)
    assert PDF.read_bytes() == b"old"


@pytest.mark.parametrize(("old", "new", "message"), [
    ("{higher than}{0}", "{lower than}{0}", r"Not supported: 'listqa\.dev\.front\.polychromic\.lora\.gap' lower than '0'; \S+ is 0\.\d"),
    ("{at least}{40}", "{at least}{listqa.dev.lora.pass@10}", r"Not supported: 'listqa\.dev\.lora\.pass@1' at least '\S+pass@10'"),
])  # fmt: skip
def test_a_claim_that_the_records_do_not_support_stops_latex(page: Path, old: str, new: str, message: str):
    """The records changed, or the sentence did: `numbers` writes what it finds, and the text does not compile."""
    edit(MAIN, old, new)
    build(PARAMS, "numbers")
    with pytest.raises(PolychromicError, match=message):
        paper.compile_paper(PAPER, PDF, paths.NUMBERS)
    assert not PDF.exists()


def test_the_words_of_a_claim_are_printed_and_of_a_starred_one_not(page: Path):
    paper.compile_paper(PAPER, PDF, paths.NUMBERS)
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", str(PDF), "-"], check=True, capture_output=True, text=True).stdout
        assert "which is higher than" in " ".join(text.split()) and "at least" not in text


def test_what_is_too_wide_is_named_with_its_file(page: Path, capsys: pytest.CaptureFixture[str]):
    edit(PAPER / "tables/designs.tex", " & ", " & " + "M" * 80)
    paper.compile_paper(PAPER, PDF, paths.NUMBERS)
    assert re.search(r"does not fit the page:\n  \S+ pt too wide near tables/designs\.tex, in .*\nShorten heads", capsys.readouterr().err)
    log = r"""(./tables/a-b.tex
Overfull \hbox (12.5pt too wide) in alignment at lines 2--6
Overfull \hbox (0.9pt too wide) in paragraph at lines 7--7
Overfull \hbox (12.5pt too wide) in alignment at lines 2--6
) (./tables/c.tex)
Package polychromic Warning: Table 3 is 600pt wide and has 470pt on input line 9."""
    assert paper.badly_set(log) == [
        "12.5 pt too wide near tables/a-b.tex, in alignment at lines 2--6",
        "Table 3 is 600pt wide and has 470pt on input line 9. near tables/c.tex",
    ]


def test_missing_records_and_missing_latex_are_named(workspace: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(PolychromicError, match=r"results/numbers\.json\.gz: file not found"):
        paper.compile_paper(PAPER, PDF, paths.NUMBERS)
    write_json(paths.NUMBERS, [1])
    first = paper.records_hash(paths.NUMBERS)
    write_json(paths.NUMBERS, [2])
    assert re.fullmatch(r"[0-9a-f]{12}", first) and paper.records_hash(paths.NUMBERS) != first, "it follows the content"
    monkeypatch.setenv("PATH", str(workspace))
    needed = r"LaTeX is not installed.*\n.*apt-get install --no-install-recommends latexmk texlive-latex-recommended .* lmodern"
    for call in (lambda: paper.compile_paper(PAPER, PDF, paths.NUMBERS), lambda: paper.bundle(workspace)):
        with pytest.raises(PolychromicError, match=needed):
            call()


def test_the_bundle_compiles_alone_to_the_same_pdf(page: Path):
    (PAPER / "tables/left-over.tex").write_text("not read")
    out = paper.bundle(page)
    assert out == page / "release" / "arxiv.tar.gz"
    with tarfile.open(out) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}
        assert all((member.mtime, member.uid, member.uname) == (0, 0, "") for member in tar.getmembers())
    assert set(files) == {"main.tex", "main.bbl", "recordshash.tex", "numbers.sty", "numbers.tex", "tables/designs.tex"}
    assert files["main.tex"].startswith(b"\\pdfoutput=1\n")
    assert paper.compile_alone(files) == paper.compile_paper(PAPER, PDF, paths.NUMBERS).read_bytes()
    files.pop("numbers.tex")
    with pytest.raises(PolychromicError, match=r"(?s)alone does not compile.*numbers"):
        paper.compile_alone(files)


def test_the_readme_gets_the_table_between_its_markers(tmp_path: Path):
    (tmp_path / "README.md").write_text(f"before\n{paper.BEGIN}old\n{paper.END}after\n")
    with pytest.raises(PolychromicError, match=r"summary\.md: file not found"):
        paper.write_readme(tmp_path)
    (tmp_path / "paper/tables").mkdir(parents=True)
    (tmp_path / "paper/tables/summary.md").write_text("| new |\n")
    picture = "![Fronts of quality and coverage over temperature](paper/figures/overview.svg)"
    assert paper.write_readme(tmp_path).read_text() == f"before\n{paper.BEGIN}{picture}\n\n| new |\n{paper.END}after\n"
    with pytest.raises(PolychromicError, match="lacks the markers"):
        paper.with_results("no markers", "")


@pytest.mark.slow
def test_everything_of_the_manuscript_fits_its_pages_and_leads_somewhere(workspace: Path, needs_latex):
    """The committed main.tex, with tables and figures of synthetic results and a row for every value, figure and table."""
    for name in ("main.tex", "refs.bib"):
        shutil.copy(REPOSITORY / PAPER / name, PAPER / name)
    for domain in DOMAINS:
        for split in ("dev", "test"):
            build(PARAMS, domain, split)
        for path in outs("examples", domain):
            Path(path).write_text(drafts_table(["prompt", "LoRA"], r"p{2cm}p{5cm}", [["Name one", r"\textbf{dog}"]]))
    for what, split in (("replies", "calibration"), *((name, None) for name in ("costs", "summary", "designs", "setup", "numbers"))):
        build(PARAMS, what, split)
    text = MAIN.read_text()
    rows = [rf"\hypertarget{{num:{key}}}{{}}x\par" for key in sorted({use.key for use in uses(PAPER)})]
    kinds = {"fig": "figure", "tab": "table"}
    rows += [rf"\hypertarget{{stage:{kinds[kind]}.\getrefnumber{{{kind}:{name}}}}}{{}}x\par"
             for kind, name in re.findall(r"\\label\{(fig|tab):([^}]+)\}", text)]  # fmt: skip
    for name, text in (("numbers", "\n".join(rows)), ("outputs", ""), ("sources", "")):
        (PAPER / f"tables/provenance-{name}.tex").write_text(text)
    with paper.compiled(PAPER, paths.NUMBERS) as folder:
        log = (folder / "main.log").read_text(encoding="utf-8", errors="replace")
    assert paper.badly_set(log) == [], "and every link leads somewhere: else it would not compile"
    assert "Token not allowed" not in log and "destination with the same identifier" not in log
