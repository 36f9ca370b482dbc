"""Drafts side by side: what LoRA and the headline say to the same prompts, and what D's weight makes of them, for a reader who
wants to see texts and not means.

Nobody picks the prompts: they are the first of a shuffle that the analysis seed decides. It reads samples and the checker's own
verdict on them; no torch, no statistic.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, read_jsonl, read_object, together, write_text
from polychromic.base.seeds import derive_seed
from polychromic.data.domains import get_domain
from polychromic.data.records import Record, load_split
from polychromic.params import HEADLINE, POLICY, Params
from polychromic.report import labels
from polychromic.report.tables import bold, longtable, row
from polychromic.score.quality import chrf_matrix

PROMPTS, DRAFTS = 3, 20  # all drafts that the evaluation sees
OF_WEIGHTS, OF_WEIGHT = 2, 6  # prompts and drafts in the table of weights
SEPARATOR = r" \textcolor{black!50}{/} "
TYPED = {"\u2018": "`", "\u2019": "'", "\u201c": "``", "\u201d": "''", "\u2013": "--", "\u2014": "---", "\u2026": r"\dots{}"}


def build_examples(params: Params, domain: str) -> list[Path]:
    """Write paper/tables/{domain}-samples.tex: PROMPTS prompts of dev, the first DRAFTS drafts of the first seed.

    Beside it {domain}-lambda-samples.tex: the first of these prompts at every weight of D, at the temperature that D is about, or
    at the chosen one where that was not sampled.

    Raises:
        PolychromicError: a cell has no samples at such a temperature, or samples of a prompt are missing.
    """
    choices, dev = read_object(paths.choices_file(domain)), load_split(domain)["dev"]
    random.Random(derive_seed(params.analysis.seed, "examples", domain)).shuffle(dev)
    shown, passes = dev[:PROMPTS], _checker(domain)

    def drafts(method: str, lam: float | None, temperature: float, prompts: Sequence[Record], count: int) -> Iterator[str]:
        """Per prompt the first `count` drafts of the lowest seed, those that pass in bold."""
        path = paths.cell_dir(domain, "dev", paths.cell_name(method, lam)) / paths.SAMPLES
        found: dict[str, tuple[int, list[str]]] = {}
        for _, line in read_jsonl(path):
            if line["temperature"] == temperature and line["seed"] <= found.get(line["id"], (line["seed"],))[0]:
                found[line["id"]] = line["seed"], line["samples"]
        for record in prompts:
            if record.id not in found:
                raise PolychromicError(f"{path}: no samples of {record.id} at temperature {temperature}. Run `dvc repro`.")
            replies = found[record.id][1][:count]
            texts = zip((tex(reply) or r"\emph{(nothing)}" for reply in replies), passes(record, replies), strict=True)
            yield SEPARATOR.join(bold(text) if good else text for text, good in texts)

    head, columns, rows = ["prompt"], [[tex(record.prompt) for record in shown]], []
    for label, lam in (("lora", None), (HEADLINE, params.lam if params.methods[HEADLINE].lam == "lambda" else None)):
        temperature = choices["chosen"][label]
        head.append(f"{labels.system_name(label)}, $T={labels.plain(temperature)}$")
        columns.append(drafts(label, lam, temperature, shown, DRAFTS))
    samples = drafts_table(head, r"p{0.14\linewidth}p{0.39\linewidth}p{0.39\linewidth}", zip(*columns, strict=True))
    for level in sorted(choices["lambda"]["rows"], key=lambda level: level["lambda"]):
        method, lam = ("lora", None) if level["label"] == "lora" else (HEADLINE, level["lambda"])
        temperature = level["temperature"] if level["objective"] is None else POLICY
        rows.append([f"${labels.plain(level['lambda'])}$", *drafts(method, lam, temperature, shown[:OF_WEIGHTS], OF_WEIGHT)])
    heads = [rf"\raggedright\arraybackslash {prompt}" for prompt in columns[0][:OF_WEIGHTS]]
    weights = drafts_table([r"$\lambda$", *heads], "r" + rf"p{{{0.88 / OF_WEIGHTS:.2f}\linewidth}}" * OF_WEIGHTS, rows)
    written = [paths.PAPER / "tables" / f"{domain}-{name}.tex" for name in ("samples", "lambda-samples")]
    with together():
        for path, text in zip(written, (samples, weights), strict=True):
            write_text(path, text)
    return written


def _checker(domain: str) -> Callable[[Record, list[str]], list[bool]]:
    """The verdict of the evaluation: in the valid set, or a match with the held-out human reply."""
    if (calibration := read_json(paths.calibration_file(domain))) is None:
        return lambda record, replies: [get_domain(domain).answer(record, reply) is not None for reply in replies]
    return lambda record, replies: [bool(row.max() > calibration["threshold"]) for row in chrf_matrix(replies, record.references)]


def drafts_table(head: Sequence[str], columns: str, rows: Iterable[Sequence[str]]) -> str:
    """Rows of drafts in ragged columns of the widths that `columns` gives; one that begins with "r" is a number."""
    lines: list[str] = []
    for first, *middle, last in rows:
        first = first if columns.startswith("r") else rf"\raggedright {first}"
        cells = [first, *(rf"\raggedright {cell}" for cell in middle), rf"\raggedright\arraybackslash {last}"]
        lines += [r"\addlinespace"] * bool(lines) + [row(cells)]
    return longtable(columns, head, lines)


def tex(text: str) -> str:
    r"""Model text for LaTeX: one line, special characters escaped, what T1 fonts lack as its code point."""
    other = lambda c: TYPED.get(c, rf"\texttt{{\scriptsize U+{ord(c):04X}}}")
    return "".join(labels.escape(c) if 32 <= ord(c) < 127 or 192 <= ord(c) < 256 else other(c) for c in " ".join(text.split()))
