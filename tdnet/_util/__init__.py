"""Helpers that know nothing of networks: files, devices, packages, clocks."""
