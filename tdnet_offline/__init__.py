"""Datasets, the synthetic street drive, and the ``tdnet`` command; works without ROS."""
