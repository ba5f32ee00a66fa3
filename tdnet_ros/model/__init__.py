"""The model in use, loading another beside it, and falling back to the CPU."""
