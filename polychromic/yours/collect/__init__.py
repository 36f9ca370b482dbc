"""Posts and replies from a source into an append-only raw log. Nothing is judged here: that is curation's."""
