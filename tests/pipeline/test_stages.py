"""dvc.yaml is what params.yaml, the imports and main.tex make it; DVC reads it as polychromic.pipeline.stages says; deps hold the code."""

import json
import re
import subprocess
import sys
from functools import partial

import pytest

from polychromic.data.domains import domain_names
from polychromic.params import read_yaml
from polychromic.pipeline import imports
from polychromic.pipeline.run import upstream
from polychromic.pipeline.stages import PIPELINE, stages, to_yaml
from polychromic.pipeline.workspace import round_trip_yaml
from tests.pipeline_tools import declared_stages, link_sources
from tests.workspace import REPOSITORY

STAGES = stages(REPOSITORY)
EXPANDED = """
import json, sys
from dvc.repo import Repo
from dvc.stage.params import StageParams
found = {}
for stage in Repo(sys.argv[1]).index.stages:
    if stage.cmd:
        params = {dep.def_path: sorted(dep.params) for dep in stage.params}
        deps = sorted(dep.def_path for dep in stage.deps if dep not in stage.params)
        found[stage.addressing] = [stage.cmd, deps, {out.def_path: out.use_cache for out in stage.outs}, params]
print(json.dumps(found))
"""


@pytest.fixture
def sources(tmp_path):
    link_sources(tmp_path)
    return tmp_path


@pytest.fixture
def declared(sources):
    """declared_stages in that folder."""
    return partial(declared_stages, sources)


