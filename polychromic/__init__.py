"""Polychromic LoRA: fine-tune a language model so that a *set* of its replies is good and diverse."""

__version__ = "0.1.0"
