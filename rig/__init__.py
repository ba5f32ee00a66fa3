"""Runs the node's process from outside: what the demo and the soak share."""
