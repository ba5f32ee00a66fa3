"""CUDA graphs of a network, and kernels for what is before and after it."""
