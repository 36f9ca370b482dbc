"""The terminal reviewer: log.py (what decisions mean, and their file), session.py (keys to decisions), terminal.py (screen and keys),
results.py (the reviewed set, and the agreement of two passes)."""
