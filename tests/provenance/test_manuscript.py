"""main.tex as data: what it prints and where, its figures and tables by the numbers LaTeX gives them, sentences, and typed digits."""

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance.printed import Manuscript
from tests.provenance.conftest import FIGURE, KEY, RECORDS, REPO, TABLE, TEST_KEY

TEXTS = {one["key"]: one["text"] for one in RECORDS}


def test_uses_have_their_lines_and_comments_are_none(repository):
    uses = Manuscript.load(repository).uses
    assert [(use.key, use.line) for use in uses] == [
        (KEY, 5), ("listqa.primary.ci", 5), ("setup.lambda", 6), ("listqa.cost.sentence", 7), ("listqa.n_prompts", 10), (TEST_KEY, 16),
    ]  # fmt: skip
    assert {use.file for use in uses} == {"paper/main.tex"}
    (repository / TABLE).write_text("a & \\num{listqa.lora.pass@1}\n")
    manuscript = Manuscript.load(repository)
    assert manuscript.uses[-1].file == TABLE and "listqa.lora.pass@1" in manuscript.keys


def test_floats_have_their_label_number_and_files(repository):
    figure, table, gains = Manuscript.load(repository).floats
    assert (figure.name, figure.label, figure.files, figure.line) == ("Figure 1", "fig:listqa-frontier", (FIGURE,), 8)
    assert (table.name, table.label, table.files) == ("Table 1", "tab:contrasts", (TABLE,)) and gains.name == "Figure 2"


def test_the_papers_own_floats():
    floats = {one.label: one for one in Manuscript.load(REPO).floats}
    assert floats["fig:training"].files == ("paper/figures/listqa-training.pdf", "paper/figures/replies-training.pdf")
    for label, kind in (("tab:listqa-contrasts", "table"), ("tab:listqa-lambda", "table"), ("tab:setup", "table")):
        assert floats[label].kind == kind and len(floats[label].files) == 1
    assert all(path.startswith(("paper/figures/", "paper/tables/")) for one in floats.values() for path in one.files)


def test_a_float_without_a_label_is_named():
    with pytest.raises(DataError, match=r"main\.tex:2: a figure without a label"):
        Manuscript("text\n\\begin{figure}\n\\includegraphics{figures/x}\n\\end{figure}\n", {}).floats  # noqa: B018


def test_sentences_as_a_reader_sees_them(repository):
    manuscript = Manuscript.load(repository)
    assert {one.line: manuscript.render(one, TEXTS) for one in manuscript.sentences} == {
        5: "The score is -0.08 [-0.20, +0.04], as Figure 1 shows [somebody].",
        6: "It has lambda=3.",
        7: "A step takes 1.26 [1.12, 1.40] times as long, -0.08 less.",
        10: "The frontier over 141 prompts.",
        16: "On test it is +0.17.",
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
    (repository / TABLE).unlink()
    assert Manuscript.load(repository).inputs == {} and len(Manuscript.load(repository).floats) == 3
    (repository / "paper/main.tex").unlink()
    with pytest.raises(PolychromicError, match=r"main\.tex: file not found"):
        Manuscript.load(repository)


def typed(text: str) -> list[tuple[int, str]]:
    return Manuscript("\\setlength{\\x}{3pt}\n\\begin{document}\n" + text, {}).typed_digits(0.95)


@pytest.mark.parametrize(
    "text",
    [
        r"A score of \num{listqa.lora.pass@1} \citep{li2025gem}, see Figure~\ref{fig:x2}.",
        r"\begin{tabular}{p{0.3\linewidth}l}\setlength{\tabcolsep}{2.4pt}{\fontsize{6}{7}\selectfont x}\\[1ex]",
        r"\includegraphics[width=0.5\linewidth]{figures/x1}",
        r"The md5 of SmolLM2, pass@1, $q \in [0,1]$, $x_2^3$, $\frac{1}{N}$, $2\sum_i x_i$ and $s_{ii}=1$.",
        r"\newgeometry{textwidth=6.5in,textheight=9.3in}",
        "\\begin{equation}\n  1 - p_0 = 0\n\\end{equation}",
        r"At temperature 1, with 95\,\% intervals. A thesis (2024) and a book (of 1999).",
        "We have ten of them.",
    ],
)
def test_structure_is_left_alone(text):
    assert typed(text) == []


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        (r"It is 0.31 better.", "0.31"),
        (r"On 12 prompts.", "12"),
        (r"Here $\lambda=3$.", "3"),
        (r"A share of $0.5$.", "0.5"),
        (r"With 90\,\% intervals.", "90"),
        (r"In 95\,\% of cases.", "95"),
        (r"At temperature 2.", "2"),
        (r"On 1 prompt.", "1"),
        ("\\begin{tabular}{ll}\na & 7 \\\\\n\\end{tabular}", "7"),
        (r"\caption{All 300.}", "300"),
        (r"By 2024 prompts.", "2024"),
    ],
)
def test_a_value_is_found(text, digits):
    (one,) = typed(text)
    assert digits in one[1] and one[0] == (4 if "\n" in text else 3)
