"""All families of one-function Python tasks, in the order of their kinds."""

from __future__ import annotations

from polychromic.data.code.family import Family
from polychromic.data.code.lists import LISTS
from polychromic.data.code.numbers import NUMBERS
from polychromic.data.code.texts import TEXTS

__all__ = ["FAMILIES", "Family"]

FAMILIES: tuple[Family, ...] = (*NUMBERS, *LISTS, *TEXTS)
