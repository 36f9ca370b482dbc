"""Where a printed value comes from, and whether what lies here is what was recorded. Pure Python: no torch, no pandas, no dvc."""
