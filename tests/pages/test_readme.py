"""README and docs/reproduce.md: each command is parsed by the program it is for; the table, the loss and the map are the repository's; and
every link of every page leads somewhere."""

import re
import shlex

import pytest
from dvc.cli.parser import get_main_parser
from ruamel.yaml import YAML
from typer.main import get_command

from polychromic.cli.app import app
from polychromic.params import Params, read_yaml
from polychromic.pipeline.stages import stages
from polychromic.report.paper import readme_results, with_results
from tests import page_tools as pages

REPOSITORY = pages.REPOSITORY
README, MAKEFILE, DOCKERFILE = ((REPOSITORY / name).read_text(encoding="utf-8") for name in ("README.md", "Makefile", "Dockerfile"))
REPRODUCE = pages.read("reproduce.md")
PAGES = [REPOSITORY / "README.md", REPOSITORY / "DATA.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
MODEL = ("polychromic doctor", "polychromic train listqa polychromic --lam 3.0 --seed 0 --out my-adapter")
SPANS = re.findall(r"`((?:make|dvc|polychromic|docker|git) [^`\n]+)`", REPRODUCE) + re.findall(r"`(make [a-z-]+)", README)
COMMANDS = sorted({*pages.commands(README), *pages.commands(REPRODUCE), *SPANS})
assert len(pages.commands(REPRODUCE)) == 8 and {"make reproduce JOBS=2", "git checkout dvc.lock", *MODEL} < set(COMMANDS), "all are found"
DOCKER = {"build": {"-t"}, "run": {"--rm", "-v"}}


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_is_understood(line):
    """Parsed as the program does, options and types included; nothing is run."""
    program, *arguments = shlex.split(line.removeprefix("POLYCHROMIC_CACHE=.work/again "))
    if program == "make":
        assert arguments[0] in re.search(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE)[1].split()
        assert f"\n{arguments[0]}:" in MAKEFILE
        assert {word.partition("=")[0] for word in arguments[1:]} <= set(re.findall(r"^(\w+) \?=", MAKEFILE, re.MULTILINE))
    elif program == "dvc":
        assert set(getattr(get_main_parser().parse_args(arguments), "targets", None) or []) <= set(stages(REPOSITORY))
    elif program == "polychromic":
        chosen = get_command(app).commands[arguments[0]]
        if arguments[1:] or not any(parameter.required for parameter in chosen.params):
            chosen.make_context(*arguments[:1], arguments[1:])
    elif program == "docker":
        assert {word for word in arguments[1:] if word.startswith("-")} <= DOCKER[arguments[0]]
    else:
        assert program in ("git", "md5sum", "source") and arguments


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
    if page.stem in ("method", "metric", "own-data", "reproduce"):
        pages.check(page.read_text(encoding="utf-8"))  # one page long


def test_the_table_is_the_pipelines():
    there = (REPOSITORY / "paper" / "tables" / "summary.md").exists()
    assert with_results(README, readme_results(REPOSITORY) if there else "The results of version 2 are being computed.\n") == README


def test_the_map_has_the_loss_as_it_stands_and_every_folder_in_the_order_of_the_flow():
    (loss,) = re.findall(r"`(loss = [^`]+)`", README)
    assert loss in (REPOSITORY / "polychromic" / "train" / "trainer.py").read_text(encoding="utf-8")
    mapped = re.findall(r"^\| \[([a-z]+)(?:\.py)?\]", README, flags=re.MULTILINE)
    assert mapped == re.findall(r"^\| \d+ \| `(\w+)`", pages.read("architecture.md"), flags=re.MULTILINE)


def test_the_larger_model_is_one_that_params_yaml_takes():
    (block,) = pages.blocks(REPRODUCE, "yaml")
    values = read_yaml(REPOSITORY / "params.yaml")
    for key, changed in YAML(typ="safe").load(block).items():
        assert key == "model" or set(changed) <= set(values[key])
        values[key] = changed if key == "model" else values[key] | changed
    params = Params.model_validate(values)
    assert str(params.model).startswith("Qwen/Qwen3-8B@") and params.train.precision == "bfloat16"


def test_the_image_holds_what_the_page_says():
    assert re.search(r"^WORKDIR (\S+)", DOCKERFILE, re.MULTILINE)[1] + "/release" in REPRODUCE and 'CMD ["make", "paper"]' in DOCKERFILE
    assert set(re.search(r"LATEX_PACKAGES := (.*)", MAKEFILE)[1].split()) <= set(DOCKERFILE.split())
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".venv", ".dvc/cache", ".dvc/config.local", "results"} <= set(ignored) and not {".git", "store", "dvc.lock"} & set(ignored)
