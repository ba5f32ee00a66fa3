"""The model in use, its replacement by another, and the fallback to the CPU."""
