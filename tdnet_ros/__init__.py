"""The ROS 2 node that segments camera images with the networks of `tdnet`."""

from pkgutil import extend_path

# In a source tree this folder hides the generated `tdnet_ros.msg` of the overlay, which is a
# folder of the same name further down the path.
__path__ = extend_path(__path__, __name__)
