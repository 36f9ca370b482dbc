"""An adapter handed on: AutoPeftModel finds its base, merged it answers the same, its card says what was recorded, the hub gets it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from polychromic.base.errors import PolychromicError, UsageError
from polychromic.base.io import read_json, write_json
from polychromic.models.load import attach_lora, load_causal_lm
from polychromic.models.weights import HubSource
from polychromic.yours import export as exports
from polychromic.yours.export import Request, export
from tests.tiny import make_tiny_model
from tests.workspace import small_values, write_params

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def adapter(tmp_path, monkeypatch) -> Path:
    """As `train DOMAIN METHOD` leaves one, its base by the name that params.yaml has for it."""
    make_tiny_model(tmp_path / "model", "qwen3")
    write_params(tmp_path, small_values())
    monkeypatch.chdir(tmp_path)
    model = attach_lora(load_causal_lm("model", "float32", "cpu")[0], 2, 4, ["q_proj", "v_proj"], 0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.05)
    model.peft_config["default"].base_model_name_or_path = "model"
    model.save_pretrained("adapter")
    write_json(Path("adapter/history.json"), [{"step": 5, "ce": 2.5, "objective": 0.25}, {"step": 6, "eval_loss": 1.5}])
    return Path("adapter")


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor([[5, 6, 7]])).logits


def test_auto_peft_finds_the_base_of_an_export_from_anywhere(adapter, tmp_path, monkeypatch):
    expected = logits(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("model"), adapter))
    export(Request(adapter, Path("out")))
    monkeypatch.chdir("/")
    assert torch.equal(logits(AutoPeftModelForCausalLM.from_pretrained(tmp_path / "out")), expected)
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template
    text = (tmp_path / "out" / "README.md").read_text()
    assert "library_name: peft" in text and "* D: 0.2500 at step 5." in text and "* validation cross-entropy: 1.5000 at step 6." in text


def test_a_merged_model_answers_as_base_and_adapter_do(adapter):
    expected = logits(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("model"), adapter))
    export(Request(adapter, Path("merged"), merge=True, precision="float32"))
    torch.testing.assert_close(logits(AutoModelForCausalLM.from_pretrained("merged")), expected, rtol=0, atol=1e-5)
    assert not Path("merged/adapter_config.json").exists() and "library_name: transformers" in Path("merged/README.md").read_text()


def test_a_hub_base_is_its_repository_at_its_commit(adapter, monkeypatch):
    monkeypatch.setattr(exports.weights, "obtain", lambda source: Path("model"))
    export(Request(adapter, Path("out"), base=f"Qwen/Qwen3-8B@{COMMIT}"))
    config = read_json("out/adapter_config.json")
    assert (config["base_model_name_or_path"], config["revision"]) == ("Qwen/Qwen3-8B", COMMIT)
    assert "base_model: Qwen/Qwen3-8B" in Path("out/README.md").read_text()
    source = HubSource(source="hub", repository="Qwen/Qwen3-8B", revision=COMMIT)
    assert exports.base_of(Request(adapter, Path("x"), base=f"Qwen/Qwen3-8B@{COMMIT}"), {}) == source


def test_the_hub_gets_the_folder_privately_and_a_refusal_says_what_to_do(adapter, monkeypatch):
    calls = []

    class Api:
        def create_repo(self, name, **options):
            calls.append((name, options["private"]))

        def upload_folder(self, repo_id, folder_path, **options):
            if repo_id == "me/refused":
                raise ValueError("401")
            calls.append((repo_id, sorted(path.name for path in folder_path.iterdir())[:2]))

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    export(Request(adapter, Path("out"), hub="me/mine"))
    assert calls == [("me/mine", True), ("me/mine", ["README.md", "adapter_config.json"])]
    with pytest.raises(PolychromicError, match=r"--push-to-hub me/refused: the hub did not take it \(ValueError: 401\).*hf auth login"):
        exports.push(Path("out"), "me/refused", False)


def test_what_cannot_be_exported_is_said(adapter):
    with pytest.raises(UsageError, match="nothing: no adapter_config.json and no adapter_model.safetensors. Allowed: a folder that"):
        export(Request(Path("nothing"), Path("out")))
    shutil.copytree(adapter, "other")
    write_json(Path("other/adapter_config.json"), read_json("other/adapter_config.json") | {"base_model_name_or_path": "gone"})
    with pytest.raises(UsageError, match="the base 'gone' is no model of params.yaml. Allowed: --base with an entry of `models:`"):
        export(Request(Path("other"), Path("out")))
    with pytest.raises(UsageError, match="--out adapter holds files"):
        export(Request(adapter, adapter))
