"""A pipeline in miniature as DVC would leave it: cells, comparisons, a report, records; in Git, with its objects in a store.

What its stages are is said by hand (STAGES), and dvc.lock is written from the files: no stage runs.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import zlib
from pathlib import Path

import pytest
import yaml

from polychromic.params import Params
from polychromic.pipeline.stages import Stage
from polychromic.provenance.lock import md5_of, read_yaml
from polychromic.provenance.workspace import Workspace, values_of
from polychromic.report.paper import records_hash
from tests.pipeline_tools import git
from tests.workspace import declared_values

REPO = Path(__file__).resolve().parents[2]
NUMBERS, MACROS = "results/numbers.json.gz", "paper/numbers.tex"
COMPARE, TEST = "results/listqa/dev/compare.json", "results/listqa/test/compare.json"
DATA, COST, RUN = "data/listqa.jsonl", "benchmarks/results/cost.json", "python -m polychromic"
KEY, TEST_KEY, TEST_ROW = "listqa.primary.delta", "listqa.test.primary.delta", "polychromic-vs-lora-valid_distinct@10-matched"


def samples(split: str, cell: str) -> str:
    return f"results/listqa/{split}/{cell}/samples.jsonl.gz"


def _cell(group: str, split: str, name: str, **axes: str) -> Stage:
    method = name.partition("-")[0]
    deps, about = (DATA, "polychromic/sample/cells.py", "polychromic/train"), {"domain": "listqa", "split": split, "method": method} | axes
    address, cmd = f"{group}@{axes.get('lam', f'listqa-{method}')}", f"{RUN} sample listqa {method} --split {split}"
    return Stage(address, group, cmd, about, deps, {samples(split, name): True}, {"params.yaml": ("train", "listqa.steps")})


def _stage(name: str, cmd: str, deps: list[str], outs: dict[str, bool], **params: tuple[str, ...]) -> Stage:
    named = {f"{file}.yaml": keys for file, keys in params.items()}
    return Stage(name, name.partition("@")[0], f"{RUN} {cmd}", {}, tuple(sorted(deps)), outs, named)


CELLS = [
    _cell("prompted-dev", "dev", "zero_shot"),
    _cell("tuned-dev", "dev", "lora"),
    *(_cell("polychromic-dev-listqa", "dev", f"polychromic-{lam}", lam=lam) for lam in ("3.0", "0.3")),
    _cell("prompted-test", "test", "zero_shot"),
    _cell("tuned-test", "test", "lora"),
    _cell("checked-test", "test", "polychromic-3.0", cell="polychromic-3.0"),
]
SAMPLES = {split: [path for cell in CELLS for path in cell.outs if f"/{split}/" in path] for split in ("dev", "test")}
SPLIT, TABLE = "results/listqa/split.json", "paper/tables/listqa-contrasts.tex"
FIGURE, GAINS = "paper/figures/listqa-frontier.pdf", "paper/figures/listqa-test-gains.pdf"
STAGES = {
    stage.name: stage
    for stage in (
        _stage("split@listqa", "split listqa", [DATA], {SPLIT: True}),
        *CELLS,
        _stage("compare-dev", "compare listqa", [*SAMPLES["dev"], "polychromic/compare.py"], {COMPARE: True}, params=("lambda",)),
        _stage("compare-test", "compare listqa --split test", SAMPLES["test"], {TEST: True}),
        _stage("report-dev@listqa", "report listqa", [COMPARE, "polychromic/report.py"], {FIGURE: False, TABLE: False}),
        _stage("report-test@listqa", "report listqa --split test", [TEST], {GAINS: False}),
        _stage("numbers", "report numbers", ["paper/main.tex", COMPARE, TEST, COST, "polychromic/report.py"],
               {NUMBERS: True, MACROS: False}, params=()),
        _stage("paper", "paper", ["paper/main.tex", "paper/tables", NUMBERS], {"paper/main.pdf": True}),
    )
}  # fmt: skip
PARAMS = "domains: [listqa]\nlambda: 3.0\ntrain: {learning_rate: 1e-05, schedule: on}\nlistqa: {steps: 4}\n"
MAIN = rf"""\newcommand{{\num}}[1]{{#1}} % \num{{not.this}}
\input{{numbers}}
\begin{{document}}
\section{{Results}}
The score is \num{{listqa.primary.delta}} \num{{listqa.primary.ci}}, as Figure~\ref{{fig:listqa-frontier}} shows \citep{{somebody}}.
It has $\lambda=\num{{setup.lambda}}$. Nothing is printed here.
\num{{listqa.cost.sentence}}
\begin{{figure}}
  \includegraphics[width=\linewidth]{{figures/listqa-frontier}}
  \caption{{The frontier over \num{{listqa.n_prompts}} prompts.}}\label{{fig:listqa-frontier}}
\end{{figure}}
\begin{{table}}
  \caption{{Contrasts.}}\label{{tab:contrasts}}
  \input{{tables/listqa-contrasts}}
\end{{table}}
On test it is \num{{{TEST_KEY}}}.
\begin{{figure}}\includegraphics{{figures/listqa-test-gains}}\caption{{G.}}\label{{fig:listqa-test-gains}}\end{{figure}}
\end{{document}}
"""


def record(key: str, text: str, value: float | None = None, source: str = "", **changes) -> dict:
    base = {"key": key, "value": value, "text": text, "unit": "", "low": None, "high": None, "n": None, "seeds": [], "split": None}
    return base | {"source": source} | changes


CONTRAST = f"{COMPARE}#contrasts/polychromic-vs-lora-pass@1-chosen"
ENDS = {"low": -0.2, "high": 0.04, "n": 141, "seeds": [0, 1], "split": "dev"}
RECORDS = [
    record(KEY, r"\ensuremath{-}0.08", -0.0812, CONTRAST, **ENDS),
    record("listqa.primary.ci", r"[\ensuremath{-}0.20, +0.04]", None, CONTRAST, **ENDS),
    record("listqa.primary.verdict", "not distinguishable from", None, CONTRAST, **ENDS),
    record("listqa.lora.pass@1", r"24.2\,\%", 0.242, f"{COMPARE}#systems/lora@T=0.5", unit="%", n=141, seeds=[0, 1], split="dev"),
    record("listqa.n_prompts", "141", 141, COMPARE, split="dev"),
    record("listqa.n_samples.all", "141", 141, COMPARE, split="dev"),
    record("listqa.cost.sentence", r"A step takes 1.26 [1.12, 1.40] times as long, \ensuremath{-}0.08 less.", None, COST),
    record(TEST_KEY, "+0.17", 0.17, f"{TEST}#contrasts/{TEST_ROW}", low=0.05, high=0.31, n=300, seeds=[0, 1, 2], split="test"),
    record("listqa.test.lora.pass@1", "25", 25.0, f"{TEST}#systems/lora@T=0.5", n=300, split="test"),
    record("setup.lambda", "3", 3.0, "params.yaml#lambda"),
]
COMPARISON = {
    "contrasts": [{"id": "polychromic-vs-lora-pass@1-chosen", "delta": -0.0812, "by_seed": [1, 2]}],
    "systems": [{"label": "lora", "temperature": 1.0, "mean": 0.1}, {"label": "lora", "temperature": 0.5, "mean": 0.242}],
}
ON_TEST = {"contrasts": [{"id": TEST_ROW, "delta": 0.17}], "systems": [{"label": "lora", "temperature": 0.5, "mean": 0.25}]}
PROMPTS = ("Name one tool a baker needs.", "Which bird swims well?", "Give a colour of autumn.", "Say something sour.")


def row(place: int, prompt: str) -> dict:
    about = {"id": f"p{place}", "domain": "listqa", "prompt": prompt, "references": ["x"], "group": f"g{place}", "stratum": "s"}
    return about | {"checker": "set", "valid": ["x"], "source": "made up", "licence": "CC0-1.0"}


def macros(records: list[dict]) -> str:
    return "% generated\n" + "".join(f"\\definenumber{{{one['key']}}}{{{one['text']}}}%\n" for one in records)


def packed(document: list | dict) -> bytes:
    return gzip.compress(json.dumps(document).encode(), mtime=0)


def put(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def compiled(folder: Path) -> bytes:
    """A PDF that carries the hash of the records, as pdfTeX writes it."""
    page = b"BT [(Records)]TJ/F68 9 Tf 35 0 Td [(" + records_hash(folder / NUMBERS).encode() + b")]TJ ET"
    return b"%PDF\nstream\n\x00\x01\nendstream\nstream\n" + zlib.compress(page) + b"\nendstream"


def keep(folder: Path, content: bytes, suffix: str = "") -> str:
    """Put an object into the store; its hash."""
    md5 = hashlib.md5(content).hexdigest() + suffix
    put(folder, {f"store/files/md5/{md5[:2]}/{md5[2:]}": content})
    return md5


def ran(folder: Path, stages: dict[str, Stage] = STAGES) -> None:
    """dvc.lock, data.dvc and the store, as `dvc repro` and `dvc push` would leave them with the files that lie here."""
    members = sorted((folder / "data").iterdir())
    pinned = json.dumps([{"md5": keep(folder, one.read_bytes()), "relpath": one.name} for one in members]).encode()
    entry = {"md5": keep(folder, pinned, ".dir"), "hash": "md5", "path": "data"}
    entries = {}
    for name, stage in stages.items():
        params = {file: values_of(read_yaml(folder / file), keys, file) for file, keys in stage.params.items()}
        listed = lambda paths: [{"path": path, "hash": "md5", "md5": md5_of(folder / path)} for path in sorted(paths)]
        entries[name] = {"cmd": stage.cmd, "params": params, "deps": listed(stage.deps), "outs": listed(stage.outs)}
        for path in (path for path, cached in stage.outs.items() if cached):
            keep(folder, (folder / path).read_bytes())
    put(folder, {"data.dvc": yaml.safe_dump({"outs": [entry]})})
    text = yaml.safe_dump({"schema": "2.0", "stages": entries}, sort_keys=False)
    put(folder, {"dvc.lock": text.replace("1.0e-05", "1e-05").replace("'on'", "on")})  # YAML 1.2, as DVC writes it


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def archive(repository: Path, target: Path) -> Path:
    """What `git archive HEAD` unpacks to."""
    git(repository, "archive", "--format=tar", f"--output={target}.tar", "HEAD")
    shutil.unpack_archive(f"{target}.tar", target, filter="data")
    return target


@pytest.fixture(scope="session")
def _made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("provenance") / "repository"
    splits = {"splits": {"train": ["p0", "p1"], "dev": ["p2"], "test": ["p3"]}}
    put(root, {
        "params.yaml": PARAMS, "dvc.yaml": "stages: {}\n", "paper/main.tex": MAIN,
        DATA: "".join(json.dumps(row(*one)) + "\n" for one in enumerate(PROMPTS)), COST: "{}",
        "polychromic/sample/cells.py": "cells = 1\n", "polychromic/train/trainer.py": "loss = 1\n",
        "polychromic/train/__pycache__/trainer.pyc": "bytes",
        "polychromic/compare.py": "analysis = 1\n", "polychromic/report.py": "build = 1\n", SPLIT: json.dumps(splits),
        **{path: packed({"tokens": [1, 2], "of": path}) for of in SAMPLES.values() for path in of},
        COMPARE: json.dumps(COMPARISON), TEST: json.dumps(ON_TEST), NUMBERS: packed(RECORDS), MACROS: macros(RECORDS),
        TABLE: "a & b\n", FIGURE: "%PDF", GAINS: "%PDF-", ".gitignore": "/data\n/results/\n__pycache__\n/paper/main.pdf\n",
        ".gitattributes": ".git_archival.txt export-subst\n", ".git_archival.txt": "commit: $Format:%H$\ndate: $Format:%cI$\n",
    })  # fmt: skip
    put(root, {"paper/main.pdf": compiled(root)})
    ran(root)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, "First results")
    return root


@pytest.fixture
def inside(repository: Path, command, monkeypatch):
    """The command line in that folder, with wide lines."""
    monkeypatch.chdir(repository)
    monkeypatch.setenv("COLUMNS", "300")
    return command


@pytest.fixture
def repository(_made: Path, tmp_path: Path, monkeypatch) -> Path:
    """A copy for each test to change: one commit, all up to date."""
    values = declared_values()
    values["analysis"]["test"]["listqa"]["precision"] = "float32"
    params = Params.model_validate(values)
    sizes = params.listqa.sizes.model_copy(update={"train": 1, "dev": 1, "test": 1})
    small = {"domains": ["listqa"], "listqa": params.listqa.model_copy(update={"sizes": sizes})}
    split = params.split.model_copy(update={"tolerance": 1.0})
    monkeypatch.setattr(Workspace, "params", params.model_copy(update=small | {"split": split}))
    monkeypatch.setattr("polychromic.pipeline.stages.stages", lambda root: STAGES)
    monkeypatch.setattr("polychromic.provenance.verify.to_yaml", lambda root: "stages: {}\n")
    target = tmp_path / "repository"
    shutil.copytree(_made, target, symlinks=True)
    return target
