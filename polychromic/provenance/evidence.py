"""What a value rests on: data, parameters and code, over all stages from the inputs to its record, as three short hashes.

The same function serves dvc.lock (`trace`) and the working tree (the appendix of the paper); it reads no file itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from polychromic.base.io import dumps
from polychromic.provenance.lock import File, Lock, Stage

DIGITS = 8


@dataclass(frozen=True)
class Evidence:
    """The inputs of a value.

    Attributes:
        stages: those that ran for it, inputs first; the last one made its record.
        data: the files it was computed from that no stage makes: curated data, and timings or simulations of benchmarks/.
        code: the modules and package files that these stages declare, and the pinned versions where they do.
        params_hash, code_hash: first digits of one md5 over the stages' commands and parameters, and over paths and hashes of `code`.
    """

    stages: tuple[Stage, ...]
    data: tuple[File, ...]
    code: tuple[File, ...]
    params_hash: str
    code_hash: str

    def data_text(self) -> str:
        """ "listqa.jsonl a1dd6874", several joined by commas; "" where no data are behind the value, as for a parameter."""
        return ", ".join(f"{file.path.rpartition('/')[2]} {(file.md5 or '?')[:DIGITS]}" for file in self.data)


def is_code(path: str) -> bool:
    """Whether an input that no stage makes is code (or a package file, or the pins), not data."""
    return path.startswith("polychromic/") or path.endswith((".py", ".lock", ".yaml"))


def evidence(lock: Lock, maker: Stage | None, sources: Iterable[str]) -> Evidence:
    """What a record rests on.

    Args:
        maker: the stage that wrote the record; its code and parameters count. None for a record that no stage makes.
        sources: the files that the record names. One that a stage made counts with everything that this stage is built on; of
            `maker`'s other inputs only code counts: a cost that was read from timings does not rest on the scores beside them.
    """
    chain: dict[str, Stage] = {}
    data: dict[str, File] = {}
    for path in sources:
        if producer := lock.producer(path):
            chain |= {stage.name: stage for stage in [*lock.upstream(producer), producer]}
        elif maker and (given := maker.dep(path)) and not is_code(path):
            data[path] = given
    stages = [*chain.values(), *([maker] if maker and maker.name not in chain else [])]
    code: dict[str, File] = {}
    for stage in stages:
        for dep in stage.deps:
            if lock.producer(dep.path) is None:
                if is_code(dep.path):
                    code[dep.path] = dep
                elif stage.name in chain:
                    data[dep.path] = dep
    return Evidence(
        tuple(stages),
        tuple(data[path] for path in sorted(data)),
        tuple(code[path] for path in sorted(code)),
        params_hash(stages),
        _digest([[path, code[path].md5] for path in sorted(code)]) if code else "",
    )


def params_hash(stages: Sequence[Stage]) -> str:
    """Of commands and parameters, whatever the order of the stages; "" without stages."""
    entries = {stage.name: [stage.cmd, {file: dict(values) for file, values in stage.params.items()}] for stage in stages}
    return _digest(entries) if entries else ""


def _digest(value: object) -> str:
    return hashlib.md5(dumps(value).encode(), usedforsecurity=False).hexdigest()[:DIGITS]
