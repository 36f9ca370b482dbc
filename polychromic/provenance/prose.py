r"""Digits that somebody typed into main.tex, where a value must be a record (\num{key}).

What may stand there: lengths and arguments that are not printed, citations, references, names (md5, SmolLM2, pass@1), years in
parentheses, zero and one in mathematics and single digits as its indices, powers and coefficients, "temperature 1" (the policy itself), and
the level of confidence of params.yaml. A value that is written as a word ("ten") is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from polychromic.provenance.manuscript import Manuscript

_ARGUMENT = r"\{(?:[^{}]|\{[^{}]*\})*\}"
_HIDDEN = re.compile(
    r"\\num\{[^{}]*\}"
    rf"|\\(?:cite[a-z]*|ref|eqref|pageref|label|input|includegraphics|end|bibliographystyle|bibliography|url)\*?(?:\[[^\]]*\])*{_ARGUMENT}"
    rf"|\\(?:begin|setlength|setcounter|addtolength|hspace|vspace|fontsize|newgeometry|cmidrule|multicolumn)\*?(?:\[[^\]]*\])?(?:{_ARGUMENT})+"
    r"|\\\\(?:\[[^\]]*\])?"
)
_MATH = re.compile(r"\$[^$]*\$|\\\[.*?\\\]|\\begin\{(equation|align|gather|multline)(\*?)\}.*?\\end\{\1\2\}", re.DOTALL)
_DIGITS = re.compile(r"(?<![A-Za-z@\d])\d+(?:\.\d+)?")
_YEAR = re.compile(r"\((?:[^()\d]*\b)?(?:19|20)\d\d\)")


def typed_digits(manuscript: Manuscript, confidence: float) -> list[tuple[int, str]]:
    """(line, the digits and the words around them) of each number in the body that is no record.

    Args:
        confidence: of the intervals, in (0, 1); the text may say it before "intervals".
    """
    start = max(manuscript.text.find(r"\begin{document}"), 0)
    maths = [span.span() for span in _MATH.finditer(manuscript.text)]
    # Blanked at their length, so that places stay those of the file; a begin that opens mathematics was looked at above.
    text = _HIDDEN.sub(lambda found: " " * len(found[0]), manuscript.text)
    level = rf"{100 * confidence:g}\,\%"
    found = []
    for digits in _DIGITS.finditer(text, start):
        before, after = text[max(digits.start() - 40, 0) : digits.start()], text[digits.end() : digits.end() + 40]
        if _is_allowed(digits[0], before, after, _within(digits.start(), maths), level):
            continue
        words = f"{before.rpartition(chr(10))[2]}{digits[0]}{after.partition(chr(10))[0]}"
        found.append((manuscript.text.count("\n", 0, digits.start()) + 1, " ".join(words.split())))
    return found


def _is_allowed(digits: str, before: str, after: str, in_math: bool, level: str) -> bool:
    if in_math:
        of_formula = re.search(r"[_^]\{?$", before) or re.match(r"\\[a-z]|[a-zA-Z(]", after.removeprefix("\\,"))
        return digits in ("0", "1") or (of_formula is not None and len(digits) == 1)
    if re.match(r"\s+intervals?\b", after.removeprefix(r"\,\%")) and f"{digits}{after}".startswith(level):
        return True
    if digits == "1" and re.search(r"\btemperature[\s~]+$", before):
        return True
    years = _YEAR.finditer(before[-30:] + digits + after[:1])
    return any(year.end() == len(before[-30:] + digits + after[:1]) for year in years)


def _within(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(begin <= place < end for begin, end in spans)
