# Sourced by bash and zsh with the checkout as the working folder. Sets the origin of ROS 2 and
# the folders of this checkout's environment:
#   TDNET_ROS      system (the sourced ROS 2), kilted or jazzy (wheels)
#   TDNET_VENV     virtual environment
#   TDNET_OVERLAY  colcon workspace of the development overlay
# and the paths for CMake and the compiler, if tools/environment/setup unpacked the headers of Python.
# Unsets PYTHONDONTWRITEBYTECODE.

# In this order: ROS=..., the value of a sourced tools/environment/activate, a sourced ROS 2, wheels.
if [ -n "${ROS:-}" ]; then
  TDNET_ROS=$ROS
elif [ -z "${TDNET_ROS:-}" ]; then
  if [ -n "${ROS_DISTRO:-}" ] && python3 -c 'import rclpy' 2>/dev/null; then
    TDNET_ROS=system
  else
    TDNET_ROS=kilted
  fi
fi

case $TDNET_ROS in
  kilted) _tdnet_suffix= ;;
  jazzy | system) _tdnet_suffix=-$TDNET_ROS ;;
  *)
    echo "ROS=$TDNET_ROS: choose kilted or jazzy (wheels), or system (the sourced ROS 2)" >&2
    return 1
    ;;
esac
TDNET_VENV=$PWD/.venv$_tdnet_suffix
TDNET_OVERLAY=$PWD/.ros$_tdnet_suffix
unset _tdnet_suffix

if [ -d "$TDNET_VENV/headers" ]; then
  export CPATH=$TDNET_VENV/headers/usr/include
  export CMAKE_INCLUDE_PATH=$(echo "$CPATH"/python3*)
fi

# pip does not compile here, so each module is compiled, and kept, when it is first imported. With
# this variable of some containers, every process would compile all of PyTorch again.
unset PYTHONDONTWRITEBYTECODE
