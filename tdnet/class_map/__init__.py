"""Class ids, names and colours."""
