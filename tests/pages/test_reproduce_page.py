"""docs/reproduce.md: each command is parsed by the program it is for, each make target resolves, each file it names is there."""

from __future__ import annotations

import re
import shlex

import pytest
from dvc.cli.parser import get_main_parser
from ruamel.yaml import YAML
from typer.main import get_command

from polychromic.cli.app import app as cli
from polychromic.params import Params, read_yaml
from tests import drawing, pages

PAGE = pages.read("reproduce.md")
PROGRAMS = ("make ", "dvc ", "polychromic ", "docker ", "git ")
SPANS = [span for span in re.findall(r"`([^`\n]+)`", PAGE) if span.startswith(PROGRAMS)]
COMMANDS = sorted({*pages.commands(PAGE), *SPANS})
DOCKER = {"build": {"-t"}, "run": {"--rm", "-v", "--security-opt", "--gpus"}}


def test_commands_are_found():
    assert len(pages.commands(PAGE)) == 8 and {"make reproduce JOBS=2", "git checkout dvc.lock"} < set(COMMANDS)


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_is_understood(line):
    words = shlex.split(line)
    while re.fullmatch(r"[A-Z_]+=\S+", words[0]):
        assert words.pop(0).startswith(("POLYCHROMIC_CACHE=", "CUBLAS_"))
    program, *arguments = words
    if program == "make":
        makefile = (pages.REPOSITORY / "Makefile").read_text(encoding="utf-8")
        targets = re.search(r"^\.PHONY: (.*)", makefile, re.MULTILINE).group(1).split()
        variables = re.findall(r"^(\w+) \?=", makefile, re.MULTILINE)
        assert arguments[0] in targets and all(word.partition("=")[0] in variables for word in arguments[1:])
    elif program == "dvc":
        asked = get_main_parser().parse_args(arguments)
        for target in getattr(asked, "targets", []):
            assert target in stage_addresses()
    elif program == "polychromic":
        understand(arguments)
    elif program == "docker":
        options = {word for word in arguments[1:] if word.startswith("-")}
        assert options <= DOCKER[arguments[0]]
    else:
        assert program in ("git", "md5sum", "source") and arguments


def understand(arguments: list[str]) -> None:
    """Parse as the command line does, options and types included, and run nothing."""
    group = get_command(cli.app)
    name, *rest = arguments
    chosen = group.commands[name]
    if rest == ["--base"]:  # an option that the text names
        assert "--base" in {option for parameter in chosen.params for option in parameter.opts}
        return
    if rest or not any(parameter.required for parameter in chosen.params):
        chosen.make_context(name, rest)


def stage_addresses() -> set[str]:
    """Of stages with a matrix of domain and method."""
    stages, values = YAML(typ="safe").load(pages.REPOSITORY / "dvc.yaml")["stages"], read_yaml(pages.REPOSITORY / "params.yaml")
    found = set()
    for name, stage in stages.items():
        if "matrix" in stage:
            found |= {f"{name}@{'-'.join(v for k, v in item.items() if k.startswith('item.'))}" for item in drawing.items(stage, values)}
    return found


def test_the_larger_model_is_one_that_params_yaml_takes():
    (block,) = pages.blocks(PAGE, "yaml")
    values = read_yaml(pages.REPOSITORY / "params.yaml")
    for key, changed in YAML(typ="safe").load(block).items():
        assert key == "model" or set(changed) <= set(values[key])
        values[key] = changed if key == "model" else values[key] | changed
    params = Params.model_validate(values)
    assert str(params.model).startswith("Qwen/Qwen3-8B@") and params.train.precision == "bfloat16"


def test_the_image_holds_what_the_page_says():
    dockerfile = (pages.REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    folder = re.search(r"^WORKDIR (\S+)", dockerfile, re.MULTILINE).group(1)
    assert f"{folder}/release" in PAGE and 'CMD ["make", "paper"]' in dockerfile
    latex = re.search(r"LATEX_PACKAGES := (.*)", (pages.REPOSITORY / "Makefile").read_text(encoding="utf-8")).group(1).split()
    assert set(latex) <= set(dockerfile.split())
    ignored = (pages.REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".venv", ".dvc/cache", ".dvc/config.local", "results"} <= set(ignored) and not {".git", "store", "dvc.lock"} & set(ignored)


def test_the_page_is_a_page():
    pages.check(PAGE)
