"""The soak: the node's process under faults for an hour, every frame accounted for."""
