"""`/diagnostics`: a list of checks over a snapshot of the node and of each camera."""
