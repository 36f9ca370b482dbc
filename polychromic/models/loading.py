"""How a language model is loaded, beside which it is: the optional keys of an entry of `models:` in params.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Loading(BaseModel):
    """How a language model is loaded and trained, beside which it is; what is not said is as the paper's model has it.

    Attributes:
        quantization: "nf4" holds the frozen matrices in 4 bits (QLoRA, arXiv:2305.14314: NF4 with double quantisation, products in
            bfloat16), for which bitsandbytes must be installed. Adapters are then used as they are trained, and not merged.
        dtype: of the frozen weights, in place of train.precision and sampling.precision.
        attention: transformers' attn_implementation; "eager" gives the same bytes on every run of one machine.
        gradient_checkpointing: activations are computed again in the backward pass, for memory; the gradients are the same.
        device_map: accelerate's, such as "auto": the layers are spread over the GPUs of one process.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    quantization: Literal["none", "nf4"] = "none"
    dtype: Literal["float32", "bfloat16"] | None = None
    attention: Literal["eager", "sdpa", "flash_attention_2"] = "eager"
    gradient_checkpointing: bool = False
    device_map: Literal["auto", "balanced", "sequential"] | None = None

    @property
    def changed(self) -> dict[str, object]:
        """The keys that are not as the paper's model has them: part of what a run is known by."""
        fields = Loading.model_fields.items()
        return {name: value for name, field in fields if (value := getattr(self, name)) != field.default}

    @property
    def placed(self) -> bool:
        """Whether weights are where they stay once they are loaded: 4-bit ones, and those that accelerate spread, cannot be moved."""
        return self.quantization != "none" or self.device_map is not None
