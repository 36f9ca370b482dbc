"""Scores that are known from an earlier command: found again by what decides them and by nothing else, and never in the way."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import sqlite3
import sys
from collections.abc import Iterator

import pytest

import polychromic.score.models
from polychromic.yours.evaluate import draw, evaluate, kept
from tests.workspace import REPOSITORY, make_models, small_params
from tests.yours.evaluate.conftest import GOOD, compare, invoke, write
from tests.yours.evaluate.conftest import evaluate as run

BYSTANDERS = {"pydantic", "filelock", "packaging", "ruamel.yaml", "psutil"}  # of params, through which no score goes


@pytest.fixture
def computed(two, tmp_path, monkeypatch) -> Iterator[list[str]]:
    """The names of metrics that were computed, as often as they were; an empty cache."""
    monkeypatch.setenv("POLYCHROMIC_CACHE", str(tmp_path / "cache"))
    kept.identity.cache_clear()
    calls, real = [], evaluate.compute
    monkeypatch.setattr(evaluate, "compute", lambda name, prompt: calls.append(name) or real(name, prompt))
    yield calls
    kept.identity.cache_clear()


def since(calls: list[str]) -> int:
    found = len(calls)
    calls.clear()
    return found


def test_a_second_command_computes_nothing_and_prints_the_same(two, computed, tmp_path):
    asked = "--metrics pass@1,pass@2,valid_distinct@2,self_bleu,distinct_1,words --json --bootstrap 200"
    first = run(*two, more=asked)
    assert since(computed) == 4 * 6
    second = run(*two, more=asked, out=tmp_path / "out")
    assert since(computed) == 0 and "metrics of" in first.stderr and "metrics of" not in second.stderr
    named = [{key: value for key, value in system.items() if key != "replies"} for system in json.loads(second.stdout)["systems"]]
    assert named == json.loads(first.stdout)["systems"]
    compare(*two, more="--metrics pass@1,self_bleu --bootstrap 200")
    compare(tmp_path / "out", more="--metrics pass@2 --bootstrap 200")
    assert since(computed) == 0, "a comparison, and the folder of an evaluation, hold the same replies"
    assert run(*two, more=f"{asked} --anew").stdout == first.stdout and since(computed) > 0


def test_a_prompt_that_is_new_is_scored_and_no_other(two, computed, tmp_path):
    asked = "--metrics pass@1,self_bleu --bootstrap 200"
    run(two[0], more=asked)
    assert since(computed) == 4
    rows = [json.loads(line) for line in two[0].read_text().splitlines()]
    run(write(tmp_path / "more.jsonl", *rows, GOOD | {"id": "c", "samples": ["x", "y", "z", "red"]}), more=asked)
    assert since(computed) == 2
    run(write(tmp_path / "other.jsonl", *(row | {"valid": ["stone"]} for row in rows)), more=asked)
    assert since(computed) == 4, "what is held to be right counts"


@pytest.mark.parametrize("library", [*kept.LIBRARIES, None])
def test_other_libraries_or_other_code_find_nothing(library, two, computed, monkeypatch):
    run(two[0], more="--metrics self_bleu --bootstrap 200")
    assert since(computed) == 2
    real = importlib.metadata.version
    if library:
        monkeypatch.setattr(importlib.metadata, "version", lambda name: "999" if name == library else real(name))
    else:
        monkeypatch.setattr(kept, "code_fingerprint", lambda names: "other")
    kept.identity.cache_clear()
    run(two[0], more="--metrics self_bleu --bootstrap 200")
    assert since(computed) == 2


def test_the_libraries_are_those_that_scores_import():
    places = [REPOSITORY / "polychromic" / name for name in kept.CODE]
    files = [file for place in places for file in (sorted(place.glob("*.py")) if place.is_dir() else [place])]
    nodes = [node for file in files if file.name not in ("models.py", "score.py") for node in ast.walk(ast.parse(file.read_text()))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"polychromic"}
    owners = importlib.metadata.packages_distributions()
    used = {owner.lower().replace("_", "-") for top in tops for owner in owners[top]}
    assert used - BYSTANDERS - {"bert-score"} == set(kept.LIBRARIES), "BERTScores are kept by what makes them"


def test_of_vectors_the_scores_are_kept_with_the_note_of_what_was_cut(two, computed, tmp_path, monkeypatch):
    make_models(tmp_path)
    monkeypatch.setattr(draw, "pinned", small_params)
    file = write(tmp_path / "long.jsonl", GOOD | {"samples": ["a " * 127, "b " * 200, "a", "red"]})
    ask = lambda: invoke("evaluate", "--samples", file, "--metrics", "vendi,semantic_diversity,pass@1", "--bootstrap", "200", "--json")
    first = ask()
    assert since(computed) == 3 and "2 texts are longer" in json.loads(first.stdout)["notes"][0]
    monkeypatch.setattr(polychromic.score.models, "Embedder", lambda params: pytest.fail("the encoder was asked again"))
    assert ask().stdout == first.stdout and since(computed) == 0


@pytest.mark.parametrize("fault", ["broken", "folder", "locked", "file"])
def test_a_cache_that_cannot_be_used_is_none(fault, two, computed, tmp_path):
    run(two[0], more="--metrics pass@1 --bootstrap 200")
    path, holder = tmp_path / "cache" / "evaluate" / "scores.sqlite", None
    if fault == "broken":
        path.write_bytes(b"no database" * 100)
    elif fault == "locked":
        holder = sqlite3.connect(path)
        holder.execute("BEGIN EXCLUSIVE")
    else:
        path.unlink()
        path.parent.rmdir()
        path.parent.write_text("") if fault == "file" else path.mkdir(parents=True)
    since(computed)
    done = run(two[0], more="--metrics pass@1 --bootstrap 200")
    assert done.exit_code == 0 and since(computed) == 2
    if fault == "broken":
        run(two[0], more="--metrics pass@1 --bootstrap 200")
        assert since(computed) == 0, "it was made anew"
    if holder:
        holder.close()


def test_no_home_and_no_cache_are_no_hindrance(two, computed, monkeypatch):
    monkeypatch.setattr(kept.paths, "cache_dir", lambda: (_ for _ in ()).throw(kept.PolychromicError("HOME is not set")))
    assert run(two[0], more="--metrics pass@1 --bootstrap 200").exit_code == 0 and since(computed) == 2


def test_the_oldest_go_where_there_are_too_many(computed, monkeypatch):
    monkeypatch.setattr(kept, "MOST", 10)
    store, keys = kept.Store(), [kept.key(str(i)) for i in range(25)]
    for first in range(0, 25, 5):
        store.put({hashed: float(i) for i, hashed in enumerate(keys[first : first + 5], start=first)})
    assert sorted(store.get(keys).values()) == [float(i) for i in range(15, 25)]
    assert store.get([keys[24]] * 2) == {keys[24]: 24.0} and len(keys[0]) == 16


def test_many_keys_are_asked_for_in_parts(computed, monkeypatch):
    monkeypatch.setattr(kept, "AT_ONCE", 3)
    store, keys = kept.Store(), [kept.key(str(i)) for i in range(10)]
    store.put(dict.fromkeys(keys, 0.1 + 0.2))
    assert store.get(keys) == dict.fromkeys(keys, 0.1 + 0.2), "to the last bit"
