"""params.yaml: what is accepted, and that every mistake is one message with key, value and remedy."""

from __future__ import annotations

import copy

import pytest
from ruamel.yaml import YAML

from polychromic.errors import UsageError
from polychromic.params import Params, load_params, read_yaml
from tests.workspace import REPOSITORY, write_params


@pytest.fixture(scope="module")
def original() -> dict:
    return read_yaml(REPOSITORY / "params.yaml")


def change(values: dict, key: str, value) -> dict:
    """A copy with values[a][b] = value for key "a.b"."""
    values = copy.deepcopy(values)
    at = values
    *path, last = key.split(".")
    for part in path:
        at = at[int(part)] if isinstance(at, list) else at[part]
    at[int(last) if isinstance(at, list) else last] = value
    return values


def message(tmp_path, values: dict) -> str:
    path = write_params(tmp_path, values)
    with pytest.raises(UsageError) as error:
        load_params(path)
    assert error.value.exit_code == 2
    assert str(error.value).startswith(f"{path}: ") and "Fix these keys" in str(error.value)
    return str(error.value)


def test_the_repository_s_file_is_valid_and_read_as_written(original):
    params = load_params(REPOSITORY / "params.yaml")
    assert params.lam == original["lambda"]
    assert params.train.learning_rate == 5e-4, "YAML 1.2 reads 5e-4 as a number"
    assert params.domain("replies") is params.replies
    dumped = params.model_dump(mode="json", by_alias=True)
    assert dumped["lambda"] == params.lam and Params.model_validate(dumped) == params


def test_values_are_frozen(original):
    params = Params.model_validate(original)
    with pytest.raises(Exception, match="frozen"):
        params.lam = 1.0
    with pytest.raises(Exception, match="frozen"):
        params.train.batch_size = 4


@pytest.mark.parametrize(
    ("key", "value", "fragments"),
    [
        ("lambda", "abc", ["lambda: ", "valid number", "'abc'"]),
        ("lambda", -1.0, ["lambda: ", "greater than or equal to 0", "-1.0"]),
        ("lambda", None, ["lambda: ", "valid number", "None"]),
        ("lambda", True, ["lambda: ", "valid number", "True"]),
        ("seeds", [0, -1], ["seeds.1: ", "greater than or equal to 0", "-1"]),
        ("seeds", [0, 1.5], ["seeds.1: ", "valid integer", "1.5"]),
        ("seeds", [2**31], ["seeds.0: ", "less than 2147483648", "2147483648"]),
        ("seeds", [], ["seeds: ", "at least 1 item", "[]"]),
        ("seeds", [3, 1, 3], ["seeds: ", "a value twice", "[3, 1, 3]"]),
        ("seeds", "0", ["seeds: ", "valid list", "'0'"]),
        ("domains", ["listqa", "listqa"], ["domains: ", "a value twice"]),
        ("domains", ["poems"], ["domains.0: ", "'listqa' or 'replies'", "'poems'"]),
        ("listqa.temperatures", [1.0, 1.0], ["listqa.temperatures: ", "a value twice"]),
        ("listqa.temperatures", [-0.5], ["listqa.temperatures.0: ", "-0.5"]),
        ("listqa.rollouts.share", 0.0, ["listqa.rollouts.share: ", "greater than 0", "0.0"]),
        ("listqa.rollouts.share", 1.01, ["listqa.rollouts.share: ", "1.01"]),
        ("listqa.sizes.test", 0, ["listqa.sizes.test: ", "greater than or equal to 1"]),
        ("methods.lora.adapter", "dora", ["methods.lora.adapter: ", "'none' or 'lora'", "'dora'"]),
        ("methods.zero_shot.objective", "coverage", ["methods.zero_shot: ", "needs adapter: lora"]),
        ("methods.lora.lam", 1.0, ["methods.lora: ", "belongs to methods with an objective"]),
        ("methods.polychromic.lam", "lamda", ["methods.polychromic.lam", "'lamda'"]),
        ("methods.polychromic.lam", -0.5, ["methods.polychromic.lam", "-0.5"]),
        ("train.precision", "float16", ["train.precision: ", "'float32' or 'bfloat16'", "'float16'"]),
        ("train.batch_size", 1, ["train.batch_size: ", "greater than or equal to 2"]),
        ("lora.target_modules", ["q_proj", "q_proj"], ["lora.target_modules: ", "a value twice"]),
        ("analysis.confidence", 1.0, ["analysis.confidence: ", "less than 1"]),
        ("analysis.split", "train", ["analysis.split: ", "'dev' or 'test'", "'train'"]),
        ("analysis.contrasts.0.a", "dora", ["analysis.contrasts names 'dora'", "zero_shot"]),
        ("model.sha256", "123", ["model.wheel.sha256", "'123'"]),
        ("model.source", "floppy", ["model", "'floppy'"]),
    ],
)
def test_a_bad_value_is_refused_with_its_key_and_value(key, value, fragments, original, tmp_path):
    text = message(tmp_path, change(original, key, value))
    for fragment in fragments:
        assert fragment in text
    assert "1 error(s)" in text or key.startswith("methods.polychromic.lam"), "a union says why each of its forms does not fit"


