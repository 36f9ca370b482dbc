"""params.yaml: what is accepted, and that every mistake is one message with key, value and remedy."""

from __future__ import annotations

import copy

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from polychromic.base.errors import UsageError
from polychromic.data.domains import domain_names
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
        ("domains", ["poems"], ["domains.0: ", "'creative', 'listqa' or 'replies'", "'poems'"]),
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
        ("analysis.split", "test", ["analysis.split: no such key (misspelt?)"]),
        ("analysis.contrasts.0.a", "dora", ["analysis.contrasts names 'dora'", "zero_shot"]),
        # what belongs together
        (
            "analysis.endpoints.listqa.primary",
            "valid@10",
            ["analysis.endpoints.listqa.primary is 'valid@10', which is not among its metrics: pass@1, "],
        ),
        (
            "analysis.endpoints.replies.quality",
            "valid_distinct@10",
            ["analysis.endpoints.replies.quality is 'valid_distinct@10', which is not"],
        ),
        ("analysis.endpoints", {"listqa": {"primary": "pass@10", "quality": "pass@1"}}, ["analysis.endpoints lacks replies"]),
        ("analysis.estimand", "all_seeds", ["analysis.estimand: ", "'declared_seeds'", "'all_seeds'"]),
        ("analysis.contrasts.0.rule", "best", ["analysis.contrasts.0.rule: ", "'matched' or 'chosen'", "'best'"]),
        ("methods.lora_min_p.temperatures", {"listqa": [1.0, 1.0]}, ["methods.lora_min_p.temperatures.listqa: ", "a value twice"]),
        ("methods.lora_min_p.temperatures", {"poems": [1.0]}, ["temperatures.poems", "'creative', 'listqa' or 'replies'"]),
        ("methods.few_shot.learning_rate", 1e-3, ["methods.few_shot: ", "learning_rate needs adapter: lora"]),
        ("methods.lora_low_rate.learning_rate", 0.0, ["methods.lora_low_rate.learning_rate: ", "greater than 0"]),
        ("listqa.metrics", [], ["listqa.metrics: ", "at least 1 item"]),
        ("methods.gem.rollouts", {"share": 0.5}, ["methods.gem: ", "rollouts: only for methods with an objective"]),
        ("methods.lora.subset", 2, ["methods.lora: ", "subset: only for methods with an objective"]),
        ("methods.lora.baseline", "marginal", ["methods.lora: ", "baseline: only for methods with an objective"]),
        ("methods.gated.baseline", "rloo", ["methods.gated.baseline: ", "'marginal'", "'rloo'"]),
        (
            "methods.passk",
            {"prompt": "zero_shot", "objective": "passk", "adapter": "lora", "lam": 3.0, "subset": 8, "baseline": "leave_one_out"},
            ["methods.passk: ", "leave_one_out scores sets of N - 1 = 7 replies", "8"],
        ),
        ("methods.gem.seeds", 0, ["methods.gem.seeds: ", "greater than or equal to 1"]),
        ("methods.gem.settings", {}, ["methods.gem: ", "loss gem: beta is missing (beta > 0)"]),
        ("methods.gem.settings", {"beta": 0.0}, ["methods.gem: ", "beta is 0.0; allowed: beta > 0"]),
        ("methods.gem.settings", {"beta": 0.7, "gamma": 1.0}, ["methods.gem: ", "gamma is not a setting of gem; its settings: beta"]),
        ("methods.tofu.settings", {"gama": 3.0}, ["beta is missing (beta > 0); gamma is missing (gamma >= 0); gama is not a setting"]),
        ("methods.lora.settings", {"beta": 0.7}, ["methods.lora: ", "beta is not a setting of ce; its settings: none"]),
        ("methods.gem.settings", {"beta": "high"}, ["methods.gem.settings.beta: ", "valid number", "'high'"]),
        ("methods.gem.loss", "gems", ["methods.gem.loss: ", "'ce'", "'gems'"]),
        ("methods.gem.targets", "all", ["methods.gem.targets: ", "'references' or 'valid'", "'all'"]),
        ("methods.passk.subset", None, ["methods.passk: set objective passk has subset = None", "allowed: 1 to 8"]),
        ("methods.passk.subset", 9, ["methods.passk: ", "subset = 9 for sets of N = 8", "allowed: 1 to 8"]),
        ("methods.poly_epo.subset", 8, ["methods.poly_epo: ", "subset = 8", "allowed: 2 to 7"]),
        ("methods.gated.subset", 2, ["methods.gated: ", "gated takes no subset, got 2"]),
        ("methods.gated.lam", None, ["methods.gated: ", "belongs to methods with an objective"]),
        ("methods.rft.self_training.after", 1.0, ["methods.rft.self_training.after: ", "less than 1"]),
        ("listqa.pool_samples", 1, ["listqa.pool_samples: ", "greater than or equal to 2"]),
        ("methods.lora_min_p.min_p", 1.0, ["methods.lora_min_p.min_p: ", "less than 1"]),
        ("methods.lora_scaled.scale", -0.1, ["methods.lora_scaled.scale: ", "greater than or equal to 0"]),
        ("methods.lora_long.budget", 0.0, ["methods.lora_long.budget: ", "greater than 0"]),
        ("methods.gem.domains", ["poems"], ["methods.gem.domains.0: ", "'creative', 'listqa' or 'replies'", "'poems'"]),
        ("methods.gem.domains", ["train"], ["methods.gem.domains.0: ", "'creative', 'listqa' or 'replies'", "'train'"]),
        ("methods.gem.domains", ["listqa", "listqa"], ["methods.gem.domains: ", "a value twice"]),
        # what test is opened for
        ("analysis.test.listqa.seeds", [0, 0], ["analysis.test.listqa.seeds: ", "a value twice"]),
        ("analysis.test.listqa.prompts", 0, ["analysis.test.listqa.prompts: ", "greater than or equal to 1"]),
        ("analysis.test.listqa.systems.lora.seeds", 6, ["analysis.test.listqa: systems.lora.seeds is 6; the section declares 5 seeds"]),
        ("analysis.test.listqa.systems.lora.temperatures", [], ["analysis.test.listqa.systems.lora.temperatures: ", "at least 1 item"]),
        ("analysis.test.listqa.systems.lora.temperatures", [0.5, 0.5], ["systems.lora.temperatures: ", "a value twice"]),
        ("analysis.test.listqa.systems.lora.lam", 3.0, ["analysis.test.listqa.systems.lora: lam is 3.0; ", "none elsewhere"]),
        ("analysis.test.listqa.systems.polychromic.lam", None, ["analysis.test.listqa.systems.polychromic: lam is None; a number where "]),
        ("analysis.test.listqa.systems.dora", {"seeds": 1, "temperatures": [1.0]}, ["analysis.test.listqa.systems names 'dora'", "lora"]),
        ("analysis.test.code.systems.best_of", {"seeds": 1, "temperatures": [1.0]}, ["'best_of', which is not among the methods"]),
        ("analysis.test.listqa.contrasts.0.b", "gem", ["analysis.test.listqa: contrasts name gem, not among its systems: zero_shot, "]),
        ("analysis.test.listqa.contrasts.0.b", "best_with_checker", ["contrasts name best_with_checker, not among its systems"]),
        ("analysis.test.listqa.contrasts.1.b", "lora", ["analysis.test.listqa: contrasts names polychromic - lora twice"]),
        ("analysis.test.listqa.contrasts", [], ["analysis.test.listqa.contrasts: ", "at least 1 item"]),
        ("objective.baseline", "rloo", ["objective.baseline: ", "'marginal'", "'rloo'"]),
        ("sampling.n", 9, ["sampling.n is 9; pass@10 and sets of objective.n replies need 10"]),
        ("model.sha256", "123", ["model.wheel.sha256", "'123'"]),
        ("model.source", "floppy", ["model", "'floppy'"]),
    ],
)
def test_a_bad_value_is_refused_with_its_key_and_value(key, value, fragments, original, tmp_path):
    text = message(tmp_path, change(original, key, value))
    for fragment in fragments:
        assert fragment in text
    assert "1 error(s)" in text or key.startswith("methods.polychromic.lam"), "a union says why each of its forms does not fit"


