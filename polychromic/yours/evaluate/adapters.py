"""Does a LoRA adapter belong to this base model? Answered before the base's weights are read or a reply drawn.

PEFT loads the adapter onto a base without memory ("meta"): a wider base differs in shapes, a deeper or shallower one in names. A
base of the same architecture with other weights looks the same, and the name that the adapter recorded decides nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

from polychromic.base.errors import PolychromicError
from polychromic.base.io import sha256_file, sha256_json

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def fingerprint(adapter: Path) -> str:
    """Of its weights and its configuration, which scales them; not of where it lies or what it says about its base."""
    config = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
    return sha256_json([{key: value for key, value in config.items() if key != "base_model_name_or_path"}, sha256_file(adapter / WEIGHTS)])


def check_adapter(adapter: Path, base: str, folder: Path) -> None:
    """Raises PolychromicError for an adapter that is incomplete, or does not fit the model in `folder`, which the user called `base`."""
    from safetensors import SafetensorError

    named = None
    try:
        if missing := [name for name in (CONFIG, WEIGHTS) if not (adapter / name).is_file()]:
            raise ValueError(f"no {' and no '.join(missing)}")
        config = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
        if (kind := config.get("peft_type")) != "LORA":
            raise ValueError(f"an adapter of type {kind!r}")
        named = config.get("base_model_name_or_path")
        _fit(adapter, folder)
    except (ValueError, TypeError, RuntimeError, SafetensorError) as error:  # a RuntimeError's first line says nothing of the sizes
        head, *lines = str(error).splitlines()
        said = "; ".join(line.strip(" \t.")[:300] for line in lines[:2] or [head])
        made = f"It names {named!r} as its base: give" if named else "Give"
        allowed = f"a LoRA adapter for it in PEFT's format, such as `polychromic train` makes. {made} that model as --base, or leave it out"
        raise PolychromicError(f"{adapter} does not fit {base}: {said}. Allowed: {allowed}.") from None


def _fit(adapter: Path, folder: Path) -> None:
    """Load the adapter onto the base without memory. Raises ValueError, TypeError, RuntimeError, SafetensorError: what PEFT finds wrong."""
    import torch
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    from peft.utils import load_peft_weights
    from transformers import AutoConfig, AutoModelForCausalLM

    saved = load_peft_weights(str(adapter), device="cpu")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))
    config = LoraConfig.from_pretrained(adapter)
    config.base_model_name_or_path = None  # another name is ours to tell
    result = set_peft_model_state_dict(get_peft_model(model, config, low_cpu_mem_usage=True), saved, low_cpu_mem_usage=True)
    absent = [name for name in result.missing_keys if ".lora_" in name]
    for names, problem in ((result.unexpected_keys, "tensors for which the base has no module"), (absent, "tensors are lacking")):
        if names:
            raise ValueError(f"{len(names)} {problem}, such as {names[0]}")
