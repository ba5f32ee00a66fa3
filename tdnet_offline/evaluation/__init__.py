"""Evaluation of labels on data sets and bags."""
