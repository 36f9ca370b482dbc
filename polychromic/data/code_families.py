# ruff: noqa: E501 - a family is a row of a table, its solutions beside each other
"""The families of one-function Python tasks: what is asked, several ways to do it, and the inputs that tell right from wrong.

A family is one idea ("the sum of the numbers above k"); its tasks differ in the constants alone, so that families, never
tasks, are divided between training and test. Text with $k, $a and $b is filled by string.Template. Solutions are bodies of
a function `f`; polychromic.data.code runs every one of them against the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

INTS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 15, 16, 20, 25, 30, 49, 64, 100, 101]
SIGNED = [-100, -17, -12, -10, -9, -8, -7, -5, -4, -3, -2, -1, *INTS]
PAIRS = [(0, 0), (1, 2), (2, 1), (3, 3), (-1, 4), (4, -1), (7, 5), (5, 7), (10, 3), (3, 10), (-6, -2), (-2, -6), (12, 12), (0, 9), (9, 0)]
LISTS = [[], [1], [3, 1, 2], [5, 5, 5], [-1, 4, -3, 2], [10, 9, 8, 7, 6], [0, 0, 1], [2, 4, 6, 8], [1, 3, 5, 7], [12, -7, 30, 5, 5, 18], [100, 2, 50],
         [4, 4, 9, 1, 9], [-5, -2, -9], [8, 1, 15, 20, 3, 6, 11], [6, 3, 9, 12, 2], [1, 3, 2], [-4, 0], [0, 2], [3, 0, -1], [4, 2],
         [5, 1], [6, 4], [7, -2], [8, 3], [9, 5], [10, 6], [11, 12],
         [14, 3, 3, 8, 21, 0, 6, 17, 2, 9, 11, 4, 13, 1, 5]]  # fmt: skip
FULL = [numbers for numbers in LISTS if numbers]
TEXTS = ["", "a", "hello", "Python", "racecar", "Anna went Home", "aaa bbb", "Look at 3 cats, 12 dogs!", "UPPER lower", "x-y_z", "the quick brown fox",
         "banana", "Zebra apple", "  two  spaces ", "eee", "Rhythm", "a1b2c3", "ab", "abcd", "abcdefg",
         "abcdefgh", "abcdefghi"]  # fmt: skip
SOLID = [text for text in TEXTS if text.strip()]
WORDS = [[], ["a"], ["pear", "fig", "apple"], ["no", "No", "NO"], ["cat", "bird", "dog", "horse"], ["aa", "b", "ccc", "dd"], ["Egg", "ham", "egg", ""],
         ["tree", "bee", "sea", "ox"], ["one", "three", "five", "seven", "eleven"]]  # fmt: skip
KS = tuple({"k": k} for k in (2, 3, 4, 5, 6, 7, 8, 9, 10, 12))
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


def _number(name: str, ask: str, *bodies: str, inputs: list = SIGNED, constants: tuple = KS) -> Family:
    return Family(name, "number", "x", ask, bodies, inputs, constants)


def _pair(name: str, ask: str, *bodies: str, inputs: list = PAIRS, constants: tuple = ONCE) -> Family:
    return Family(name, "number", "x, y", ask, bodies, inputs, constants)


def _list(name: str, ask: str, *bodies: str, inputs: list = LISTS, constants: tuple = KS) -> Family:
    return Family(name, "list", "xs", ask, bodies, inputs, constants)


def _text(name: str, ask: str, *bodies: str, inputs: list = TEXTS, constants: tuple = ONCE) -> Family:
    return Family(name, "text", "s", ask, bodies, inputs, constants)


def _words(name: str, ask: str, *bodies: str, inputs: list = WORDS, constants: tuple = ONCE) -> Family:
    return Family(name, "list", "words", ask, bodies, inputs, constants)


LETTERS = tuple({"c": c} for c in "aeinost")

FAMILIES: tuple[Family, ...] = (
    # numbers
    _number("add", "x plus $k", "return x + $k", "return $k + x", "result = x\nresult += $k\nreturn result", "return sum([x, $k])"),
    _number("subtract", "x minus $k", "return x - $k", "return -$k + x", "result = x\nresult -= $k\nreturn result"),
    _number("subtract_from", "$k minus x", "return $k - x", "return -x + $k", "result = $k\nresult -= x\nreturn result"),
    _number("times", "x times $k", "return x * $k", "return $k * x", "return sum([x] * $k)", "total = 0\nfor _ in range($k):\n    total += x\nreturn total"),
    _number("remainder", "the remainder of x divided by $k", "return x % $k", "return x - x // $k * $k", "return divmod(x, $k)[1]"),
    _number("quotient", "x divided by $k, rounded down", "return x // $k", "return divmod(x, $k)[0]", "return (x - x % $k) // $k"),
    _number("divisible", "whether x is divisible by $k", "return x % $k == 0", "return not x % $k", "if x % $k == 0:\n    return True\nreturn False", constants=KS[1:]),
    _number("greater", "whether x is greater than $k", "return x > $k", "return $k < x", "return not x <= $k", "if x > $k:\n    return True\nreturn False"),
    _number("less", "whether x is less than $k", "return x < $k", "return $k > x", "return not x >= $k", "if x < $k:\n    return True\nreturn False"),
    _number("at_most", "the smaller of x and $k", "return min(x, $k)", "return x if x < $k else $k", "if x < $k:\n    return x\nreturn $k"),
    _number("at_least", "the larger of x and $k", "return max(x, $k)", "return x if x > $k else $k", "if x > $k:\n    return x\nreturn $k"),
    _number("distance", "the absolute difference of x and $k", "return abs(x - $k)", "return abs($k - x)", "return max(x, $k) - min(x, $k)",
            "return x - $k if x > $k else $k - x"),
    _number("square_plus", "the square of x plus $k", "return x ** 2 + $k", "return x * x + $k", "return $k + x * x", "return pow(x, 2) + $k"),
    _number("power", "x to the power of $k", "return x ** $k", "return pow(x, $k)", "result = 1\nfor _ in range($k):\n    result *= x\nreturn result",
            constants=KS[:4]),
    _number("times_plus", "$k times x plus 1", "return $k * x + 1", "return x * $k + 1", "return 1 + $k * x", "return sum([x] * $k) + 1"),
    _number("between", "whether x is between 0 and $k, both included", "return 0 <= x <= $k", "return x >= 0 and x <= $k",
            "return x in range(0, $k + 1)", "return not (x < 0 or x > $k)"),
    _number("multiples", "a list of the first x multiples of $k, starting with $k", "return [$k * i for i in range(1, x + 1)]",
            "return list(range($k, $k * x + 1, $k))", "out = []\nfor i in range(x):\n    out.append($k * (i + 1))\nreturn out", inputs=INTS[:12]),
    _number("count_to", "a list of the numbers from x to x plus $k, both included", "return list(range(x, x + $k + 1))",
            "return [x + i for i in range($k + 1)]", "out = []\nfor i in range($k + 1):\n    out.append(x + i)\nreturn out"),
    _number("sum_to", "the sum of the numbers from 1 to x", "return sum(range(1, x + 1))", "return x * (x + 1) // 2",
            "total = 0\nfor i in range(1, x + 1):\n    total += i\nreturn total", inputs=INTS, constants=ONCE),
    _number("factorial", "the factorial of x", "result = 1\nfor i in range(2, x + 1):\n    result *= i\nreturn result", "return 1 if x < 2 else x * f(x - 1)",
            "import math\nreturn math.factorial(x)", inputs=INTS[:11], constants=ONCE),
    _number("even", "whether x is even", "return x % 2 == 0", "return not x % 2", "return x & 1 == 0", constants=ONCE),
    _number("sign", "1 if x is positive, -1 if x is negative and 0 otherwise", "return (x > 0) - (x < 0)",
            "if x > 0:\n    return 1\nif x < 0:\n    return -1\nreturn 0", "return 1 if x > 0 else -1 if x < 0 else 0", constants=ONCE),
    _number("digits", "the number of digits of x", "return len(str(x))", "count = 1\nwhile x >= 10:\n    x //= 10\n    count += 1\nreturn count",
            inputs=INTS + [999, 12345], constants=ONCE),
    _number("digit_sum", "the sum of the digits of x", "return sum(int(d) for d in str(x))", "return sum(map(int, str(x)))",
            "total = 0\nwhile x > 0:\n    total += x % 10\n    x //= 10\nreturn total", inputs=INTS + [999, 12345], constants=ONCE),
    _number("divisors", "a list of the divisors of x in ascending order", "return [d for d in range(1, x + 1) if x % d == 0]",
            "return list(filter(lambda d: x % d == 0, range(1, x + 1)))", "out = []\nfor d in range(1, x + 1):\n    if x % d == 0:\n        out.append(d)\nreturn out",
            inputs=INTS[1:], constants=ONCE),
    _pair("add_two", "the sum of x and y", "return x + y", "return y + x", "return sum([x, y])", "return sum((x, y))"),
    _pair("multiply_two", "the product of x and y", "return x * y", "return y * x", "result = x\nresult *= y\nreturn result"),
    _pair("larger", "the larger of x and y", "return max(x, y)", "return x if x > y else y", "if x > y:\n    return x\nreturn y", "return sorted([x, y])[1]"),
    _pair("smaller", "the smaller of x and y", "return min(x, y)", "return x if x < y else y", "if x < y:\n    return x\nreturn y", "return sorted([x, y])[0]"),
    _pair("difference", "the absolute difference of x and y", "return abs(x - y)", "return abs(y - x)", "return max(x, y) - min(x, y)"),
    _pair("equal", "whether x and y are equal", "return x == y", "return not x != y", "return x - y == 0"),
    _pair("squares", "the sum of the squares of x and y", "return x ** 2 + y ** 2", "return x * x + y * y", "return sum(n * n for n in (x, y))"),
    _pair("swapped", "a tuple with y first and x second", "return (y, x)", "x, y = y, x\nreturn (x, y)", "return tuple([y, x])"),
    _pair("weighted", "$k times x plus y", "return $k * x + y", "return y + $k * x", "return x * $k + y", constants=KS),
    # lists
    _list("sum_above", "the sum of the numbers in xs that are greater than $k", "return sum(x for x in xs if x > $k)", "return sum([x for x in xs if x > $k])",
          "total = 0\nfor x in xs:\n    if x > $k:\n        total += x\nreturn total", "return sum(filter(lambda x: x > $k, xs))"),
    _list("count_above", "how many numbers in xs are greater than $k", "return sum(x > $k for x in xs)", "return len([x for x in xs if x > $k])",
          "count = 0\nfor x in xs:\n    if x > $k:\n        count += 1\nreturn count", "return sum(1 for x in xs if x > $k)"),
    _list("keep_above", "a list of the numbers in xs that are greater than $k", "return [x for x in xs if x > $k]",
          "return list(filter(lambda x: x > $k, xs))", "out = []\nfor x in xs:\n    if x > $k:\n        out.append(x)\nreturn out"),
    _list("keep_below", "a list of the numbers in xs that are less than $k", "return [x for x in xs if x < $k]",
          "return list(filter(lambda x: x < $k, xs))", "out = []\nfor x in xs:\n    if x < $k:\n        out.append(x)\nreturn out"),
    _list("add_each", "a list with $k added to each number in xs", "return [x + $k for x in xs]", "return list(map(lambda x: x + $k, xs))",
          "out = []\nfor x in xs:\n    out.append(x + $k)\nreturn out"),
    _list("times_each", "a list with each number in xs multiplied by $k", "return [x * $k for x in xs]", "return list(map(lambda x: x * $k, xs))",
          "out = []\nfor x in xs:\n    out.append(x * $k)\nreturn out"),
    _list("first", "the first $k elements of xs", "return xs[:$k]", "return [x for i, x in enumerate(xs) if i < $k]",
          "out = []\nfor x in xs:\n    if len(out) < $k:\n        out.append(x)\nreturn out"),
    _list("without_first", "xs without its first $k elements", "return xs[$k:]", "return [x for i, x in enumerate(xs) if i >= $k]"),
    _list("every", "every ${k}th element of xs, starting with the first", "return xs[::$k]", "return [xs[i] for i in range(0, len(xs), $k)]",
          "return [x for i, x in enumerate(xs) if i % $k == 0]", constants=KS[2:]),
    _list("contains", "whether xs contains the number $k", "return $k in xs", "return any(x == $k for x in xs)", "return xs.count($k) > 0",
          "for x in xs:\n    if x == $k:\n        return True\nreturn False"),
    _list("count_of", "how often the number $k is in xs", "return xs.count($k)", "return sum(x == $k for x in xs)", "return len([x for x in xs if x == $k])"),
    _list("all_below", "whether all numbers in xs are less than $k", "return all(x < $k for x in xs)", "return not any(x >= $k for x in xs)",
          "for x in xs:\n    if x >= $k:\n        return False\nreturn True"),
    _list("append", "a new list with the elements of xs followed by $k", "return xs + [$k]", "return [*xs, $k]", "out = list(xs)\nout.append($k)\nreturn out"),
    _list("multiples_of", "a list of the numbers in xs that are divisible by $k", "return [x for x in xs if x % $k == 0]",
          "return list(filter(lambda x: x % $k == 0, xs))", "out = []\nfor x in xs:\n    if x % $k == 0:\n        out.append(x)\nreturn out", constants=KS[1:]),
    _list("largest", "the largest number in xs", "return max(xs)", "return sorted(xs)[-1]", "best = xs[0]\nfor x in xs:\n    if x > best:\n        best = x\nreturn best",
          inputs=FULL, constants=ONCE),
    _list("smallest", "the smallest number in xs", "return min(xs)", "return sorted(xs)[0]", "best = xs[0]\nfor x in xs:\n    if x < best:\n        best = x\nreturn best",
          inputs=FULL, constants=ONCE),
    _list("total", "the sum of the numbers in xs", "return sum(xs)", "total = 0\nfor x in xs:\n    total += x\nreturn total", constants=ONCE),
    _list("average", "the average of the numbers in xs", "return sum(xs) / len(xs)", "total = 0\nfor x in xs:\n    total += x\nreturn total / len(xs)",
          "import statistics\nreturn statistics.fmean(xs)", inputs=FULL, constants=ONCE),
    _list("spread", "the largest number in xs minus the smallest", "return max(xs) - min(xs)", "xs = sorted(xs)\nreturn xs[-1] - xs[0]", inputs=FULL, constants=ONCE),
    _list("reversed", "xs in reverse order", "return xs[::-1]", "return list(reversed(xs))", "out = []\nfor x in xs:\n    out.insert(0, x)\nreturn out", constants=ONCE),
    _list("ascending", "xs sorted in ascending order", "return sorted(xs)", "out = list(xs)\nout.sort()\nreturn out", constants=ONCE),
    _list("descending", "xs sorted in descending order", "return sorted(xs, reverse=True)", "return sorted(xs)[::-1]", "return sorted(xs, key=lambda x: -x)",
          constants=ONCE),
    _list("evens", "a list of the even numbers in xs", "return [x for x in xs if x % 2 == 0]", "return list(filter(lambda x: x % 2 == 0, xs))",
          "out = []\nfor x in xs:\n    if x % 2 == 0:\n        out.append(x)\nreturn out", constants=ONCE),
    _list("odd_count", "how many numbers in xs are odd", "return sum(x % 2 for x in xs)", "return len([x for x in xs if x % 2 == 1])",
          "count = 0\nfor x in xs:\n    if x % 2:\n        count += 1\nreturn count", constants=ONCE),
    _list("unique", "how many different numbers are in xs", "return len(set(xs))", "seen = []\nfor x in xs:\n    if x not in seen:\n        seen.append(x)\nreturn len(seen)",
          constants=ONCE),
    _list("last", "the last element of xs", "return xs[-1]", "return xs[len(xs) - 1]", "return xs[::-1][0]", inputs=FULL, constants=ONCE),
    _list("running", "a list of the running totals of xs", "out = []\ntotal = 0\nfor x in xs:\n    total += x\n    out.append(total)\nreturn out",
          "return [sum(xs[:i + 1]) for i in range(len(xs))]", "from itertools import accumulate\nreturn list(accumulate(xs))", constants=ONCE),
    _list("square_each", "a list of the squares of the numbers in xs", "return [x * x for x in xs]", "return [x ** 2 for x in xs]",
          "return list(map(lambda x: x * x, xs))", "out = []\nfor x in xs:\n    out.append(x ** 2)\nreturn out", constants=ONCE),
    _list("is_sorted", "whether xs is in ascending order", "return xs == sorted(xs)", "return all(a <= b for a, b in zip(xs, xs[1:]))",
          "for i in range(len(xs) - 1):\n    if xs[i] > xs[i + 1]:\n        return False\nreturn True", constants=ONCE),
    _words("lengths", "a list of the lengths of the strings in words", "return [len(w) for w in words]", "return list(map(len, words))",
           "out = []\nfor w in words:\n    out.append(len(w))\nreturn out"),
    _words("joined", "the strings in words joined with a space", "return ' '.join(words)", "return ' '.join(w for w in words)"),
    _words("longer", "a list of the strings in words with more than $k letters", "return [w for w in words if len(w) > $k]",
           "return list(filter(lambda w: len(w) > $k, words))", "out = []\nfor w in words:\n    if len(w) > $k:\n        out.append(w)\nreturn out", constants=KS[:3]),
    _words("letters", "the total number of letters in words", "return sum(len(w) for w in words)", "return sum(map(len, words))", "return len(''.join(words))"),
    # text
    _text("upper", "s in upper case", "return s.upper()", "return ''.join(c.upper() for c in s)"),
    _text("lower", "s in lower case", "return s.lower()", "return ''.join(c.lower() for c in s)"),
    _text("backwards", "s reversed", "return s[::-1]", "return ''.join(reversed(s))", "out = ''\nfor c in s:\n    out = c + out\nreturn out"),
    _text("palindrome", "whether s reads the same backwards", "return s == s[::-1]", "return list(s) == list(reversed(s))", "return s == ''.join(reversed(s))"),
    _text("vowels", "the number of vowels in s", "return sum(c in 'aeiouAEIOU' for c in s)", "return len([c for c in s.lower() if c in 'aeiou'])",
          "count = 0\nfor c in s.lower():\n    if c in 'aeiou':\n        count += 1\nreturn count"),
    _text("count_letter", "how often the letter $c occurs in s", "return s.count('$c')", "return sum(c == '$c' for c in s)", "return len([c for c in s if c == '$c'])",
          constants=LETTERS),
    _text("without_letter", "s without the letter $c", "return s.replace('$c', '')", "return ''.join(c for c in s if c != '$c')",
          "out = ''\nfor c in s:\n    if c != '$c':\n        out += c\nreturn out", constants=LETTERS),
    _text("starts_with", "whether s starts with the letter $c", "return s.startswith('$c')", "return s[:1] == '$c'",
          inputs=[*TEXTS, "egg", "in", "no", "of", "so", "to", "at"], constants=LETTERS),
    _text("word_list", "a list of the words in s", "return s.split()", "return [w for w in s.split()]"),
    _text("word_count", "the number of words in s", "return len(s.split())", "return sum(1 for _ in s.split())"),
    _text("no_spaces", "s without spaces", "return s.replace(' ', '')", "return ''.join(c for c in s if c != ' ')", "return ''.join(s.split(' '))"),
    _text("digits_in", "the number of digits in s", "return sum(c.isdigit() for c in s)", "return len([c for c in s if c.isdigit()])",
          "return sum(c in '0123456789' for c in s)"),
    _text("title", "s with the first letter of the whole string in upper case and the rest unchanged", "return s[:1].upper() + s[1:]",
          "return s[0].upper() + s[1:] if s else s"),
    _text("repeat", "s repeated $k times", "return s * $k", "return ''.join([s] * $k)", "out = ''\nfor _ in range($k):\n    out += s\nreturn out", constants=KS),
    _text("longer_text", "whether s has more than $k characters", "return len(s) > $k", "return $k < len(s)", "return not len(s) <= $k", constants=KS),
    _text("head", "the first $k characters of s", "return s[:$k]", "return ''.join(list(s)[:$k])", "return ''.join(c for i, c in enumerate(s) if i < $k)", constants=KS),
    _text("longest_word", "the length of the longest word in s", "return max(len(w) for w in s.split())", "return max(map(len, s.split()))",
          "best = 0\nfor w in s.split():\n    if len(w) > best:\n        best = len(w)\nreturn best", inputs=SOLID),
    _text("characters", "the number of different characters in s", "return len(set(s))", "seen = ''\nfor c in s:\n    if c not in seen:\n        seen += c\nreturn len(seen)"),
)  # fmt: skip
