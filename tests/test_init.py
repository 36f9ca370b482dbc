"""The public API: what `import polychromic` gives, and that it costs nothing until it is asked for."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import polychromic
from polychromic.base.errors import PolychromicError
from polychromic.base.io import write_jsonl
from polychromic.method.sets import SetObjectiveConfig
from polychromic.train.trainer import PolychromicTrainer
from tests import page_tools as pages

ROW = {"prompt": "Name a fruit.", "samples": ["apple", "Apple.", "pear", "stone"], "valid": ["apple", "pear"]}
ROWS = [ROW | {"id": str(number)} for number in range(3)]


def test_public_names_are_those_of_the_package_and_others_are_refused():
    assert polychromic.PolychromicTrainer is PolychromicTrainer and polychromic.SetObjectiveConfig is SetObjectiveConfig
    assert all(getattr(polychromic, name).__doc__ for name in polychromic.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Trainer'; its public names: PolychromicTrainer, SetObjectiveConfig, evaluate"):
        polychromic.Trainer  # noqa: B018


def test_the_import_takes_no_torch():
    code = "import sys, polychromic, polychromic.yours.evaluate.inputs, polychromic.params; assert polychromic.__version__;"
    code += "print({'torch', 'transformers', 'pandas'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_evaluate_takes_rows_or_files(tmp_path):
    """Of [apple, Apple., pear] two answers are valid and distinct, and the first one of four is right."""
    found = polychromic.evaluate(ROWS, ["pass@1", "valid_distinct@4"], bootstrap=200)
    (system,) = found["systems"]
    values = {name: (value["mean"], value["low"], value["high"]) for name, value in system["metrics"].items()}
    assert values == {"pass@1": (0.75, 0.75, 0.75), "valid_distinct@4": (2.0, 2.0, 2.0)} and system["n_prompts"] == 3
    write_jsonl(tmp_path / "samples.jsonl", ROWS)
    assert polychromic.evaluate([tmp_path / "samples.jsonl"], ["pass@1", "valid_distinct@4"], bootstrap=200) == found
    with pytest.raises(PolychromicError, match="row 1.*no column 'samples'"):
        polychromic.evaluate([ROWS[0], {"id": "2", "prompt": "a"}])


def test_the_page_s_second_example_runs(capsys):
    (block,) = re.findall(r"^```py\n(.*?)^```", pages.read("library.md"), flags=re.DOTALL | re.MULTILINE)
    exec(block, {})  # noqa: S102
    assert capsys.readouterr().out.strip() == "1.75"
