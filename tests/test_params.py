"""params.yaml: what is accepted, and that every mistake is one message with key, value and remedy."""

from __future__ import annotations

import copy

import pytest

from polychromic.base.errors import UsageError
from polychromic.data.domains import domain_names
from polychromic.params import ALWAYS, Params, load_params, read_yaml
from tests.workspace import REPOSITORY, declared_values, write_params


@pytest.fixture(scope="module")
def original() -> dict:
    return declared_values()


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


def test_the_repository_s_file_is_valid_and_read_as_written():
    original = read_yaml(REPOSITORY / "params.yaml")
    params = load_params(REPOSITORY / "params.yaml")
    assert params.lam == original["lambda"]
    assert params.train.learning_rate == 5e-4, "YAML 1.2 reads 5e-4 as a number"
    dumped = params.model_dump(mode="json", by_alias=True)
    assert dumped["lambda"] == params.lam and Params.model_validate(dumped) == params
    assert set(original) == {field.alias or name for name, field in Params.model_fields.items()}
    for section, key in ((params, "lam"), (params.train, "batch_size")):
        with pytest.raises(Exception, match="frozen"):
            setattr(section, key, 1)
    sharper = Params.model_validate(change(original, "methods.few_shot.min_p", 0.1))
    assert sharper.methods["few_shot"].min_p == 0.1, "a prompted method may be decoded otherwise"


