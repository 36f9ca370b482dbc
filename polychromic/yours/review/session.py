"""Keys to decisions: one key in, a new screen to draw out. No terminal: tests press keys here.

Keys are characters or names ("enter", "esc", "left", "backspace", "ctrl-u" …) as review.terminal reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import ascii_lowercase

from polychromic.base.errors import PolychromicError
from polychromic.data.records import Record
from polychromic.yours.review.browse import STATES, Browser, texts
from polychromic.yours.review.editor import Line, clean
from polychromic.yours.review.state import OTHER, REASONS, Action, Review

KEYS = {
    "a": "accept",
    "r": "reject, then the number of a reason",
    "e": "edit the reply (an edit accepts)",
    "p": "edit the post",
    "o": "edit both in the program of $VISUAL or $EDITOR",
    "u": "undo, as often as you like",
    "s": "skip for now",
    "n or \u2192": "next, without a decision",
    "b or \u2190": "back, without a decision",
    "f": "filter by state or stratum",
    "/": "search for a text",
    "space": "more of a long text",
    "?": "this help",
    "q": "quit; the next call goes on here",
}
PROMPTS = {"reply": "reply", "post": "post", "note": "reason in your own words", "search": "search (empty: all)"}
SCROLL = {" ": 1, "pagedown": 1, "pageup": -1}


class Session:
    """A review in progress.

    Args:
        records: the candidates by id, in the order of `review.ids`.
        review: the state so far.
        append: keeps an action for good, and raises PolychromicError when it cannot; then the decision does not count.
        last: the action the log ends with; the session goes on behind it.
    """

    def __init__(
        self,
        records: Mapping[str, Record],
        review: Review,
        append: Callable[[Action], None] = lambda action: None,
        last: Action | None = None,
    ):
        self.records, self.review, self._append = records, review, append
        self.browser = Browser(records, review)
        self.mode = "browse"  # or "reason", "filter", "help", or a key of PROMPTS: a line is being edited
        self.line = Line()
        self.message = ""
        self.scroll = 0
        if last is None:
            self.browser.advance()
        elif last.act == "undo":
            self.browser.at = last.id
        else:
            self.browser.advance(last.id)

    def press(self, key: str) -> str | None:
        """Apply one key; "quit" or "editor" (call `edited` afterwards) when the terminal has to do something, else None."""
        event, before = None, (self.browser.at, self.mode)
        self.message = ""
        if self.mode in PROMPTS:
            self._press_line(key)
        elif key == "ctrl-c" or self.mode == "browse" and key == "q":
            return "quit"
        elif key in SCROLL:
            self.scroll = max(0, self.scroll + SCROLL[key])
        elif self.mode == "browse":
            event = self._press_browse(key)
        else:
            choice, self.mode = self.mode, "browse"
            if key not in ("esc", "q"):
                {"reason": self._press_reason, "filter": self._press_filter, "help": lambda key: None}[choice](key)
        if (self.browser.at, self.mode) != before:
            self.scroll = 0
        return event

    def _press_browse(self, key: str) -> str | None:
        moves = {"n": 1, "right": 1, "down": 1, "b": -1, "left": -1, "up": -1}
        at = self.browser.at
        if key in ("?", "f"):
            self.mode = {"?": "help", "f": "filter"}[key]
        elif key == "/":
            self._edit("search", self.browser.filter.text)
        elif key == "u":
            self._undo()
        elif key in moves:
            self.browser.step(moves[key])
        elif key in tuple("arepos") and at is None:
            self.message = "no candidate passes the filter; f changes it"
        elif key == "a":
            self._decide(Action("accept", at))
        elif key == "s":
            self._decide(Action("skip", at))
        elif key == "r":
            self.mode = "reason"
        elif key in ("e", "p"):
            post, reply = self.texts()
            self._edit(*(("reply", reply) if key == "e" else ("post", post)))
        elif key == "o":
            return "editor"
        elif not key.startswith("paste:"):  # a pasted text is no row of decisions
            self.message = f"key {key!r} does nothing; ? shows the keys"
        return None

    def texts(self) -> tuple[str, str]:
        """Post and reply on the screen."""
        return texts(self.records, self.review, self.browser.at)

    def _edit(self, mode: str, text: str) -> None:
        self.mode, self.line = mode, Line(text)

    def _press_line(self, key: str) -> None:
        if key in ("esc", "ctrl-c"):
            self.mode, self.message = "browse", "nothing changed"
        elif key != "enter":
            self.line.press(key)
        elif self.mode == "search":
            self.mode = "browse"
            self.browser.narrow(text=self.line.text.strip())
        elif self.mode == "note":
            if self.line.text.strip():
                self.mode = "browse"
                self._decide(Action("reject", self.browser.at, OTHER, " ".join(self.line.text.split())))
            else:
                self.message = "write a reason, or press Esc"
        else:
            post, reply = self.texts()
            texts_now = (self.line.text, reply) if self.mode == "post" else (post, self.line.text)
            if self.edited(*texts_now):
                self.mode = "browse"

    def edited(self, post: str, reply: str) -> bool:
        """Take over edited texts as a decision; False (and a message) when they are not fit for one."""
        try:
            post, reply = clean(post), clean(reply)
        except ValueError as error:
            self.message = str(error)
            return False
        if (post, reply) == self.texts():
            self.message = "nothing changed"
        else:
            self._decide(Action("edit", self.browser.at, prompt=post, reply=reply))
        return True

    def reasons(self) -> list[tuple[str, str, str]]:
        """(key to press, reason, what it says) of the numbered list."""
        numbered = [(str(number), name, text) for number, (name, text) in enumerate(REASONS.items(), start=1)]
        return [*numbered, (str(len(numbered) + 1), OTHER, "another reason, in your own words")]

    def _press_reason(self, key: str) -> None:
        reason = next((name for number, name, _ in self.reasons() if number == key), None)
        if reason is None:
            self.mode, self.message = "reason", "press a number, or Esc"
        elif reason == OTHER:
            self._edit("note", "")
        else:
            self._decide(Action("reject", self.browser.at, reason))

    def filters(self) -> list[tuple[str, str]]:
        """(key to press, state or stratum) of the list of filters."""
        states = [(str(number), name) for number, name in enumerate(STATES, start=1)]
        return states + list(zip(ascii_lowercase, self.browser.strata, strict=False))

    def _press_filter(self, key: str) -> None:
        name = dict(self.filters()).get(key)
        if name is None:
            self.mode, self.message = "filter", "press a number or a letter of the list, or Esc"
        elif name == "all":
            self.browser.narrow()
        elif name in STATES:
            self.browser.narrow(state=name)
        else:
            self.browser.narrow(stratum=name)
        if self.browser.at is None:
            self.message = f"no candidate passes the filter: {self.browser.filter}"

    def _decide(self, action: Action) -> None:
        if self._kept(action):
            self.browser.advance(action.id)
            counts = self.review.counts()
            if not counts["undecided"]:
                self.message = "every candidate is decided; q quits, and --export writes the set"

    def _undo(self) -> None:
        last = self.review.undoable
        if last is None:
            self.message = "nothing to undo"
        elif self._kept(Action("undo", last.id)):
            self.browser.show(last.id)
            self.message = f"undone: {last.act}"

    def _kept(self, action: Action) -> bool:
        """Log first, then count: a decision that is not on the disk is none."""
        try:
            self.review.check(action)
            self._append(action)
        except (PolychromicError, ValueError) as error:
            self.message = str(error)
            return False
        self.review.do(action)
        return True
