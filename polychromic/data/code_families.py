"""All families of one-function Python tasks, in the order of their kinds."""

from __future__ import annotations

from polychromic.data.code_family import Family
from polychromic.data.code_lists import LISTS
from polychromic.data.code_numbers import NUMBERS
from polychromic.data.code_texts import TEXTS

__all__ = ["FAMILIES", "Family"]

FAMILIES: tuple[Family, ...] = (*NUMBERS, *LISTS, *TEXTS)
