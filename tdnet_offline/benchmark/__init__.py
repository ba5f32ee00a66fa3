"""How fast the networks are, and how accurate in each precision."""