@pytest.mark.parametrize("key", ["lambda", "train.learning_rate", "lora.alpha", "listqa.temperatures.0", "train.weight_decay"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused(key, value, original, tmp_path):
    assert key in message(tmp_path, change(original, key, value))


def test_a_misspelt_key_is_named_with_the_one_that_lacks(original, tmp_path):
    values = copy.deepcopy(original)
    values["train"]["learning_rat"] = values["train"].pop("learning_rate")
    text = message(tmp_path, values)
    assert "train.learning_rat: no such key (misspelt?)" in text
    assert "train.learning_rate: missing" in text
    assert "2 error(s)" in text


def test_several_mistakes_are_reported_at_once(original, tmp_path):
    values = change(change(change(original, "lambda", "abc"), "seeds", [-1]), "sampling.n", 0)
    values["sead"] = 3
    del values["few_shot"]
    text = message(tmp_path, values)
    assert "5 error(s)" in text
    for line in ("  lambda: ", "  seeds.0: ", "  sampling.n: ", "  sead: no such key", "  few_shot: missing"):
        assert f"\n{line}" in text


def test_a_missing_baseline_is_named(original, tmp_path):
    for name in ("zero_shot", "few_shot", "lora", "polychromic"):
        values = copy.deepcopy(original)
        del values["methods"][name]
        assert f"methods lacks {name}; the four baselines are always there" in message(tmp_path, values)


def test_long_values_are_cut(original, tmp_path):
    text = message(tmp_path, change(original, "lambda", "x" * 5000))
    assert len(text) < 500 and "xxx..." in text


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        ("lambda: [1, 2\nseeds: 3\n", [":2:", "not YAML"]),
        ("lambda: 1.0\nlambda: 2.0\n", ["not YAML", "duplicate key"]),
        ("- a\n- b\n", ["holds a list", "git checkout"]),
        ("", ["holds a NoneType"]),
        ("a: \t\tb: c", [":1:", "not YAML"]),
    ],
)
def test_a_file_that_is_no_mapping_in_yaml_is_refused(content, fragments, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(UsageError) as error:
        load_params(path)
    for fragment in [str(path), *fragments]:
        assert fragment in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.yaml: file not found.*--params"):
        load_params(tmp_path / "nowhere.yaml")


def test_sections_of_the_file_are_those_of_the_type(original):
    """A section that params.py has and the file lacks, or the other way round, would fail; so would a comment that is gone."""
    assert set(original) == {field.alias or name for name, field in Params.model_fields.items()}
    commented = YAML().load(REPOSITORY / "params.yaml")
    assert commented.ca.comment is not None
