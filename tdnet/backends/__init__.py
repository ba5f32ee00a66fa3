"""What runs a network: PyTorch on a CPU or a CUDA GPU, or an exported graph."""
