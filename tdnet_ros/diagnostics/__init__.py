"""What is wrong with the node or a camera, and why nothing is published."""
