"""Drafts side by side: what LoRA and the headline say to the same prompts, and what D's weight makes of them, for a reader who
wants to see texts and not means.

Nobody picks the prompts: they are the first of a shuffle that the analysis seed decides. It reads samples and the checker's own
verdict on them; no torch, no statistic.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, read_jsonl, write_text
from polychromic.base.seeds import derive_seed
from polychromic.data.domains import get_domain
from polychromic.data.records import Record, load_split
from polychromic.params import HEADLINE, POLICY, Params
from polychromic.report import labels
from polychromic.report.tables import bold, longtable, row

PROMPTS = 6
OF_WEIGHTS = 2  # prompts in the table of weights
DRAFTS = {"set": 10, "person": 4}  # by checker: answers are short, replies are not
SEPARATOR = r" \textcolor{black!50}{/} "
TYPED = {"\u2018": "`", "\u2019": "'", "\u201c": "``", "\u201d": "''", "\u2013": "--", "\u2014": "---", "\u2026": r"\dots{}"}
Marked = Sequence[Sequence[tuple[str, bool]]]  # by prompt: drafts in the order they were drawn, each with whether it passes


def build_examples(params: Params, domain: str) -> list[Path]:
    """Write paper/tables/{domain}-samples.tex: PROMPTS prompts of dev, the first drafts of the first seed.

    Beside it {domain}-lambda-samples.tex: the first of these prompts at every weight of D, at the temperature that D is about, or
    at the chosen one where that was not sampled.

    Raises:
        PolychromicError: a cell has no samples at such a temperature, or samples of a prompt are missing.
    """
    choices = read_json(paths.choices_file(domain))
    records = load_split(domain)["dev"]
    random.Random(derive_seed(params.analysis.seed, "examples", domain)).shuffle(records)
    shown, passes = records[:PROMPTS], _checker(domain)

    def drafts(method: str, lam: float | None, temperature: float, prompts: Sequence[Record]) -> Marked:
        path = paths.cell_dir(domain, "dev", paths.cell_name(method, lam)) / paths.SAMPLES
        found = _drafts(path, temperature, prompts)
        return [[*zip(texts, passes(record, texts), strict=True)] for record, texts in zip(prompts, found, strict=True)]

    weight = params.lam if params.methods[HEADLINE].lam == "lambda" else None
    columns = {
        f"{labels.system_name(label)}, $T={labels.plain(chosen := choices['chosen'][label])}$": drafts(label, lam, chosen, shown)
        for label, lam in (("lora", None), (HEADLINE, weight))
    }
    by_weight = {}
    for level in choices["lambda"]["rows"]:
        cell = ("lora", None) if level["label"] == "lora" else (HEADLINE, level["lambda"])
        temperature = level["temperature"] if level["objective"] is None else POLICY
        by_weight[level["lambda"]] = drafts(*cell, temperature, shown[:OF_WEIGHTS])
    made = {"samples": examples_table(shown, columns), "lambda-samples": weights_table(shown[:OF_WEIGHTS], by_weight)}
    written = {paths.PAPER / "tables" / f"{domain}-{name}.tex": text for name, text in made.items()}
    for path, text in written.items():
        write_text(path, text)
    return list(written)


def _drafts(path: Path, temperature: float, shown: Sequence[Record]) -> list[list[str]]:
    """The first drafts of the lowest seed to each prompt."""
    found: dict[str, tuple[int, list[str]]] = {}
    for _, line in read_jsonl(path):
        if line["temperature"] == temperature and line["seed"] <= found.get(line["id"], (line["seed"],))[0]:
            found[line["id"]] = line["seed"], line["samples"]
    if missing := [record.id for record in shown if record.id not in found]:
        raise PolychromicError(f"{path}: no samples of {missing[0]} at temperature {temperature}. Run `dvc repro`.")
    return [found[record.id][1][: DRAFTS[record.checker]] for record in shown]


def _checker(domain: str) -> Callable[[Record, list[str]], list[bool]]:
    """The verdict of the evaluation: in the valid set, or a match with the held-out human reply."""
    if (calibration := read_json(paths.calibration_file(domain))) is None:
        return lambda record, replies: [get_domain(domain).answer(record, reply) is not None for reply in replies]
    from polychromic.score.quality import chrf_matrix  # brings sacrebleu

    return lambda record, replies: [bool(row.max() > calibration["threshold"]) for row in chrf_matrix(replies, record.references)]


def examples_table(shown: Sequence[Record], columns: Mapping[str, Marked]) -> str:
    """A row per prompt: the prompt, then the drafts of each system in the order they were drawn; bold: passes."""
    lines = []
    for number, record in enumerate(shown):
        cells = [tex(record.prompt), *(_marked(drafts[number]) for drafts in columns.values())]
        lines += [r"\addlinespace"] * (number > 0) + [row(_ragged(cells))]
    width = r"p{0.22\linewidth}" + r"p{0.35\linewidth}" * len(columns)
    return longtable(width, row(["prompt", *columns]), lines)


def weights_table(shown: Sequence[Record], by_weight: Mapping[float, Marked]) -> str:
    """A row per weight of D, 0 (LoRA) first, a column per prompt; bold: passes."""
    lines = []
    for number, weight in enumerate(sorted(by_weight)):
        cells = [f"${labels.plain(weight)}$", *_ragged([_marked(drafts) for drafts in by_weight[weight]])]
        lines += [r"\addlinespace"] * (number > 0) + [row(cells)]
    heads = [rf"\raggedright\arraybackslash {tex(record.prompt)}" for record in shown]
    return longtable("r" + rf"p{{{0.88 / len(shown):.2f}\linewidth}}" * len(shown), row([r"$\lambda$", *heads]), lines)


def _ragged(cells: Sequence[str]) -> list[str]:
    *others, last = cells
    return [rf"\raggedright {cell}" for cell in others] + [rf"\raggedright\arraybackslash {last}"]


def _marked(drafts: Sequence[tuple[str, bool]]) -> str:
    texts = ((tex(draft) or r"\emph{(nothing)}", passes) for draft, passes in drafts)
    return SEPARATOR.join(bold(text) if passes else text for text, passes in texts)


def tex(text: str) -> str:
    r"""Model text for LaTeX: one line, special characters escaped, what T1 fonts lack as its code point."""
    other = lambda c: TYPED.get(c, rf"\texttt{{\scriptsize U+{ord(c):04X}}}")
    return "".join(labels.escape(c) if 32 <= ord(c) < 127 or 192 <= ord(c) < 256 else other(c) for c in " ".join(text.split()))
