"""Property tests: the same examples on every run, and no wall-clock deadline on a busy machine."""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")
