"""How fast the networks are: measured, and against a plain formulation of the same network."""
