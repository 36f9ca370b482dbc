"""main.tex as data: what it prints and where, its figures and tables by the numbers LaTeX gives them, its sentences."""

from pathlib import Path

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance.manuscript import Manuscript
from tests.provenance.conftest import RECORDS, put

REPO = Path(__file__).resolve().parents[2]
TEXTS = {one["key"]: one["text"] for one in RECORDS}


def test_uses_have_their_lines_and_comments_are_none(repository):
    uses = Manuscript.load(repository).uses
    assert [(use.key, use.line) for use in uses] == [
        ("listqa.primary.delta", 5), ("listqa.primary.ci", 5), ("setup.lambda", 6), ("listqa.cost.sentence", 7), ("listqa.n_prompts", 10),
    ]  # fmt: skip
    assert {use.file for use in uses} == {"paper/main.tex"}


def test_a_table_may_print_records(repository):
    (repository / "paper/tables/listqa-systems.tex").write_text("a & \\num{listqa.lora.pass@1}\n")
    manuscript = Manuscript.load(repository)
    assert manuscript.uses[-1].file == "paper/tables/listqa-systems.tex" and "listqa.lora.pass@1" in manuscript.keys


def test_floats_have_their_label_number_and_files(repository):
    figure, table = Manuscript.load(repository).floats
    assert (figure.name, figure.label, figure.files) == ("Figure 1", "fig:listqa-frontier", ("paper/figures/listqa-frontier.pdf",))
    assert (table.name, table.label, table.files) == ("Table 1", "tab:systems", ("paper/tables/listqa-systems.tex",))


def test_the_papers_own_floats():
    floats = {one.label: one for one in Manuscript.load(REPO).floats}
    assert floats["fig:training"].files == ("paper/figures/listqa-training.pdf", "paper/figures/replies-training.pdf")
    for label, kind in (("tab:listqa-contrasts", "table"), ("tab:listqa-lambda", "table"), ("tab:setup", "table")):
        assert floats[label].kind == kind and len(floats[label].files) == 1
    assert all(path.startswith(("paper/figures/", "paper/tables/")) for one in floats.values() for path in one.files)


def test_a_float_without_a_label_is_named(tmp_path):
    put(tmp_path, {"paper/main.tex": "text\n\\begin{figure}\n\\includegraphics{figures/x}\n\\end{figure}\n"})
    with pytest.raises(DataError, match=r"main\.tex:2: a figure without a label"):
        Manuscript.load(tmp_path).floats  # noqa: B018


def test_sentences_as_a_reader_sees_them(repository):
    manuscript = Manuscript.load(repository)
    rendered = {one.line: manuscript.render(one, TEXTS | {"setup.lambda": "3"}) for one in manuscript.sentences}
    assert rendered == {
        5: "The score is -0.08 [-0.20, +0.04], as Figure 1 shows [somebody].",
        6: "It has lambda=3.",
        7: "A step takes 1.26 [1.12, 1.40] times as long, -0.08 less.",
        10: "The frontier over 141 prompts.",
    }
    assert manuscript.render(manuscript.sentences[1], {}) == "It has lambda=[setup.lambda]."


def test_every_record_of_the_paper_is_in_a_sentence():
    manuscript = Manuscript.load(REPO)
    assert {key for one in manuscript.sentences for key in one.keys} == {use.key for use in manuscript.uses if use.file == "paper/main.tex"}
    lines = manuscript.text.splitlines()
    for sentence in manuscript.sentences:
        assert sentence.source.splitlines()[0].strip() in lines[sentence.line - 1]
        text = manuscript.render(sentence, dict.fromkeys(sentence.keys, "7"))
        assert "\\" not in text and "{" not in text and len(text) < 800, text


def test_a_table_may_not_be_made_yet_but_the_text_must_be_there(repository):
    (repository / "paper/tables/listqa-systems.tex").unlink()
    assert Manuscript.load(repository).inputs == {} and len(Manuscript.load(repository).floats) == 2
    (repository / "paper/main.tex").unlink()
    with pytest.raises(PolychromicError, match=r"main\.tex: file not found"):
        Manuscript.load(repository)
