"""Camera images to network input, network output to label images."""