WITHOUT_ADAPTER = {
    "objective": "coverage",
    "loss": "gem",
    "self_training": {"after": 0.5},
    "budget": 2.0,
    "scale": 0.5,
    "targets": "valid",
}


@pytest.mark.parametrize("key", WITHOUT_ADAPTER)
def test_what_only_training_gives_needs_an_adapter(key, original, tmp_path):
    text = message(tmp_path, change(original, f"methods.few_shot.{key}", WITHOUT_ADAPTER[key]))
    assert "methods.few_shot: " in text and f"{key} needs adapter: lora" in text and "1 error(s)" in text


def test_a_prompted_method_may_be_decoded_otherwise(original):
    params = Params.model_validate(change(original, "methods.few_shot.min_p", 0.1))
    assert params.methods["few_shot"].min_p == 0.1


def test_a_method_s_role_follows_from_what_it_declares(original):
    methods = Params.model_validate(original).methods
    seeing = {name for name, method in methods.items() if method.sees_checker}
    ours = {name for name, method in methods.items() if method.ours}
    assert {"lora_all", "rft", "rft_long", "rft_min_p", "gated", "reward", "passk", "poly_epo"} == seeing - ours
    assert {"polychromic", "polychromic_bulk"} <= ours and ours == {name for name in methods if methods[name].objective == "coverage"}
    assert not {"polychromic_plain", "gem", "deviation", "list_prompt", "lora"} & seeing


