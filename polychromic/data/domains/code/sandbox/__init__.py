"""Runs programs that nobody has read. `run` is the door; `isolate` and `child` are scripts that it starts."""
