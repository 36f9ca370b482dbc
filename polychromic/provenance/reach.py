"""Which files of the package a stage's command can use, and so must be among its deps: `verify` and the tests of dvc.yaml ask alike.

A dep that is missing would make `dvc repro` keep stale results.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from polychromic.data.domains import domain_names
from polychromic.provenance.declared import Declared
from polychromic.provenance.walk import PACKAGE, Package, Part, Symbol

DOMAIN_MODULES = tuple(f"domains.{name}" for name in domain_names())
SANDBOX = tuple(f"sandbox.{name}" for name in ("child", "isolate", "run", "serve", "session"))
# Modules that change no number, and what is reached through them does not either.
EXCLUDED = {
    "__init__": "the version",
    "cli": "parses and calls; the command line stands in the stage",
    "cli_oneoff": "the practitioner's commands, which no stage runs",
    "cli_stages": "parses and calls, as cli does",
    "cli_test": "parses and calls, as cli does",
    "declared": "types of what the stage declares under params",
    "errors": "messages",
    "io": "the files' outer form (JSON, gzip); every number passes through unchanged",
    "options": "refuses a command line, or lets the stage be",
    "params": "types of what the stage declares under params",
    "paths": "names of the files that the stage declares as deps and outs",
    "process": "locks and signals",
    "progress": "a bar on stderr",
    "sealed": "refuses to run, or lets the stage be",
}
# Reached by name but without influence on this stage's files.
WITHOUT_INFLUENCE = {
    "split": {
        module: "looks up whether the domain exists"
        for module in ("domains", "domains.base", "domains.text", *DOMAIN_MODULES, "data.code.names", *SANDBOX)
    },
}
# `polychromic report` writes them all; the stage's own function is where the walk starts.
REPORTS = {
    "report": ("report.build", "build"),
    "audit": ("report.audit", "build_audit"),
} | {name: ("report.build", f"build_{name}") for name in ("costs", "designs", "people", "setup", "summary", "provenance")}
PROMPTS = f"{PACKAGE}/prompts.yaml"  # declared by key, under params
OF_STAGES = ("cli_stages", "cli_test")  # the modules whose commands dvc.yaml runs
DATA_FILES = (".txt", ".toml", ".json", ".sty", ".yaml")


def command_of(cmd: str) -> str | None:
    """The command of `python -m polychromic COMMAND ...`, None for another program."""
    found = re.fullmatch(rf"python -m {PACKAGE} ([\w-]+)( .*)?", cmd)
    return found[1] if found else None


def function_of(code: Package, command: str) -> tuple[str, ast.stmt] | None:
    """Module and definition of a command that dvc.yaml may run; None for one that it may not."""
    name = command.replace("-", "_")
    return next(((module, *code.definitions(module)[name]) for module in OF_STAGES if name in code.definitions(module)), None)


def reach(code: Package, group: str, command: str, domain: str | None) -> tuple[frozenset[Symbol], tuple[Part, ...]]:
    """What the command of the stage `group` of dvc.yaml can use for a domain: symbols, and the statements that define them."""
    if group in REPORTS:
        return code.walk([REPORTS[group]], domain, frozenset(EXCLUDED))
    module, function = function_of(code, command)
    seen, statements = code.walk(list(code.body_uses(module, function)), domain, frozenset(EXCLUDED))
    return seen, ((module, function), *statements)


def files_named(code: Package, parts: tuple[Part, ...]) -> set[str]:
    """Files of the package that are not modules and that the code names in a string."""
    names = {path.name: path for path in (code.root / PACKAGE).rglob("*") if path.suffix in DATA_FILES}
    texts = {text for _, statement in parts for text in code.texts_of(statement)}
    return {names[text].relative_to(code.root).as_posix() for text in texts & names.keys()}


def missing_deps(code: Package, stages: Iterable[Declared]) -> dict[str, list[str]]:
    """Stage -> files of the package that its command can use and that are none of its deps; stages that lack none are left out."""
    needed: dict[tuple, set[str]] = {}
    found = {}
    for stage in stages:
        command = command_of(stage.cmd)
        if command is None or function_of(code, command) is None:
            continue  # another program, of which nothing is known
        key = (REPORTS.get(stage.group, stage.group if stage.group in WITHOUT_INFLUENCE else command), stage.domain)
        if key not in needed:
            symbols, parts = reach(code, stage.group, command, stage.domain)
            free = EXCLUDED.keys() | WITHOUT_INFLUENCE.get(stage.group, {}).keys()
            needed[key] = {code.path_of(module) for module, _ in symbols if module not in free} | files_named(code, parts)
        if missing := sorted(needed[key] - {PROMPTS} - set(stage.deps)):
            found[stage.name] = missing
    return found
