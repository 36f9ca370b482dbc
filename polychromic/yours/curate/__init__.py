"""From raw posts and replies to candidates for review: declared filters, duplicates, caps, strata. No model, no network.

rules.yaml says what is kept and why; rules.py reads such a file and, with language.py, judges one pair; selection.py reads the log and
judges a pair among the others; run.py puts them in order and shows what was dropped.
"""
