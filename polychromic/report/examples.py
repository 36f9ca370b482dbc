"""Drafts side by side: what LoRA and the headline say to the same prompts, and what D's weight makes of them, for a reader who
wants to see texts and not means.

Nobody picks the prompts: they are the first of a shuffle that the analysis seed decides. It reads samples and the checker's own
verdict on them; no torch, no statistic.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from polychromic.base import paths
from polychromic.base.errors import PolychromicError
from polychromic.base.io import read_json, read_jsonl, write_text
from polychromic.base.seeds import derive_seed
from polychromic.compare.systems import POLICY, cell_name
from polychromic.data.domains import get_domain
from polychromic.data.records import Record, read_records
from polychromic.params import Params
from polychromic.report import labels
from polychromic.report.latex_rows import longtable, row

SYSTEMS = ("lora", "polychromic")
PROMPTS = 6
OF_WEIGHTS = 2  # prompts in the table of weights
DRAFTS = {"set": 10, "person": 4}  # by checker: answers are short, replies are not
SEPARATOR = r" \textcolor{black!50}{/} "


def build_examples(params: Params, domain: str, results: Path = paths.RESULTS, paper: Path = paths.PAPER) -> Path:
    """Write paper/tables/{domain}-samples.tex: PROMPTS prompts of dev, the first drafts of the first seed.

    Beside it {domain}-lambda-samples.tex: the first of these prompts at every weight of D, at the temperature that D is about, or
    at the chosen one where that was not sampled.

    Raises:
        PolychromicError: a cell has no samples at such a temperature, or samples of a prompt are missing.
    """
    split = "dev"
    selection = read_json(results / domain / "select.json")
    chosen = selection["chosen"]
    records = {record.id: record for record in read_records(paths.data_file(domain))}
    ids = read_json(results / domain / "split.json")["splits"][split]
    random.Random(derive_seed(params.analysis.seed, "examples", domain)).shuffle(ids)
    shown = [records[i] for i in ids[:PROMPTS]]
    threshold = (read_json(results / domain / "calibration.json") or {}).get("threshold")

    def judged(found: Sequence[Sequence[str]]) -> list[list[bool]]:
        return [_good(domain, record, replies, threshold) for record, replies in zip(shown, found)]

    drafts = {}
    for label in SYSTEMS:
        cell = cell_name(label, params.lam if params.methods[label].lam == "lambda" else None)
        drafts[label] = _drafts(results / domain / cell / "samples.jsonl.gz", chosen[label], split, shown)
    path = paper / "tables" / f"{domain}-samples.tex"
    write_text(path, examples_table(shown, chosen, drafts, {label: judged(found) for label, found in drafts.items()}))
    by_weight = {}
    for level in selection["lambda"]["rows"]:
        cell = "lora" if level["label"] == "lora" else cell_name("polychromic", level["lambda"])
        temperature = level["temperature"] if level["objective"] is None else POLICY
        by_weight[level["lambda"]] = _drafts(results / domain / cell / "samples.jsonl.gz", temperature, split, shown[:OF_WEIGHTS])
    marks = {weight: judged(found) for weight, found in by_weight.items()}
    write_text(paper / "tables" / f"{domain}-lambda-samples.tex", weights_table(shown[:OF_WEIGHTS], by_weight, marks))
    return path


def _drafts(path: Path, temperature: float, split: str, shown: Sequence[Record]) -> list[list[str]]:
    """The first drafts of the lowest seed to each prompt."""
    found: dict[str, tuple[int, list[str]]] = {}
    for _, line in read_jsonl(path):
        if line["split"] == split and line["temperature"] == temperature and line["seed"] <= found.get(line["id"], (line["seed"],))[0]:
            found[line["id"]] = line["seed"], line["samples"]
    if missing := [record.id for record in shown if record.id not in found]:
        raise PolychromicError(f"{path}: no samples of {missing[0]} at temperature {temperature} on {split}. Run `dvc repro`.")
    return [found[record.id][1][: DRAFTS[record.checker]] for record in shown]


def _good(domain: str, record: Record, replies: Sequence[str], threshold: float | None) -> list[bool]:
    """The verdict of the evaluation: in the valid set, or a match with the held-out human reply."""
    if record.checker == "set":
        return [get_domain(domain).answer(record, reply) is not None for reply in replies]
    from polychromic.score.quality import chrf_matrix  # brings sacrebleu

    return [bool(scores.max() > threshold) for scores in chrf_matrix(list(replies), record.references)]


def examples_table(
    shown: Sequence[Record],
    temperatures: Mapping[str, float],
    drafts: Mapping[str, Sequence[Sequence[str]]],
    good: Mapping[str, Sequence[Sequence[bool]]],
) -> str:
    """A row per prompt: the prompt, then the drafts of each system in the order they were drawn; bold: passes."""
    names = [rf"{labels.system_name(label)}, $T={labels.plain(temperatures[label])}$" for label in drafts]
    lines = []
    for number, record in enumerate(shown):
        cells = [tex(record.prompt)]
        cells += [_marked(drafts[label][number], good[label][number]) for label in drafts]
        lines += [row([rf"\raggedright {cell}" for cell in cells[:-1]] + [rf"\raggedright\arraybackslash {cells[-1]}"])]
        lines += [r"\addlinespace"] * (number + 1 < len(shown))
    width = r"p{0.22\linewidth}" + r"p{0.35\linewidth}" * len(drafts)
    return longtable(width, row(["prompt", *names]), lines)


def weights_table(
    shown: Sequence[Record], drafts: Mapping[float, Sequence[Sequence[str]]], good: Mapping[float, Sequence[Sequence[bool]]]
) -> str:
    """A row per weight of D, 0 (LoRA) first, a column per prompt; bold: passes."""
    lines = []
    for number, weight in enumerate(sorted(drafts)):
        cells = [rf"\raggedright {_marked(*both)}" for both in zip(drafts[weight], good[weight], strict=True)]
        cells[-1] = cells[-1].replace(r"\raggedright", r"\raggedright\arraybackslash", 1)
        lines += [r"\addlinespace"] * (number > 0) + [row([f"${labels.plain(weight)}$", *cells])]
    heads = [rf"\raggedright\arraybackslash {tex(record.prompt)}" for record in shown]
    return longtable("r" + rf"p{{{0.88 / len(shown):.2f}\linewidth}}" * len(shown), row([r"$\lambda$", *heads]), lines)


def _marked(drafts: Sequence[str], good: Sequence[bool]) -> str:
    texts = [tex(draft) or r"\emph{(nothing)}" for draft in drafts]
    return SEPARATOR.join(rf"\textbf{{{text}}}" if passes else text for text, passes in zip(texts, good, strict=True))


def tex(text: str) -> str:
    r"""Model text for LaTeX: one line, special characters escaped, what T1 fonts lack as its code point."""
    line = " ".join(text.split())
    return "".join(labels.escape(c) if 32 <= ord(c) < 127 or 192 <= ord(c) < 256 else _other(c) for c in line)


def _other(c: str) -> str:
    known = {"\u2018": "`", "\u2019": "'", "\u201c": "``", "\u201d": "''", "\u2013": "--", "\u2014": "---", "\u2026": r"\dots{}"}
    return known.get(c, rf"\texttt{{\scriptsize U+{ord(c):04X}}}")
