"""The lock that DVC would write, from dvc.yaml and the files that lie here: the same as the one that it did write."""

import pytest

from polychromic.base.errors import DataError, PolychromicError
from polychromic.provenance.evidence import evidence
from polychromic.provenance.lock import Lock
from polychromic.provenance.pipeline import md5_file, working_tree


def test_it_is_the_lock_of_an_up_to_date_pipeline(repository):
    here, recorded = working_tree(repository), Lock.load(repository)
    assert here.stages.keys() == recorded.stages.keys() and len(here.stages) == 7
    for name, stage in recorded.stages.items():
        mine = here.stages[name]
        assert (mine.cmd, mine.params) == (stage.cmd, stage.params), name
        assert [file.path for file in mine.outs] == [file.path for file in stage.outs]
        assert [file.path for file in mine.deps] == [file.path for file in stage.deps]
        inputs = [file for file in stage.deps if recorded.producer(file.path) is None]
        assert [file for file in mine.deps if here.producer(file.path) is None] == inputs and inputs or name == "compare@listqa"
    for out in (out for stage in recorded.stages.values() for out in stage.outs):
        assert md5_file(repository / out.path) == out.md5
    maker, source = "report@listqa", ["results/listqa/compare.json"]
    one, other = (evidence(lock, lock.stages[maker], source) for lock in (here, recorded))
    assert (one.params_hash, one.code_hash, one.data_text()) == (other.params_hash, other.code_hash, other.data_text())
    assert one.data_text().startswith("listqa.jsonl ") and len(one.params_hash) == len(one.code_hash) == 8


def test_an_edit_of_code_or_parameters_shows_in_its_hash_alone(repository):
    source = ["results/listqa/compare.json"]
    hashes = lambda: [(found.params_hash, found.code_hash) for lock in [working_tree(repository)] for found in
                      [evidence(lock, lock.stages["report@listqa"], source)]][0]  # fmt: skip
    params, code = hashes()
    (repository / "polychromic" / "cells.py").write_text("cells = 2\n")
    assert hashes()[0] == params and hashes()[1] != code
    (repository / "polychromic" / "cells.py").write_text("cells = 1\n")
    text = (repository / "params.yaml").read_text()
    (repository / "params.yaml").write_text(text.replace("steps: 4", "steps: 5"))
    assert hashes()[0] != params and hashes()[1] == code


def test_a_missing_input_or_parameter_is_named(repository):
    (repository / "params.yaml").write_text("domains: [listqa]\nlambda: 3.0\nlistqa: {steps: 4}\n")
    with pytest.raises(DataError, match=r"params\.yaml: no key 'train'"):
        working_tree(repository)
    (repository / "benchmarks/results/cost.json").unlink()
    (repository / "params.yaml").write_text("domains: [listqa]\nlambda: 3.0\ntrain: 1\nlistqa: {steps: 4}\n")
    with pytest.raises(PolychromicError, match=r"cost\.json: file not found"):
        working_tree(repository)


def test_a_malformed_pipeline_is_one_message(repository):
    (repository / "dvc.yaml").write_text("stages: {a: {cmd: [}}")
    with pytest.raises(PolychromicError, match="DVC cannot read it"):
        working_tree(repository)
