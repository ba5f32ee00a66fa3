"""Captures: the last seconds of a camera as a bag, on request or by rule, to learn from."""
