"""The parameters on a ROS node: declaration, checks, and the services that set them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import cast

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_parameters

from tdnet.errors import nearest_name, one_line, quoted
from tdnet_ros.parameter_values import Change, ParameterError, ParameterSpec, Value
from tdnet_ros.parameters import PARAMETERS, NodeSettings, camera_specs, find_spec
from tdnet_ros.rclpy_tools.node_log import describe

SetTogether = Callable[[list[Parameter]], Awaitable[SetParametersResult]]

_ARRAYS = frozenset(kind for kind in Parameter.Type if kind.name.endswith("_ARRAY"))
# Names that other parts of ROS read: rclpy declares them late, or on some distributions only.
_STANDARD = ("qos_overrides.", "use_sim_time", "start_type_description_service")
# Checked against the class map of the model that is set with them.
_WITH_MODEL = frozenset({"overlay.hidden_classes", "points.classes", "capture.classes"})
_MAX_SHOWN = 64
_MAX_UNKNOWN = 5


def declare(node: Node) -> NodeSettings:
    """Declare every parameter on a node and read them.

    Raises:
        TdnetError: The node was started with a value that is not allowed.
    """
    for spec in PARAMETERS.values():
        _declare_given(node, spec)
    for spec in _camera_specs(node):
        _declare_given(node, spec)
    return read(node)


def follow_cameras(node: Node) -> None:
    """Declare the parameters of new cameras, and remove those of cameras that are gone.

    Values from the start do not count: those of other cameras were reported as ignored.
    """
    wanted = {spec.name: spec for spec in _camera_specs(node)}
    for name in _names(node):
        if name not in PARAMETERS and name not in wanted and find_spec(name):
            node.undeclare_parameter(name)
    for name, spec in wanted.items():
        if not node.has_parameter(name):
            node.declare_parameter(name, spec.default, descriptor(spec), ignore_override=True)


def _camera_specs(node: Node) -> list[ParameterSpec]:
    cameras = PARAMETERS["cameras"].from_value(node.get_parameter("cameras").value)
    return [spec for camera in cast(Iterable[str], cameras) for spec in camera_specs(camera)]


def _names(node: Node) -> list[str]:
    return list(node.get_parameters_by_prefix(""))


def _declare_given(node: Node, spec: ParameterSpec) -> None:
    """Declare a parameter with its value from command line or file, if there is one."""
    # rclpy has no public name for these values.
    overrides = node._parameter_overrides
    if spec.name in overrides:
        given = overrides[spec.name] = typed(overrides[spec.name])
        # An empty list on the command line is a value that is not set.
        if not spec.example or given.type_ is not Parameter.Type.NOT_SET:
            _check_type(given, _kind(spec))
    try:
        _declare_one(node, spec)
    except InvalidParameterValueException as error:
        raise ParameterError(str(error)) from None


def _declare_one(node: Node, spec: ParameterSpec) -> None:
    if not spec.example:
        node.declare_parameter(spec.name, spec.default, descriptor(spec))
        return
    # An empty list has no type: neither as a default nor as a given value.
    declared = node.declare_parameter(spec.name, _kind(spec), descriptor(spec))
    if declared.type_ == Parameter.Type.NOT_SET:
        # Not the node's own setter, which would apply parameters that are not all declared yet.
        Node.set_parameters(node, [Parameter(spec.name, _kind(spec), spec.default)])


def descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    """Return the descriptor that ROS shows and checks."""
    found = ParameterDescriptor(
        name=spec.name,
        description=spec.description,
        read_only=spec.change is Change.RESTART,
        dynamic_typing=spec.any_type,
    )
    if spec.range is None:
        found.additional_constraints = spec.allowed
    elif isinstance(spec.default, int):
        lowest, highest = map(int, spec.range)
        found.integer_range = [IntegerRange(from_value=lowest, to_value=highest)]
    else:
        low, high = spec.range
        found.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return found


def _kind(spec: ParameterSpec) -> Parameter.Type:
    return Parameter.Type.from_parameter_value(list(spec.example) or spec.default)


def read(node: Node, changed: Iterable[Parameter] = ()) -> NodeSettings:
    """Return the settings of a node with the changed parameters; raise a TdnetError."""
    given = {**node.get_parameters_by_prefix(""), **{p.name: p for p in changed}}
    return NodeSettings.from_values({name: cast(Value, p.value) for name, p in given.items()})


def typed(parameter: Parameter) -> Parameter:
    """Return a parameter with the declared type, where users mean it but do not write it.

    `[]` shows no type, and `ros2 param set /tdnet max_rate 5` sends a whole number.
    """
    spec = find_spec(parameter.name)
    if spec is None:
        return parameter
    if spec.example and parameter.type_ in _ARRAYS and not parameter.value:
        return Parameter(parameter.name, _kind(spec), [])
    if isinstance(spec.default, float) and parameter.type_ == Parameter.Type.INTEGER:
        return Parameter(parameter.name, Parameter.Type.DOUBLE, float(parameter.value))
    return parameter


def unknown_overrides(node: Node) -> str:
    """Return one line on the given parameters that the node does not have, or ""."""
    unknown = [
        _unknown(node, name)
        for name in node._parameter_overrides
        if not node.has_parameter(name) and not name.startswith(_STANDARD)
    ]
    if len(unknown) > _MAX_UNKNOWN:
        unknown[_MAX_UNKNOWN:] = [f"and {len(unknown) - _MAX_UNKNOWN} more"]
    listed = f"ignored at the start: {'; '.join(unknown)}; {_where_listed(node)}"
    return listed if unknown else ""


def check_known(node: Node, changed: Iterable[Parameter]) -> None:
    """Raise a ParameterError for parameters that are not declared, or have another type.

    rclpy refuses them too, but without what is allowed, and only after a model was loaded.
    """
    for parameter in changed:
        if not node.has_parameter(parameter.name):
            raise ParameterError(f"{_unknown(node, parameter.name)}; {_where_listed(node)}")
        _check_type(parameter, node.get_parameter(parameter.name).type_)


def check_change_allowed(node: Node, changed: Iterable[Parameter]) -> None:
    """Raise a ParameterError for parameters that a configured node cannot change."""
    late = [
        p.name
        for p in changed
        if (spec := find_spec(p.name)) is not None
        and spec.change is Change.CLEANUP
        and p.value != node.get_parameter(p.name).value
    ]
    if late:
        raise ParameterError(
            f"{', '.join(late)} cannot change while the node is configured; deactivate and clean "
            "up the node, set it, then configure and activate again"
        )


def needs_new_model(names: Iterable[str]) -> bool:
    """Return whether parameters of these names are among those that choose the model."""
    specs = (PARAMETERS.get(name) for name in names)
    return any(spec is not None and spec.change is Change.NEW_MODEL for spec in specs)


def groups_of_request(names: Sequence[str]) -> list[list[int]]:
    """Group the parameters of one request that are set together: indices of their names.

    The parameters that choose the model fit each other only together, and lists of classes fit
    the model's class map. The two limits of one value are checked against each other. Every other
    parameter is a group of its own.
    """
    model: list[int] = []
    others: dict[str, list[int]] = {}
    new_model = needs_new_model(names)
    for index, name in enumerate(names):
        if needs_new_model([name]) or (new_model and name in _WITH_MODEL):
            model.append(index)
        else:
            limited = name.removesuffix("_warn").removesuffix("_error")
            others.setdefault(limited, []).append(index)
    return [model, *others.values()] if model else list(others.values())


def _check_type(parameter: Parameter, kind: Parameter.Type) -> None:
    spec = find_spec(parameter.name)
    if parameter.type_ is kind or (spec is not None and spec.any_type):
        return
    allowed = f": {spec.allowed}" if spec else ""
    raise ParameterError(
        f"{parameter.name} is {one_line(repr(parameter.value), _MAX_SHOWN)} "
        f"({_words(parameter.type_)}); allowed is a value of type {_words(kind)}{allowed}"
    )


def _words(kind: Parameter.Type) -> str:
    return kind.name.lower().replace("_", " ")


def _unknown(node: Node, name: str) -> str:
    close = nearest_name(name, _names(node))
    hint = f" (did you mean {close}?)" if close else ""
    return f"unknown parameter {quoted(name)}{hint}"


def _where_listed(node: Node) -> str:
    return f"`ros2 param list {node.get_fully_qualified_name()}` lists all"


class SetParametersServices:
    """`~/set_parameters` and `~/set_parameters_atomically`.

    They replace rclpy's own, whose callbacks block the executor until they have an answer. These
    wait for it in a coroutine: the executor serves images and other requests meanwhile.
    """

    def __init__(self, node: Node, set_together: SetTogether) -> None:
        self._set_together = set_together
        # Requests may overlap, and must not block the node's other callbacks.
        callbacks = ReentrantCallbackGroup()
        for service in list(node.services):
            if service.srv_type in (SetParameters, SetParametersAtomically):
                node.destroy_service(service)
        options = {"qos_profile": qos_profile_parameters, "callback_group": callbacks}
        node.create_service(SetParameters, "~/set_parameters", self._set, **options)
        node.create_service(
            SetParametersAtomically, "~/set_parameters_atomically", self._set_atomically, **options
        )

    async def _set(
        self, request: SetParameters.Request, response: SetParameters.Response
    ) -> SetParameters.Response:
        messages = request.parameters
        results: dict[int, SetParametersResult] = {}
        for indices in groups_of_request([message.name for message in messages]):
            result = await self._answer([messages[index] for index in indices])
            results.update((index, result) for index in indices)
        response.results = [results[index] for index in range(len(messages))]
        return response

    async def _set_atomically(
        self, request: SetParametersAtomically.Request, response: SetParametersAtomically.Response
    ) -> SetParametersAtomically.Response:
        response.result = await self._answer(request.parameters)
        return response

    async def _answer(self, messages: Sequence[ParameterMessage]) -> SetParametersResult:
        try:
            given = [Parameter.from_parameter_msg(message) for message in messages]
            return await self._set_together([typed(parameter) for parameter in given])
        # An unknown name, the wrong type, or a type that ROS does not have.
        except ValueError as error:
            return SetParametersResult(successful=False, reason=describe(error))
