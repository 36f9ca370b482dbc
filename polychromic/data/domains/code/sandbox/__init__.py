"""Runs programs that nobody has read. `run` is the door; `serve` is a script that it starts, with `isolate` and `values`; `walls` tries
each wall with real programs."""