NO_ADAPTER = {"objective": "coverage", "loss": "gem", "self_training": {"after": 0.5}, "budget": 2.0, "scale": 0.5, "targets": "valid"}
PASSK = {"prompt": "zero_shot", "objective": "passk", "adapter": "lora", "lam": 3.0, "subset": 8, "baseline": "leave_one_out"}
PLAN = "analysis.test.listqa"
DORA = {"seeds": 1, "temperatures": [1.0]}
FIELDS = [  # one of each kind of value
    ("lambda", "abc", ["valid number", "'abc'"]), ("lambda", -1.0, ["greater than or equal to 0", "-1.0"]),
    ("lambda", True, ["valid number", "True"]), ("seeds", [0, 1.5], ["seeds.1: ", "valid integer", "1.5"]),
    ("seeds", [2**31], ["seeds.0: ", "less than 2147483648"]), ("seeds", [], ["at least 1 item", "[]"]),
    ("seeds", [3, 1, 3], ["a value twice", "[3, 1, 3]"]), ("seeds", "0", ["valid list", "'0'"]),
    ("domains", ["poems"], ["domains.0: ", "'creative', 'listqa' or 'replies'", "'poems'"]),
    ("listqa.rollouts.share", 0.0, ["greater than 0"]), ("listqa.rollouts.share", 1.01, ["1.01"]),
    ("listqa.temperatures", [1.0, 1.0], ["a value twice"]), ("train.precision", "float16", ["'float32' or 'bfloat16'", "'float16'"]),
    ("analysis.confidence", 1.0, ["less than 1"]), ("analysis.split", "test", ["Extra inputs are not permitted"]),
    ("analysis.contrasts.0.rule", "best", ["'front' or 'chosen'", "'best'"]), ("analysis.estimand", "all", ["'random_seeds'", "'all'"]),
    ("methods.polychromic.lam", "lamda", ["'lamda'"]), ("methods.rft.self_training.after", 1.0, ["less than 1"]),
    ("methods.lora_min_p.temperatures", {"poems": [1.0]}, ["temperatures.poems", "'creative', 'listqa' or 'replies'"]),
    ("methods.gem.domains", ["train"], ["methods.gem.domains.0: ", "'creative', 'listqa' or 'replies'", "'train'"]),
    ("methods.gem.domains", ["listqa", "listqa"], ["a value twice"]), ("objective.baseline", "rloo", ["'marginal'", "'rloo'"]),
    ("encoder.sha256", "123", ["encoder.wheel.sha256", "'123'"]), ("encoder.source", "floppy", ["'floppy'"]),
]  # fmt: skip
TOGETHER = [  # in a method,
    *((f"methods.few_shot.{key}", value, ["methods.few_shot: ", f"{key} needs adapter: lora"]) for key, value in NO_ADAPTER.items()),
    ("methods.few_shot.learning_rate", 1e-3, ["methods.few_shot: ", "learning_rate needs adapter: lora"]),
    ("methods.lora.lam", 1.0, ["methods.lora: ", "belongs to methods with an objective"]),
    ("methods.gated.lam", None, ["methods.gated: ", "belongs to methods with an objective"]),
    ("methods.gem.grid_seeds", {"0.3": 1}, ["methods.gem: ", "grid_seeds is for a method with lam: lambda"]),
    *((f"methods.gem.{key}", value, ["methods.gem: ", f"{key}: only for methods with an objective"]) for key, value in (
        ("rollouts", {"share": 0.5}), ("subset", 2), ("baseline", "marginal"), ("after", 0.5), ("rate", 0.5), ("clip", 10.0))),
    ("methods.gem.unlabelled", True, ["methods.gem: ", "unlabelled needs clip", "or self_training without an objective"]),
    ("methods.rft.cost", None, ["methods.rft: ", "self_training.rounds and self_training.spend are shares of a budget in FLOPs: add cost"]),
    ("methods.rft.self_training", {"after": 0.5, "rounds": 2}, ["methods.rft: ", "share a budget: add self_training.spend"]),
    ("methods.passk", PASSK, ["methods.passk: ", "leave_one_out scores sets of N - 1 = 7 replies", "8"]),
    ("methods.gem.settings", {}, ["methods.gem: ", "loss gem: beta is missing (beta > 0)"]),
    ("methods.dco.settings", {"n": 0}, ["methods.dco: ", "loss coverage: n is 0.0; allowed: n >= 1"]),
    ("methods.gem.settings", {"beta": 0.0}, ["methods.gem: ", "beta is 0.0; allowed: beta > 0"]),
    ("methods.tofu.settings", {"gama": 3.0}, ["beta is missing (beta > 0); gamma is missing (gamma >= 0); gama is not a setting"]),
    ("methods.lora.settings", {"beta": 0.7}, ["methods.lora: ", "beta is not a setting of ce; its settings: none"]),
    ("methods.passk.subset", None, ["methods.passk: set objective passk has subset = None", "allowed: 1 to 8"]),
    ("methods.passk.subset", 9, ["methods.passk: ", "subset = 9 for sets of N = 8", "allowed: 1 to 8"]),
    ("methods.poly_epo.subset", 8, ["methods.poly_epo: ", "subset = 8", "allowed: 2 to 7"]),
    ("methods.gated.subset", 2, ["methods.gated: ", "gated takes no subset, got 2"]),
    # across sections,
    ("sampling.n", 9, ["sampling.n is 9; pass@10 and sets of objective.n replies need 10"]),
    ("replies.people", ["dora"], ["replies.people names 'dora', not among the methods: zero_shot"]),
    ("analysis.contrasts.0.a", "dora", ["analysis.contrasts names 'dora', not among the methods: zero_shot"]),
    ("analysis.endpoints.listqa.primary", "valid@10", ["endpoints.listqa.primary names 'valid@10', not among its metrics: pass@1, "]),
    ("analysis.endpoints", {"listqa": {"primary": "pass@10", "quality": "pass@1"}}, ["analysis.endpoints lacks replies"]),
    ("judge.pairs", {"listqa": ["lora - dora"]}, ["judge.pairs.listqa names 'dora', not among analysis.test.listqa.systems: zero_shot"]),
    # and in what test is opened for
    (f"{PLAN}.prompts", 0, ["greater than or equal to 1"]), (f"{PLAN}.systems.lora.temperatures", [], ["at least 1 item"]),
    (f"{PLAN}.systems.lora.seeds", 6, [f"{PLAN}: systems.lora.seeds is 6; the section declares 3 seeds"]),
    (f"{PLAN}.systems.lora.lam", 3.0, [f"{PLAN}.systems.lora: lam is 3.0; ", "none elsewhere"]),
    (f"{PLAN}.systems.polychromic.lam", None, [f"{PLAN}.systems.polychromic: lam is None; a number where "]),
    (f"{PLAN}.systems.dora", DORA, [f"{PLAN}.systems names 'dora', not among the methods: ", "lora"]),
    (f"{PLAN}.contrasts.0.b", "gem", [f"{PLAN}: contrasts names 'gem', not among its systems: zero_shot, "]),
    (f"{PLAN}.contrasts.0.b", "best_with_checker", ["contrasts names 'best_with_checker', not among its systems"]),
    (f"{PLAN}.contrasts.1.b", "lora", [f"{PLAN}: contrasts names polychromic - lora twice"]),
    (f"{PLAN}.contrasts.0.stratum", "unseen:", [f"{PLAN}.contrasts.0: polychromic - lora on unseen: is primary; "]),
    (f"{PLAN}.systems.lora.seeds", 1, [f"{PLAN}: systems.lora.seeds is 1; the primary contrast polychromic - lora needs 2 or more"]),
    (f"{PLAN}.systems.lora.temperatures", [0.5, 1.0], [f"{PLAN}: systems.lora.temperatures has 2; polychromic - lora compares fronts"]),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "fragments"), FIELDS + TOGETHER)
