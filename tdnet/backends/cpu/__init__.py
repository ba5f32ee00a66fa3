"""The networks in forms that are faster on a CPU, with the same results."""
