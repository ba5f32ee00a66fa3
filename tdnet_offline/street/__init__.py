"""A synthetic street drive: a moving camera, a street drawn from a seed, exact labels."""

from tdnet_offline.street.drive import StreetDrive, StreetFrame

__all__ = ["StreetDrive", "StreetFrame"]