def test_the_grid_has_a_method_on_the_domains_it_names(original):
    params = Params.model_validate(change(original, "methods.gem.domains", ["replies"]))
    assert params.runs("gem", "replies") and not params.runs("gem", "listqa")
    assert params.runs("lora", "listqa") and params.runs("lora", "replies")
    nowhere = Params.model_validate(change(original, "methods.gem.domains", []))
    assert not any(nowhere.runs("gem", domain) for domain in nowhere.domains)


def test_a_method_has_as_many_seeds_as_it_says(original):
    params = Params.model_validate(change(change(original, "seeds", [5, 3, 7]), "methods.gem.seeds", 2))
    assert params.seeds_of("lora") == [5, 3, 7] and params.seeds_of("gem") == [5, 3]
    assert params.seeds_of("few_shot") == [5], "without an adapter, seeds differ by their draws alone"
    weighed = Params.model_validate(change(change(original, "seeds", [5, 3, 7]), "methods.polychromic.grid_seeds", {0.3: 1}))
    assert weighed.seeds_of("polychromic", 0.3) == [5] and weighed.seeds_of("polychromic", 3.0) == [5, 3, 7]
    with pytest.raises(ValidationError, match="grid_seeds is for a method with lam: lambda"):
        Params.model_validate(change(original, "methods.gem.grid_seeds", {0.3: 1}))


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


def test_each_domain_of_the_folder_has_a_section(original, tmp_path):
    params = Params.model_validate(original)
    assert [params.domain(name).steps for name in domain_names()] == [original[name]["steps"] for name in domain_names()]
    for name in domain_names():
        assert f"  {name}: missing" in message(tmp_path, {key: value for key, value in original.items() if key != name})
    text = message(tmp_path, original | {"poems": original["listqa"]})
    assert "poems: no such key (misspelt?)" in text