def test_a_bad_value_is_refused_with_its_key_and_value(key, value, fragments, original, tmp_path):
    text = message(tmp_path, change(original, key, value))
    assert [fragment for fragment in fragments if fragment not in text] == []
    assert f"\n  {key.partition('.')[0]}" in text or (key, value, fragments) in TOGETHER, "the line begins with the key"
    assert "1 error(s)" in text or key.startswith("methods.polychromic.lam"), "a union says why each of its forms does not fit"


def test_a_method_s_role_follows_from_what_it_declares(original):
    methods = Params.model_validate(original).methods
    seeing = {name for name, method in methods.items() if method.sees_checker}
    ours = {name for name, method in methods.items() if method.ours}
    of_checker = {"reward", "passk", "poly_epo", "setpo", "darling", "w_reinforce", "gated", "rft", "rft_rounds", "dco_pool", "lora_all"}
    assert of_checker | {"rft_1c", "rft_4c"} == seeing - ours
    assert ours == {"polychromic", "polychromic_1c", "polychromic_4c", "polychromic_rft", "polychromic_full"} <= seeing
    assert not {"polychromic_plain", "gem", "deviation", "list_prompt", "lora", "dco"} & seeing


def test_the_grid_has_a_method_on_the_domains_it_names(original):
    for named in ([], ["replies"], None):
        params = Params.model_validate(change(original, "methods.gem.domains", named))
        assert {domain for domain in params.domains if params.runs("gem", domain)} == set(params.domains if named is None else named)


def test_a_method_has_as_many_seeds_as_it_says(original):
    params = Params.model_validate(change(change(original, "seeds", [5, 3, 7]), "methods.gem.seeds", 2))
    assert params.seeds_of("lora") == [5, 3, 7] and params.seeds_of("gem") == [5, 3]
    assert params.seeds_of("few_shot") == [5], "without an adapter, seeds differ by their draws alone"
    weighed = Params.model_validate(change(change(original, "seeds", [5, 3, 7]), "methods.polychromic.grid_seeds", {0.3: 1}))
    assert weighed.seeds_of("polychromic", 0.3) == [5] and weighed.seeds_of("polychromic", 3.0) == [5, 3, 7]


@pytest.mark.parametrize("key", ["listqa.temperatures.0", "methods.lora.temperatures", f"{PLAN}.systems.lora.temperatures"])
@pytest.mark.parametrize("value", [-1.0, -1e-9, float("inf"), float("-inf"), float("nan")])
def test_a_temperature_below_zero_or_not_finite_is_refused_with_one_message(key, value, original, tmp_path):
    """That of `polychromic evaluate --temperature`, too."""
    values = change(original, key, value if key.endswith("0") else {"listqa": [value]} if key.startswith("methods") else [value])
    said = "a sampling temperature is a finite number of 0 or more; 0 takes the likeliest token"
    assert f": 1 error(s):\n  {key}" in (text := message(tmp_path, values)) and f": {said} (got '{value}')" in text


