"""docs/reproduce.md: each command is parsed by the program it is for, each make target resolves, each stage it names is there."""

from __future__ import annotations

import re
import shlex

import pytest
from dvc.cli.parser import get_main_parser
from ruamel.yaml import YAML
from typer.main import get_command

from polychromic.cli.app import app
from polychromic.params import Params, read_yaml
from polychromic.pipeline.stages import stages
from tests import page_tools as pages

PAGE, DOCKERFILE = pages.read("reproduce.md"), (pages.REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
MAKEFILE = (pages.REPOSITORY / "Makefile").read_text(encoding="utf-8")
SPANS = [span for span in re.findall(r"`([^`\n]+)`", PAGE) if span.startswith(("make ", "dvc ", "polychromic ", "docker ", "git "))]
COMMANDS = sorted({*pages.commands(PAGE), *SPANS})
DOCKER = {"build": {"-t"}, "run": {"--rm", "-v"}}


def test_commands_are_found():
    assert len(pages.commands(PAGE)) == 8 and {"make reproduce JOBS=2", "git checkout dvc.lock"} < set(COMMANDS)


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_is_understood(line):
    """Parsed as the program does, options and types included; nothing is run."""
    program, *arguments = shlex.split(line.removeprefix("POLYCHROMIC_CACHE=.work/again "))
    if program == "make":
        assert arguments[0] in re.search(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE)[1].split()
        assert {word.partition("=")[0] for word in arguments[1:]} <= set(re.findall(r"^(\w+) \?=", MAKEFILE, re.MULTILINE))
    elif program == "dvc":
        assert set(getattr(get_main_parser().parse_args(arguments), "targets", [])) <= set(stages(pages.REPOSITORY))
    elif program == "polychromic":
        chosen = get_command(app).commands[arguments[0]]
        if arguments[1:] or not any(parameter.required for parameter in chosen.params):
            chosen.make_context(*arguments[:1], arguments[1:])
    elif program == "docker":
        assert {word for word in arguments[1:] if word.startswith("-")} <= DOCKER[arguments[0]]
    else:
        assert program in ("git", "md5sum", "source") and arguments


def test_the_larger_model_is_one_that_params_yaml_takes():
    (block,) = pages.blocks(PAGE, "yaml")
    values = read_yaml(pages.REPOSITORY / "params.yaml")
    for key, changed in YAML(typ="safe").load(block).items():
        assert key == "model" or set(changed) <= set(values[key])
        values[key] = changed if key == "model" else values[key] | changed
    params = Params.model_validate(values)
    assert str(params.model).startswith("Qwen/Qwen3-8B@") and params.train.precision == "bfloat16"


def test_the_image_holds_what_the_page_says():
    assert re.search(r"^WORKDIR (\S+)", DOCKERFILE, re.MULTILINE)[1] + "/release" in PAGE and 'CMD ["make", "paper"]' in DOCKERFILE
    assert set(re.search(r"LATEX_PACKAGES := (.*)", MAKEFILE)[1].split()) <= set(DOCKERFILE.split())
    ignored = (pages.REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".venv", ".dvc/cache", ".dvc/config.local", "results"} <= set(ignored) and not {".git", "store", "dvc.lock"} & set(ignored)
