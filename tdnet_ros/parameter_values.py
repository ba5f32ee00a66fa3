"""The values that users give parameters, at the start or by a service: typed and checked."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from tdnet.errors import one_line, quoted
from tdnet_ros.parameters import BY_NAME, PARAMETERS, ParameterSpec, read
from tdnet_ros.settings import NodeSettings, ParameterError, Value

_ARRAYS = frozenset(kind for kind in Parameter.Type if kind.name.endswith("_ARRAY"))
# Names that other parts of ROS read: rclpy declares them late, or on some distributions only.
_STANDARD = ("qos_overrides.", "use_sim_time", "start_type_description_service")
_MAX_SHOWN = 64
_MAX_UNKNOWN = 5


def declare(node: Node) -> NodeSettings:
    """Declare every parameter on a node and read them.

    Raises:
        TdnetError: the node was started with a value that is not allowed.
    """
    defaults = NodeSettings().to_values()
    # rclpy has no public name for the values that command line and files give.
    overrides = node._parameter_overrides
    for spec in PARAMETERS:
        if spec.name in overrides:
            given = overrides[spec.name] = typed(overrides[spec.name])
            kind = spec.kind or Parameter.Type.from_parameter_value(defaults[spec.name])
            # An empty list on the command line is a value that is not set.
            if spec.kind is None or given.type_ is not Parameter.Type.NOT_SET:
                _check_type(given, kind)
        try:
            _declare_one(node, spec, defaults[spec.name])
        except InvalidParameterValueException as error:
            raise ParameterError(str(error)) from None
    return read(node)


def _declare_one(node: Node, spec: ParameterSpec, default: Value) -> None:
    descriptor = spec.descriptor()
    if spec.name == "output_size":
        descriptor.dynamic_typing = True  # text or an array of numbers
    if spec.kind is None:
        node.declare_parameter(spec.name, default, descriptor)
        return
    # An empty list shows no type: neither as a default nor as the value that a user gives.
    declared = node.declare_parameter(spec.name, spec.kind, descriptor)
    if declared.type_ == Parameter.Type.NOT_SET:
        # Past the node's own setter, which would apply parameters that are not all there yet.
        Node.set_parameters(node, [Parameter(spec.name, spec.kind, default)])


def unknown_overrides(node: Node) -> str:
    """Return one line on parameters that the node was started with and does not have, or ""."""
    unknown = [
        _unknown(name)
        for name in node._parameter_overrides
        if not node.has_parameter(name) and not name.startswith(_STANDARD)
    ]
    if not unknown:
        return ""
    if len(unknown) > _MAX_UNKNOWN:
        unknown[_MAX_UNKNOWN:] = [f"and {len(unknown) - _MAX_UNKNOWN} more"]
    return f"ignored at the start: {'; '.join(unknown)}; {_where_listed(node)}"


def typed(parameter: Parameter) -> Parameter:
    """Give a value the type that was declared, where users mean it but do not write it.

    `[]` shows no type, and `ros2 param set /tdnet max_rate 5` sends a whole number.
    """
    spec = BY_NAME.get(parameter.name)
    if spec is None:
        return parameter
    if spec.kind is not None and parameter.type_ in _ARRAYS and not parameter.value:
        return Parameter(parameter.name, spec.kind, [])
    if spec.range is not None and parameter.type_ == Parameter.Type.INTEGER:
        return Parameter(parameter.name, Parameter.Type.DOUBLE, float(parameter.value))
    return parameter


def check_known(node: Node, changed: Iterable[Parameter]) -> None:
    """Refuse parameters that were not declared, or with another type.

    rclpy does so too, but without what is allowed, and after a model was loaded for them.

    Raises:
        ParameterError: a parameter is unknown or has the wrong type.
    """
    for parameter in changed:
        if not node.has_parameter(parameter.name):
            raise ParameterError(f"{_unknown(parameter.name)}; {_where_listed(node)}")
        _check_type(parameter, node.get_parameter(parameter.name).type_)


def _check_type(parameter: Parameter, kind: Parameter.Type) -> None:
    if parameter.type_ is kind or parameter.name == "output_size":
        return
    spec = BY_NAME.get(parameter.name)
    allowed = f", {spec.allowed}" if spec else ""
    raise ParameterError(
        f"{parameter.name} is {one_line(repr(parameter.value), _MAX_SHOWN)} "
        f"({_words(parameter.type_)}); allowed is a value of type {_words(kind)}{allowed}"
    )


def _words(kind: Parameter.Type) -> str:
    return kind.name.lower().replace("_", " ")


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name[:_MAX_SHOWN], BY_NAME, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"unknown parameter {quoted(name)}{hint}"


def _where_listed(node: Node) -> str:
    return f"`ros2 param list {node.get_fully_qualified_name()}` lists all"
