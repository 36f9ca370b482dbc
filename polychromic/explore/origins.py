"""Where what the page shows is from: what `polychromic trace` says of the files behind it, by the files that lie here.

A stage's page cannot read dvc.lock, which records it: hashes are of what lies here, and stages are those that params.yaml declares
(Workspace.as_locked). For the same reason the commit is not in it; `polychromic release` and `polychromic explore --out` write it in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from polychromic.base.io import dumps
from polychromic.provenance.workspace import Workspace, evidence


class Origins:
    """Of `files` of results/, relative to the workspace `root`, and of the cells behind them."""

    def __init__(self, root: Path, files: Iterable[str]):
        self._here = Workspace(root)
        self._lock = self._here.as_locked(files)

    def of_file(self, path: str) -> dict[str, Any]:
        """ "file", "md5", the "stage" that makes it and its "command"; what it rests on: "data" (path -> md5), how many "stages", and one
        hash of their commands and parameters, "params"."""
        maker = self._lock.producers.get(path)
        found = evidence(self._lock, None, [path])
        about = {"file": path, "md5": self._here.md5(self._here.folder / path), "stage": maker and maker.name}
        rests = {"data": found["data"], "stages": len(found["stages"]), "params": found["params_hash"]}
        return about | {"command": maker and maker.cmd} | rests

    def of_cells(self, cells: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Of "cells" of drafts.json.gz: {"shared": parameters that all of them declare alike, "cells": label -> "cell", "file", "md5",
        "seed", "stage", and its other "params"}, by dotted key."""
        makers = {label: self._lock.producers.get(cell["file"]) for label, cell in cells.items()}
        declared = {
            label: {key: value for values in maker.params.values() for key, value in values.items()} if maker else {}
            for label, maker in makers.items()
        }
        first = next(iter(declared.values()), {})
        same = lambda key: all(key in one and dumps(one[key]) == dumps(first[key]) for one in declared.values())
        shared = {key: value for key, value in first.items() if same(key)}
        own = lambda label: {key: value for key, value in declared[label].items() if key not in shared}
        about = {label: dict(cell) | {"stage": makers[label] and makers[label].name, "params": own(label)} for label, cell in cells.items()}
        return {"shared": shared, "cells": about}
