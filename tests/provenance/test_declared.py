"""The stages of dvc.yaml without DVC: the same as DVC's own, and an ablation's cell is told from an entry that is left over."""

import shutil
from pathlib import Path

import pytest

from polychromic.base.errors import DataError
from polychromic.provenance.declared import ablation_of, declared
from polychromic.provenance.pipeline import working_tree

REPO = Path(__file__).resolve().parents[2]


def assert_same(folder: Path) -> None:
    mine, theirs = declared(folder), working_tree(folder).stages
    assert mine.keys() == theirs.keys()
    for name, stage in theirs.items():
        assert mine[name].cmd == stage.cmd
        assert set(mine[name].deps) == {file.path for file in stage.deps}, name
        assert set(mine[name].outs) == {file.path for file in stage.outs}, name
        assert {file: set(keys) for file, keys in mine[name].params.items() if keys} == {
            file: set(values) for file, values in stage.params.items() if mine[name].params[file]
        }
        assert mine[name].params.keys() == stage.params.keys()


def test_dvc_makes_the_same_of_the_pipeline_in_miniature(repository):
    assert_same(repository)
    assert {name for name in declared(repository) if name.startswith("poly@")} == {"poly@listqa-3.0", "poly@listqa-0.3"}
    assert declared(repository)["report@listqa"].outs["paper/numbers/listqa.tex"] is False


def test_dvc_makes_the_same_of_this_repositorys():
    assert_same(REPO)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("poly@listqa-0.5", True),
        ("poly@listqa-1e-05", True),
        ("poly@replies-0.5", False),
        ("cell@listqa-0.5", False),
        ("poly@listqa", False),
        ("poly@listqa-lora", False),
    ],
)
def test_an_ablations_cell(repository, name, expected):
    assert (ablation_of(name, declared(repository)) is not None) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages: []\n", "stages is a list"),
        ("stages: {a: 3}\n", "stage a: 3"),
        ("stages: {a: {cmd: 'x ${nothing}'}}\n", r"\$\{nothing\} stands for nothing"),
        ("stages: {a: {matrix: {d: '${domains}'}, cmd: 'x ${item.e}'}}\n", r"\$\{item\.e\} stands for nothing"),
    ],
)
def test_what_it_does_not_know_it_refuses(repository, text, message):
    (repository / "dvc.yaml").write_text(text)
    with pytest.raises(DataError, match=message):
        declared(repository)


def test_a_missing_file_is_named(repository):
    shutil.move(repository / "params.yaml", repository / "other.yaml")
    with pytest.raises(Exception, match=r"params\.yaml: file not found"):
        declared(repository)
