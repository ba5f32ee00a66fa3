"""Weights files, of our own layout and of the published one."""
