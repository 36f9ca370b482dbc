"""Qualities to start from: each a function of a row and N replies to it that returns N numbers in [0, 1] (docs/qualities.md)."""