def test_the_committed_pipeline_is_the_printed_one_and_short(command, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert command("pipeline", "--check")[0] == 0
    assert len((REPOSITORY / PIPELINE).read_text().splitlines()) <= 700


def test_dvc_reads_it_as_the_stages_say():
    done = subprocess.run([sys.executable, "-c", EXPANDED, str(REPOSITORY)], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found.keys() == STAGES.keys()
    for name, stage in STAGES.items():
        cmd, deps, outs, params = found[name]
        assert (cmd, deps, outs) == (stage.cmd, sorted(stage.deps), dict(stage.outs)), name
        assert params == {file: sorted(keys) for file, keys in stage.params.items()}, name


def test_each_dep_exists_or_somebody_makes_it_and_each_parameter_is_one():
    made = {path for stage in STAGES.values() for path in stage.outs}
    assert len(made) == sum(len(stage.outs) for stage in STAGES.values()), "a file with two makers"
    for stage in STAGES.values():
        for dep in stage.deps:
            there = dep in made or dep.startswith("data") or (REPOSITORY / dep).exists()
            assert there or any(path.startswith(f"{dep}/") for path in made), (stage.name, dep)
        for file, keys in stage.params.items():
            for key in keys:
                place = read_yaml(REPOSITORY / file)
                for part in key.split("."):
                    assert part in place, (stage.name, key)
                    place = place[part]


def test_a_stage_reads_its_own_domain_and_no_other():
    for stage in STAGES.values():
        own = stage.axes.get("domain")
        seen = {name for name in domain_names() if f"polychromic/data/domains/{name}" in stage.deps}
        assert seen <= {own}
        assert own in seen or not re.match("prompted|tuned|checked|polychromic|cells|score|examples|drafts", stage.group)


def test_imports_lead_to_what_changes_numbers_and_to_nothing_else():
    split, cell, score, compare = (imports.code_deps(REPOSITORY, entry, domain) for entry, domain in (
        ("data.split", None), ("sample.cells", "code"), ("score.score", "listqa"), ("compare.compare", None)))  # fmt: skip
    assert {"polychromic/data/split.py", "polychromic/data/seen_words.txt"} <= set(split) and "polychromic/train" not in split
    assert {f"polychromic/{name}" for name in ("train", "method", "models", "sample", "base/seeds.py", "data/domains/code")} <= set(cell)
    assert not {"polychromic/score", "polychromic/compare"} & set(cell)
    assert "polychromic/score" in score and not {"polychromic/train", "polychromic/compare"} & set(score)
    assert "polychromic/compare" in compare and not {"polychromic/train", "polychromic/score", "polychromic/models"} & set(compare)
    for module in imports.WITHOUT_INFLUENCE:
        assert imports._file(REPOSITORY, module), module


def test_no_stage_about_test_reads_a_choice(declared):
    """Another headline weight, and what dev says then, must leave test alone: neither is in a dep or a parameter, however far back."""
    found = declared()
    needs, seen = upstream(found), set()
    pending = [name for name, stage in found.items() if stage.axes.get("split") == "test"]
    assert {found[name].axes["domain"] for name in pending} == set(domain_names())
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending += needs[name]
    assert {found[name].group.partition("-")[0] for name in seen if found[name].axes.get("split") != "test"} == {"split", "norms"}
    for name in seen:
        keys = {key for keys in found[name].params.values() for key in keys}
        assert not {"lambda", "seeds", "analysis"} & keys, name
    others = [name for name, stage in found.items() if name not in seen and stage.axes.get("split")]
    assert others and not [dep for name in others for dep in found[name].deps if "/test/" in dep]


def test_a_domain_without_a_plan_has_no_stage_about_test(declared, sources):
    """Nor does any stage read what such a one would make, the tables and figures that the paper would show included."""
    about = lambda stage: {*stage.outs, *stage.deps, stage.cmd, *(key for keys in stage.params.values() for key in keys)}
    said_of = lambda found: {name: " ".join(about(stage)) for name, stage in found.items()}
    of_test = lambda found: {name: said for name, said in said_of(found).items() if "test" in re.split(r"\W", said)}
    everywhere = of_test(declared())
    named = lambda found: {domain for domain in domain_names() if any(domain in re.split(r"[\W_]", said) for said in found.values())}
    assert named(everywhere) == set(domain_names()) and {"cells-test@code-lora", "score-test-code", "report-test@code"} <= everywhere.keys()
    found = of_test(declared(lambda values: values["analysis"]["test"].pop("code")))
    of_code = re.compile(r"(cells|score|compare|report)-test.code|drafts-code")
    assert everywhere.keys() - found.keys() == {name for name in everywhere if of_code.match(name)}
    said = " ".join(found.values()) + to_yaml(sources)
    for path in ("results/code/test", "analysis.test.code", "tables/code-test", "figures/code-test"):
        assert path in " ".join(everywhere.values()) and path not in said, path
    assert of_test(declared(lambda values: values["analysis"]["test"].clear())) == {}
    assert "/test/" not in to_yaml(sources) and "-test" not in to_yaml(sources)


def test_the_paper_depends_on_what_it_reads(declared):
    """Of what it would show of test that is not opened, and of drafts beside people that nobody drew, there is no maker, and so no dep."""
    read = imports.read_by_paper(REPOSITORY)
    assert {"paper/main.tex", "paper/refs.bib", "paper/numbers.tex", "paper/tables/listqa-test.tex"} <= set(read)
    for found in (declared(), STAGES):
        made = {path for stage in found.values() for path in stage.outs}
        written = {"paper/main.tex", "paper/numbers.sty", "paper/refs.bib"}
        absent = {path for path in read if "-test" in path or path == "paper/tables/people.tex"} if found is STAGES else set()
        assert set(read) - made - absent == written
        covered = lambda path, deps=found["paper"].deps: any(path == dep or path.startswith(f"{dep}/") for dep in deps)
        assert all(covered(path) for path in read)
        own = set(found["provenance"].outs)
        assert (set(read) - own) & (made | written) <= set(found["provenance"].deps)
        assert not set(found["provenance"].deps) & (set(read) - made - written)


@pytest.fixture
def changed(sources):
    """change(edit) -> the stages of the repository with another params.yaml, and the lines in which dvc.yaml differs."""

    def change(edit) -> tuple[set[str], set[str]]:
        yaml = round_trip_yaml()
        values = yaml.load(REPOSITORY / "params.yaml")
        edit(values)
        yaml.dump(values, sources / "params.yaml")
        found = stages(sources)
        assert to_yaml(sources).count("\n") >= 400
        same = {name for name in found.keys() & STAGES.keys() if found[name] == STAGES[name]}
        return found.keys() - STAGES.keys(), found.keys() - same

    return change


def test_one_entry_adds_a_method(changed):
    def edit(values):
        values["methods"]["sharper"] = {**values["methods"]["dco"], "settings": {"n": 5}, "domains": ["listqa"]}

    new, touched = changed(edit)
    assert new == {"tuned-dev@listqa-sharper"}
    assert touched == new | {"score-dev-listqa", "compare-dev-listqa", "drafts-listqa"}


def test_one_entry_adds_a_weight_and_a_seed_adds_no_stage(changed):
    new, touched = changed(lambda values: values["creative"]["lambdas"].append(99.0))
    reading = {f"{stage}-creative" for stage in ("score-dev", "compare-dev", "examples", "drafts")}
    assert new == {"polychromic-dev-creative@99.0"} and touched - new == reading
    assert changed(lambda values: values["seeds"].append(3)) == (set(), set())


def test_a_judge_takes_part_where_answers_are_recorded_and_touches_no_cell(declared, sources):
    """What test and dev have stays as it is: only the judge's own stage is new, and only what prints its results reads them."""

    def paired(values) -> None:
        plan = values["analysis"]["test"]["replies"]
        plan["systems"]["rft"] = plan["systems"]["lora"]
        values["judge"]["pairs"] = {"replies": [f"polychromic - {name}" for name in ("lora", "rft", "zero_shot")]}

    before = declared(paired)
    assert "judge" not in before and not [name for name, stage in before.items() if "judge/" in str(stage.deps)]
    (sources / "judge").mkdir()
    (sources / "judge" / "declared.json").write_text('{"models": [], "people": ["anna"]}')
    after = stages(sources)
    assert {name for name, stage in after.items() if before.get(name) != stage} == {"judge", "judge-table", "numbers"}
    assert all("results/judge.json" in after[name].deps for name in ("judge-table", "numbers"))
    stage = after["judge"]
    assert stage.cmd.endswith("judge --mode replay") and dict(stage.outs) == {"results/judge.json": True}
    assert {"judge/calls.jsonl.gz", "judge/declared.json", "polychromic/judge", "data/replies.jsonl"} <= set(stage.deps)
    cells = {dep for dep in stage.deps if dep.startswith("results/")}
    assert {f"results/replies/test/{name}/samples.jsonl.gz" for name in ("lora", "rft", "polychromic-3.0", "zero_shot")} == cells
    assert cells <= {path for one in before.values() for path in one.outs}
    assert not {"polychromic/train", "polychromic/models"} & set(stage.deps)
