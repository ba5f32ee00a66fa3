"""Exported graphs: the folder that holds them, and the runtimes that run them."""
