"""Export: an ONNX graph for each path of a network, and a description of how to run them."""
