"""What a family of one-function Python tasks is, and the inputs that its hidden tests are made from.

A family is one idea ("the sum of the numbers above k"); its tasks differ in the constants alone, so that families, never
tasks, are divided between training and test. Text with $k and $c is filled by string.Template. Solutions are bodies of
a function `f`; polychromic.data.code runs every one of them against the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

INTS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 15, 16, 20, 25, 30, 49, 64, 100, 101]
SIGNED = [-100, -17, -12, -10, -9, -8, -7, -5, -4, -3, -2, -1, *INTS]
LONG = [*INTS, 120, 907, 999, 1010, 12345, 54321]
PAIRS = [(0, 0), (1, 2), (2, 1), (3, 3), (-1, 4), (4, -1), (7, 5), (5, 7), (10, 3), (3, 10), (-6, -2), (-2, -6), (12, 12), (0, 9), (9, 0)]
SUMS = [*PAIRS, (1, 1), (2, 2), (1, 3), (3, 2), (4, 1), (3, 4), (4, 4), (5, 4), (5, 5), (6, 5), (8, -1), (-5, 7)]
COUNTS = [(0, 4), (1, 4), (2, 7), (3, 3), (4, 2), (5, 0), (2, -1), (6, 5), (1, 1), (0, 0)]  # x is no less than 0
LISTS = [[], [1], [3, 1, 2], [5, 5, 5], [-1, 4, -3, 2], [10, 9, 8, 7, 6], [0, 0, 1], [2, 4, 6, 8], [1, 3, 5, 7], [12, -7, 30, 5, 5, 18],
         [100, 2, 50], [4, 4, 9, 1, 9], [-5, -2, -9], [8, 1, 15, 20, 3, 6, 11], [6, 3, 9, 12, 2], [1, 3, 2], [-4, 0], [0, 2], [3, 0, -1],
         [4, 2], [5, 1], [6, 4], [7, -2], [8, 3], [9, 5], [10, 6], [11, 12],
         [14, 3, 3, 8, 21, 0, 6, 17, 2, 9, 11, 4, 13, 1, 5]]  # fmt: skip
FULL = [numbers for numbers in LISTS if numbers]
TWO = [numbers for numbers in LISTS if len(numbers) > 1]
ODD = [numbers for numbers in LISTS if len(numbers) % 2]
SPANS = [*LISTS, *(list(range(3, 3 + n)) for n in range(5, 14))]  # every length up to 13
NESTED = [[], [[1]], [[1, 2], [3]], [[], [4, 5], []], [[2, 2], [0], [-1, 7, 3]], [[10], [20], [30, 40]], [[]]]
TEXTS = ["", "a", "hello", "Python", "racecar", "Anna went Home", "aaa bbb", "Look at 3 cats, 12 dogs!", "UPPER lower", "x-y_z",
         "the quick brown fox", "banana", "Zebra apple", "  two  spaces ", "eee", "Rhythm", "a1b2c3", "ab", "abcd", "abcdefg",
         "abcdefgh", "abcdefghi"]  # fmt: skip
SOLID = [text for text in TEXTS if text.strip()]
SHORT = [*TEXTS, "egg", "in", "no", "of", "so", "to", "at", "sea", "taxi", "moon", "logo", "bus"]
WORDS = [[], ["a"], ["pear", "fig", "apple"], ["no", "No", "NO"], ["cat", "bird", "dog", "horse"], ["aa", "b", "ccc", "dd"],
         ["Egg", "ham", "egg", ""], ["tree", "bee", "sea", "ox"], ["one", "three", "five", "seven", "eleven"],
         ["ink", "oil", "nest", "salt", "tin", "end"]]  # fmt: skip
NAMED = [words for words in WORDS if words]
KS = tuple({"k": k} for k in (2, 3, 4, 5, 7, 10))
LETTERS = tuple({"c": c} for c in "aeinost")
ONCE = ({},)


@dataclass(frozen=True)
class Family:
    """One idea of a task.

    Attributes:
        name: also the group of its records. kind: "number", "list" or "text", the stratum.
        arguments: of f, as they stand in its first line.
        ask: the rest of the sentence "Write a Python function f(...) that returns ...".
        bodies: solutions, the first of which defines what is right.
        inputs: arguments of the hidden tests; values are wrapped in a tuple where f takes one.
        constants: one task for each.
    """

    name: str
    kind: str
    arguments: str
    ask: str
    bodies: tuple[str, ...]
    inputs: list
    constants: tuple[dict[str, int | str], ...] = field(default=KS)


def number(name: str, ask: str, *bodies: str, inputs: list = SIGNED, constants: tuple = KS) -> Family:
    return Family(name, "number", "x", ask, bodies, inputs, constants)


def pair(name: str, ask: str, *bodies: str, inputs: list = PAIRS, constants: tuple = ONCE) -> Family:
    return Family(name, "number", "x, y", ask, bodies, inputs, constants)


def numbers(name: str, ask: str, *bodies: str, inputs: list = LISTS, constants: tuple = KS) -> Family:
    return Family(name, "list", "xs", ask, bodies, inputs, constants)


def words(name: str, ask: str, *bodies: str, inputs: list = WORDS, constants: tuple = ONCE) -> Family:
    return Family(name, "list", "words", ask, bodies, inputs, constants)


def text(name: str, ask: str, *bodies: str, inputs: list = TEXTS, constants: tuple = ONCE) -> Family:
    return Family(name, "text", "s", ask, bodies, inputs, constants)
