"""Export: a graph for each path of a network, and a description that a program can follow."""
