"""The values of node settings by the names of their parameters, as ROS carries them."""

from __future__ import annotations

from tdnet_ros.parameter_values import Value
from tdnet_ros.parameters import PARAMETERS, NodeSettings, camera_specs


def parameter_values(settings: NodeSettings) -> dict[str, Value]:
    """Return the value of every parameter, those of the cameras included."""
    values = {name: spec.to_value(settings) for name, spec in PARAMETERS.items()}
    for camera in settings.cameras:
        own, settings_of_camera = settings.own.get(camera, {}), settings.of_camera(camera)
        for spec in camera_specs(camera):
            is_own = spec.path[-1] in own
            values[spec.name] = spec.to_value(settings_of_camera) if is_own else spec.default
    return values
