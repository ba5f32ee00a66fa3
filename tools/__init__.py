"""Programs of a checkout: demo, soak, benchmarks of the node, the study; never installed."""
