"""One camera, from its messages to the published outputs."""
