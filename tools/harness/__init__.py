"""Runs the node's process from outside: what the demo, the soak and the benchmark share."""