def test_a_domain_with_a_section_needs_an_endpoint_before_it_is_in_the_grid(original, tmp_path):
    values = change(original, "domains", ["listqa", "creative"])
    del values["analysis"]["endpoints"]["creative"]
    text = message(tmp_path, values)
    assert "analysis.endpoints lacks creative" in text and "1 error(s)" in text


@pytest.mark.parametrize("name", ["zero_shot", "few_shot", "lora", "polychromic"])
def test_the_four_baselines_are_declared_for_test(name, original, tmp_path):
    values = copy.deepcopy(original)
    plan = values["analysis"]["test"]["code"]
    del plan["systems"][name]
    plan["contrasts"] = [contrast for contrast in plan["contrasts"] if name not in (contrast["a"], contrast["b"])]
    assert f"systems lacks {name}; the four baselines are always there" in message(tmp_path, values)


def test_a_domain_of_the_grid_needs_a_declaration_for_test(original, tmp_path):
    values = copy.deepcopy(original)
    del values["analysis"]["test"]["code"]
    text = message(tmp_path, values)
    assert "analysis.test lacks code; each domain needs a declaration of what test is opened for" in text and "1 error(s)" in text
    values["domains"].remove("code")
    assert set(load_params(write_params(tmp_path, values)).analysis.test) == set(values["domains"])


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


# who runs where


def test_the_cells_of_a_split_are_those_that_params_declare(original):
    values = change(change(original, "replies.lambdas", [0.3, 10.0]), "replies.people", ["few_shot", "polychromic"])
    params = Params.model_validate(values)
    dev = {cell.name: cell for cell in params.cells("replies", "dev")}
    assert dev.keys() == {"zero_shot", "few_shot", "lora", "rft", "polychromic-3.0", "polychromic-0.3", "polychromic-10.0"}
    assert dev["polychromic-0.3"].seeds == (0, 1) and dev["zero_shot"].seeds == (0,) and dev["lora"].temperatures == (0.6, 0.8, 1.0)
    beside = params.cells("replies", "calibration")
    assert {cell.name for cell in beside} == {"few_shot", "polychromic-3.0", "polychromic-0.3", "polychromic-10.0"}
    assert {cell.temperatures for cell in beside} == {(1.0,)} and params.cells("listqa", "calibration") == []
    test = {cell.method: cell for cell in params.cells("listqa", "test")}
    assert test.keys() == params.test_plan("listqa").systems.keys()
    assert test["polychromic"].lam == 3.0 and test["lora"].seeds == (0, 1, 2, 3, 4) and test["lora"].temperatures[0] == 0.75
    assert params.on("listqa", "test").train.precision == "float32" and params.on("listqa", "dev") is params


def test_one_cell_is_found_by_name_or_refused(original):
    params = Params.model_validate(original)
    cell = params.cell("listqa", "dev", "polychromic", 0.7)
    assert cell.name == "polychromic-0.7" and cell.seeds == (0, 1, 2), "an ablation's weight, which the grid does not have"
    assert params.cell("listqa", "test", "polychromic").name == "polychromic-3.0", "on test it is declared"
    assert len(params.adapters("listqa", params.cell("listqa", "test", "lora"))) == 5 and not params.adapters(
        "listqa", params.cell("listqa", "dev", "zero_shot")
    )
    for arguments, text in (
        (("dev", "dora"), "method 'dora' does not exist"),
        (("dev", "polychromic"), "needs a weight: add --lam"),
        (("dev", "lora", 1.0), "takes no --lam"),
        (("test", "gem"), r"analysis\.test\.listqa\.systems has no 'gem'"),
        (("calibration", "lora"), r"listqa\.people has no 'lora'. Declared: none"),
    ):
        with pytest.raises(UsageError, match=text):
            params.cell("listqa", *arguments)
    assert "people names 'dora'" in str(pytest.raises(ValidationError, Params.model_validate, change(original, "replies.people", ["dora"])).value)
