"""Runs the node's process under faults and accounts for every frame."""
