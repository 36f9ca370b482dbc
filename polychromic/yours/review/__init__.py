"""The terminal reviewer: log.py (what decisions mean, and their file), session.py (the screen, keys to decisions), results.py (the
reviewed set, and the agreement of two passes)."""
