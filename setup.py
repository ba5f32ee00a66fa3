"""The Python packages for pip, without ROS; `setup.cfg` holds the metadata."""

from setuptools import find_packages, setup

PACKAGES = ("tdnet", "tdnet_ros", "tdnet_offline")

setup(
    packages=[
        *find_packages(include=[*PACKAGES, *(f"{package}.*" for package in PACKAGES)]),
        # Plain files, which an installation has beside the modules: see tdnet/_util/resources.py.
        "tdnet.config",
    ],
    package_dir={"tdnet.config": "config"},
)
