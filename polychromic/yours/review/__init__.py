"""The terminal reviewer: what a person decides about each candidate, logged so that log and candidates give the set again.

state.py is what decisions mean (pure); log.py keeps them; browse.py is what is looked at; session.py turns keys into decisions;
editor.py edits a line; screen.py draws; terminal.py is the only part that touches the terminal. export.py and agreement.py read logs.
"""
