"""How good the labels are: on data sets and on bags."""
