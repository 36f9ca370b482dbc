"""Runs programs that nobody has read. `run` is the door; `isolate` and `serve` are scripts that it starts."""