@pytest.mark.parametrize("key", ["lambda", "train.learning_rate", "lora.alpha", "listqa.temperatures.0", "train.weight_decay"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused(key, value, original, tmp_path):
    assert key in message(tmp_path, change(original, key, value))


def test_each_domain_of_the_folder_has_a_section(original, tmp_path):
    params = Params.model_validate(original)
    assert [params.domain(name).steps for name in domain_names()] == [original[name]["steps"] for name in domain_names()]
    for name in domain_names():
        assert f"  {name}: Field required" in message(tmp_path, {key: value for key, value in original.items() if key != name})
    text = message(tmp_path, original | {"poems": original["listqa"]})
    assert "poems: Extra inputs are not permitted" in text


@pytest.mark.parametrize("name", ALWAYS)
def test_the_four_baselines_are_declared_among_the_methods_and_for_test(name, original, tmp_path):
    values = copy.deepcopy(original)
    plan = values["analysis"]["test"]["code"]
    del plan["systems"][name]
    plan["contrasts"] = [contrast for contrast in plan["contrasts"] if name not in (contrast["a"], contrast["b"])]
    assert f"systems lacks {name}; the four baselines are always there" in message(tmp_path, values)
    methods = {key: method for key, method in original["methods"].items() if key != name}
    assert f"methods lacks {name}; the four baselines are always there" in message(tmp_path, original | {"methods": methods})


def test_a_domain_without_a_declaration_for_test_is_not_opened_and_has_no_pairs_for_the_judge(original, tmp_path):
    values = copy.deepcopy(original)
    del values["analysis"]["test"]["code"]
    params = load_params(write_params(tmp_path, values))
    assert params.cells("code", "test") == [] and params.cells("code", "dev") and params.cells("listqa", "test")
    for ask in (params.test_plan, lambda domain: params.on(domain, "test"), lambda domain: params.cell(domain, "test", "lora")):
        with pytest.raises(UsageError, match=r"analysis\.test has no 'code'\. Declared: listqa, replies, creative\. Declare its systems"):
            ask("code")
    values["judge"]["pairs"] = {"code": ["polychromic - lora"]}
    text = message(tmp_path, values)
    assert "judge.pairs.code names 'lora', 'polychromic', not among analysis.test.code.systems: " in text and "1 error(s)" in text


def test_each_domain_of_the_grid_has_endpoints_and_may_be_left_out(original, tmp_path):
    values = copy.deepcopy(original)
    del values["analysis"]["endpoints"]["code"]
    text = message(tmp_path, values)
    assert "analysis.endpoints lacks code; each domain needs a primary and a quality metric" in text and "1 error(s)" in text
    values["domains"].remove("code")
    assert load_params(write_params(tmp_path, values)).domains == ["listqa", "replies", "creative"]


def test_several_mistakes_are_reported_at_once_and_long_values_are_cut(original, tmp_path):
    values = change(change(change(original, "lambda", "x" * 5000), "seeds", [-1]), "sampling.n", 0)
    values["train"]["learning_rat"] = values["train"].pop("learning_rate")
    del values["few_shot"]
    text = message(tmp_path, values)
    assert "6 error(s)" in text and len(text) < 1000
    lines = ("lambda: ", "seeds.0: ", "sampling.n: ", "few_shot: Field required", "train.learning_rate: Field required",
             "train.learning_rat: Extra inputs are not permitted")  # fmt: skip
    assert all(f"\n  {line}" in text for line in lines)


@pytest.mark.parametrize(("content", "fragments"), [
    ("lambda: [1, 2\nseeds: 3\n", [":2:", "not YAML"]), ("lambda: 1.0\nlambda: 2.0\n", ["not YAML", "duplicate key"]),
    ("- a\n- b\n", ["holds a list", "git checkout"]), ("", ["holds a NoneType"]), ("a: \t\tb: c", [":1:", "not YAML"]),
    (None, ["file not found", "--params"]),
])  # fmt: skip
def test_a_file_that_is_no_mapping_in_yaml_is_refused(content, fragments, tmp_path):
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError) as error:
        load_params(path)
    for fragment in [str(path), *fragments]:
        assert fragment in str(error.value)


# who runs where


def test_the_cells_of_a_split_are_those_that_params_declare(original):
    values = change(change(original, "replies.lambdas", [0.3, 10.0]), "replies.people", ["few_shot", "polychromic"])
    values = change(change(values, "methods.polychromic.grid_seeds", {"0.3": 2}), f"{PLAN}.precision", "float32")
    params = Params.model_validate(values)
    dev = {cell.name: cell for cell in params.cells("replies", "dev")}
    assert dev.keys() == {"zero_shot", "few_shot", "lora", "rft", "polychromic-3.0", "polychromic-0.3", "polychromic-10.0"}
    assert dev["polychromic-0.3"].seeds == (0, 1) and dev["polychromic-3.0"].seeds == (0, 1, 2) and dev["zero_shot"].seeds == (0,)
    assert dev["lora"].temperatures == tuple(original["replies"]["temperatures"])
    beside = params.cells("replies", "calibration")
    assert {cell.name for cell in beside} == {"few_shot", "polychromic-3.0", "polychromic-0.3", "polychromic-10.0"}
    assert {cell.temperatures for cell in beside} == {(1.0,)} and params.cells("listqa", "calibration") == []
    test = {cell.method: cell for cell in params.cells("listqa", "test")}
    assert test.keys() == params.test_plan("listqa").systems.keys()
    assert test["polychromic"].lam == 3.0 and test["lora"].seeds == (0, 1) and test["few_shot"].temperatures == (0.5,)
    assert test["polychromic"].temperatures[0] == 0.7, "what dev chose comes first"
    assert params.train.precision == "bfloat16" and params.on("listqa", "dev") is params is params.on("code", "test")
    assert params.on("listqa", "test").train.precision == params.on("listqa", "test").sampling.precision == "float32"


def test_methods_that_differ_in_cost_alone_are_a_family(original):
    polychromic = original["methods"]["polychromic"]
    fixed = {key: value for key, value in polychromic.items() if key != "grid_seeds"} | {"lam": original["lambda"]}
    lora = {"prompt": "zero_shot", "adapter": "lora"}
    costs = [f"{name}_{cost}" for name in ("lora", "polychromic") for cost in ("1c", "4c")]
    methods = {name: method for name, method in original["methods"].items() if name not in costs} | {
        "polychromic": polychromic | {"cost": 8.0}, "polychromic_1": fixed | {"cost": 1.0, "seeds": 2},
        "polychromic_2": fixed | {"cost": 2.0}, "sharp": fixed | {"cost": 2.0, "min_p": 0.1},
        "other": fixed | {"cost": 2.0, "lam": 1.0}, "lora": lora, "lora_1": lora | {"cost": 1.0},
    }  # fmt: skip
    params = Params.model_validate(change(original, "methods", methods))
    assert params.family("polychromic_2") == params.family("polychromic") == ["polychromic_1", "polychromic_2", "polychromic"]
    assert params.family("lora") == [] and params.family("lora_1") == ["lora_1"] and params.family("other") == ["other"]
    runs = {name: params.adapters("listqa", params.cell("listqa", "dev", name, lam)) for name, lam in
            (("polychromic", 3.0), ("polychromic_1", None), ("polychromic_2", None))}  # fmt: skip
    assert len({adapter for found in runs.values() for adapter in found}) == 3 + 2 + 3, "each cost is a training of its own"


def test_one_cell_is_found_by_name_or_refused(original):
    params = Params.model_validate(original)
    cell = params.cell("listqa", "dev", "polychromic", 0.7)
    assert cell.name == "polychromic-0.7" and cell.seeds == (0, 1, 2), "an ablation's weight, which the grid does not have"
    assert params.cell("listqa", "test", "polychromic").name == "polychromic-3.0", "on test it is declared"
    adapters = lambda split, method: len(params.adapters("listqa", params.cell("listqa", split, method)))
    assert (adapters("test", "lora"), adapters("test", "polychromic"), adapters("dev", "zero_shot")) == (2, 3, 0)
    for arguments, text in (
        (("dev", "dora"), "method 'dora' does not exist"),
        (("dev", "polychromic"), "needs a weight, a finite number: add --lam"),
        (("dev", "lora", 1.0), "takes no --lam"),
        (("test", "gem"), r"analysis\.test\.listqa\.systems has no 'gem'"),
        (("calibration", "lora"), r"listqa\.people has no 'lora'. Declared: none"),
    ):
        with pytest.raises(UsageError, match=text):
            params.cell("listqa", *arguments)
