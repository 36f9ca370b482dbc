"""One-off evaluation: anybody's replies, or replies drawn here from a model and adapters. Never touches tracked results."""
