"""The ROS 2 node that segments camera images with the networks of `tdnet`."""

import os
from pkgutil import extend_path

# In a source tree this folder hides the generated `tdnet_ros.msg` of the overlay, which is a
# folder of the same name further down the path.
__path__ = extend_path(__path__, __name__)

# PyTorch's OpenMP reads it when it is loaded, so it is set before. A thread that waits for the
# others by spinning keeps them from the processor wherever somebody else is at work on it, as
# camera driver and middleware always are: with two threads on two busy cores a frame took ten
# times as long as with threads that sleep. Who sets it himself decides.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
