"""What a record rests on: its source's stages with all they build on, and of the stage that records it the code alone."""

from polychromic.provenance.evidence import evidence, is_code, params_hash
from polychromic.provenance.lock import File, Lock, Stage


def file(path: str, md5: str | None = "aa") -> File:
    return File(path, md5, 1)


def made(**changes) -> Lock:
    stages = {
        "cell": Stage("cell", "run cell", (file("data/listqa.jsonl", "d1"), file("polychromic/sample/cells.py", "c1")), (file("results/s.gz"),),
                      {"params.yaml": {"seeds": [0, 1]}}),
        "compare": Stage("compare", "compare", (file("results/s.gz"), file("polychromic/compare/stats.py", "c2")), (file("results/compare.json"),)),
        "report": Stage("report", "report",
                        (file("results/compare.json"), file("benchmarks/results/cost.json", "b1"), file("polychromic/labels.py", "c3")),
                        (file("results/numbers.json.gz"),)),
    }  # fmt: skip
    return Lock(stages | changes)


def test_a_result_rests_on_the_chain_behind_it():
    lock = made()
    found = evidence(lock, lock.stages["report"], ["results/compare.json"])
    assert [stage.name for stage in found.stages] == ["cell", "compare", "report"]
    assert found.data == (file("data/listqa.jsonl", "d1"),)
    assert [one.path for one in found.code] == ["polychromic/sample/cells.py", "polychromic/labels.py", "polychromic/compare/stats.py"]
    assert found.data_text() == "listqa.jsonl d1"


def test_a_timing_does_not_rest_on_the_scores_beside_it():
    lock = made()
    found = evidence(lock, lock.stages["report"], ["benchmarks/results/cost.json"])
    assert found.data == (file("benchmarks/results/cost.json", "b1"),) and [stage.name for stage in found.stages] == ["report"]
    both = evidence(lock, lock.stages["report"], ["benchmarks/results/cost.json", "results/compare.json"])
    assert both.data_text() == "cost.json b1, listqa.jsonl d1"


def test_a_parameter_rests_on_no_data():
    lock = made()
    found = evidence(lock, lock.stages["report"], ["params.yaml"])
    assert found.data == () and found.data_text() == "" and found.params_hash


def test_nothing_known_is_nothing_said():
    found = evidence(Lock({}), None, ["results/compare.json"])
    assert (found.stages, found.data, found.code, found.params_hash, found.code_hash) == ((), (), (), "", "")


def test_hashes_follow_content_and_not_order():
    one, two = Stage("a", "x", params={"p": {"k": 1, "l": 2}}), Stage("b", "y")
    assert params_hash([one, two]) == params_hash([two, Stage("a", "x", params={"p": {"l": 2, "k": 1}})])
    assert params_hash([one]) != params_hash([Stage("a", "x", params={"p": {"k": 1, "l": 3}})]) != params_hash([Stage("a", "z")])


def test_code_is_told_from_data():
    assert is_code("polychromic/data/seen_words.txt") and is_code("requirements.lock") and is_code("params.yaml")
    assert not is_code("data/listqa.jsonl") and not is_code("benchmarks/results/cost.json")
