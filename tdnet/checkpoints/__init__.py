"""Weights files: ours, and those of the published code."""
