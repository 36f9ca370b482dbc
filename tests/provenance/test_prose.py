"""Typed digits: what is a value is found with its line, what is structure is left alone."""

import pytest

from polychromic.provenance.manuscript import Manuscript
from polychromic.provenance.prose import typed_digits


def found(text: str) -> list[tuple[int, str]]:
    return typed_digits(Manuscript("paper/main.tex", "\\setlength{\\x}{3pt}\n\\begin{document}\n" + text, {}), 0.95)


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
    assert found(text) == []


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
    (one,) = found(text)
    assert digits in one[1] and one[0] == (4 if "\n" in text else 3)
