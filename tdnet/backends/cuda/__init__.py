"""CUDA graphs of a network, and kernels for preprocessing and postprocessing."""
