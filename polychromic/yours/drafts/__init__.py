"""Drafts: k replies to each prompt of a file or a stream, from a base model and its adapters (`polychromic draw`)."""
