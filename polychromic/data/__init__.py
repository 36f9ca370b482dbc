"""From packages to records to splits."""
