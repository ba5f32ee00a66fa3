"""How long a frame takes through the node: real topics, real processes, stage by stage."""
