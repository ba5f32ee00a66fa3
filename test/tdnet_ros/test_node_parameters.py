"""Parameters of a running node: descriptors, refused values, and changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.srv import DescribeParameters, SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from support.node_process import NodeProcess, lines_until
from support.node_process import parameters as node_parameters
from support.ros_graph import LATCHED, TIMEOUT, RosGraph, wait_for
from vision_msgs.msg import LabelInfo

from tdnet.class_map.model import ClassMap
from tdnet.errors import TdnetError
from tdnet_ros.parameter_values import Change
from tdnet_ros.parameters import PARAMETERS

ALPHA = "overlay.alpha"
DESIGNED = (
    *("variant", "weights", "class_map", "device", "precision", "input_size", "runtime"),
    *("output_size", "image_transport", "cameras"),
    *("overlay.alpha", "overlay.legend", "overlay.hidden_classes"),
    *(
        "provider",
        "confidence_threshold",
        "smoothing",
        "memory.max_gap",
        "max_rate",
        "idle_without_subscribers",
    ),
    *("depth", "points.classes"),
    *("diagnostics_period", "autostart", "bond", "jpeg_quality", "png_level", "enable"),
)


@pytest.fixture
def descriptors(graph: RosGraph) -> dict[str, ParameterDescriptor]:
    graph.start(autostart=False)
    request = DescribeParameters.Request(names=DESIGNED)
    answer = graph.call(DescribeParameters, "/tdnet/describe_parameters", request)
    return {descriptor.name: descriptor for descriptor in answer.descriptors}


@pytest.mark.distribution
def test_every_parameter_is_described(descriptors: dict[str, ParameterDescriptor]) -> None:
    assert sorted(descriptors) == sorted(DESIGNED)
    for name, descriptor in descriptors.items():
        assert descriptor.description, name
        ranges = descriptor.floating_point_range, descriptor.integer_range
        assert any(ranges) or descriptor.additional_constraints, name
    assert descriptors["autostart"].read_only


@pytest.mark.distribution
def test_live_parameters_can_be_set(active: RosGraph) -> None:
    values = {
        "output_size": [40, 50],
        "overlay.alpha": 0.25,
        "overlay.legend": False,
        "overlay.hidden_classes": ["sky"],
        "depth": "/camera/aligned_depth/image_raw",
        "points.classes": ["road"],
        "confidence_threshold": 0.5,
        "smoothing": 0.9,
        "memory.max_gap": 2.0,
        "max_rate": 5.0,
        "idle_without_subscribers": False,
        "jpeg_quality": 50,
        "png_level": 9,
        "enable": False,
        "diagnostics_period": 2.0,
        "diagnostics.silence_warn": 1.0,
        "diagnostics.silence_error": 5.0,
        "diagnostics.age_warn": 0.2,
        "diagnostics.age_error": 0.4,
        "diagnostics.rate_warn": 20.0,
        "diagnostics.rate_error": 10.0,
        "diagnostics.dropped_warn": 0.3,
        "diagnostics.dropped_error": 0.6,
        "diagnostics.lost_warn": 0.05,
        "capture.folder": "captures",
        "capture.seconds": 2.0,
        "capture.memory": 64.0,
        "capture.quota": 10.0,
        "capture.period": 5.0,
        "capture.low_confidence": 0.5,
        "capture.classes": ["person"],
        "capture.label_change": 0.5,
    }
    live = [spec.name for spec in PARAMETERS.values() if spec.change is Change.NEXT_FRAME]
    assert sorted(values) == sorted(live)
    for name, value in values.items():
        (result,) = active.set_parameters(**{name.replace(".", "__"): value})
        assert result.successful, result.reason
        assert active.get_parameter(name) == value


@pytest.mark.distribution
def test_a_whole_number_is_a_number(active: RosGraph) -> None:
    """As `ros2 param set /tdnet max_rate 5` sends it."""
    (result,) = active.set_parameters(max_rate=5)
    assert result.successful, result.reason
    assert active.get_parameter("max_rate") == 5.0


@pytest.mark.distribution
@pytest.mark.parametrize(
    ("limits", "accepted"),
    [
        ({"silence_warn": 20, "silence_error": 60}, True),
        ({"silence_error": 1.5, "silence_warn": 0.5}, True),
        ({"rate_warn": 8, "rate_error": 4.0}, True),
        ({"silence_warn": 60, "silence_error": 20}, False),
    ],
    ids=["both raised", "both lowered", "from below", "contradictory"],
)
def test_a_file_with_both_limits_is_loaded(
    active: RosGraph, tmp_path: Path, limits: dict[str, float], accepted: bool
) -> None:
    """As `ros2 param load` sends it: one request with every parameter of the file."""
    file = tmp_path / "tuned.yaml"
    values = {**{f"diagnostics.{name}": value for name, value in limits.items()}, ALPHA: 0.25}
    file.write_text(yaml.safe_dump({"/tdnet": {"ros__parameters": values}}, sort_keys=False))
    client = AsyncParameterClient(active.user, "/tdnet")
    assert client.wait_for_services(TIMEOUT)
    future = client.load_parameter_file(str(file))
    wait_for(future.done, "the answer")
    results = future.result().results
    assert [r.successful for r in results] == [accepted] * len(limits) + [True], results
    for name, value in limits.items():
        assert (active.get_parameter(f"diagnostics.{name}") == value) is accepted
        assert accepted or "diagnostics.silence_error is 20.0" in results[0].reason
    assert active.get_parameter(ALPHA) == 0.25


@pytest.mark.distribution
def test_a_whole_number_is_a_number_at_the_start(graph: RosGraph) -> None:
    """As `max_rate: 5` in a parameter file."""
    graph.start(autostart=False, max_rate=5, overlay__alpha=1)
    assert graph.get_parameter("max_rate") == 5.0
    assert graph.get_parameter("overlay.alpha") == 1.0


@pytest.mark.distribution
def test_parameters_of_a_file_that_the_node_does_not_have(
    start_process: Callable[..., NodeProcess], tmp_path: Path
) -> None:
    mistaken = tmp_path / "mistaken.yaml"
    given = {"wieghts": "/own.pkl", "overlay.alfa": 0.5, "frob": 1}
    # Read by rclpy, and by it only once there is such a topic or on some distributions only.
    standard = {
        "use_sim_time": False,
        "start_type_description_service": True,
        "qos_overrides./front/image.subscription.depth": 2,
    }
    mistaken.write_text(yaml.dump({"/**": {"ros__parameters": {**given, **standard}}}))
    missing = node_parameters(weights="nowhere.safetensors")
    process = start_process("--params-file", str(mistaken), *missing)
    lines = lines_until(process, "cannot configure")
    (line,) = [line for line in lines if "unknown parameter" in line]
    assert "[WARN]" in line
    assert "unknown parameter 'wieghts' (did you mean weights?)" in line
    assert "unknown parameter 'overlay.alfa' (did you mean overlay.alpha?)" in line
    assert "unknown parameter 'frob';" in line
    assert not [name for name in standard if name in line]
    assert "`ros2 param list /tdnet`" in line


@pytest.mark.distribution
def test_a_tilde_is_the_home_folder(
    graph: RosGraph, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(weights, tmp_path)
    (tmp_path / "own.yaml").write_text(ClassMap.load("cityscapes").to_yaml())
    graph.start(
        weights=f"~/{Path(weights).name}", class_map="~/own.yaml", device="cpu", autostart=False
    )
    assert graph.transition("configure")


@pytest.mark.distribution
def test_where_rclpy_does_not_tell_when_parameters_are_set(
    graph: RosGraph, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Humble."""
    monkeypatch.delattr("rclpy.node.Node.add_post_set_parameters_callback", raising=False)
    graph.start(weights=weights, device="cpu")
    info = graph.listen(LabelInfo, "/tdnet/label_info", LATCHED)
    info.wait(1)
    (result,) = graph.set_parameters(confidence_threshold=0.25)
    assert result.successful
    assert info.wait(2)[1].threshold == 0.25


@pytest.mark.parametrize(
    ("parameters", "part"),
    [
        ({"overlay__alpha": 3.0}, "overlay.alpha"),
        pytest.param(
            {"overlay__alpha": "abc"},
            r"'abc' \(string\); allowed is a value of type double: 0 to 1",
            marks=pytest.mark.distribution,
        ),
        ({"overlay__legend": 1}, r"1 \(integer\); allowed is a value of type bool: true"),
        ({"variant": "nope"}, "td4-psp18"),
        ({"cameras": ["a/b"]}, "letters"),
    ],
)
def test_a_bad_value_at_the_start_is_one_error(
    graph: RosGraph, parameters: dict[str, object], part: str
) -> None:
    with pytest.raises(TdnetError, match=part) as caught:
        graph.start(**parameters)
    assert "\n" not in str(caught.value)


# Last in the file: the shared node must not meet one of the tests above.
@pytest.mark.distribution
@pytest.mark.parametrize(
    ("parameter", "value", "part"),
    [
        ("overlay.alpha", 1.5, "out of range"),
        ("overlay.alpha", -0.1, "out of range"),
        ("overlay.alpha", float("nan"), "out of range"),
        ("confidence_threshold", 2.0, "out of range"),
        ("max_rate", -1.0, "out of range"),
        ("memory.max_gap", float("inf"), "out of range"),
        ("diagnostics_period", 0.0, "out of range"),
        ("jpeg_quality", 0, "out of range"),
        ("png_level", 10, "out of range"),
        ("jpeg_quality", 90.5, "90.5 (double); allowed is a value of type integer: 1 to 100"),
        ("overlay.legend", 1, "1 (integer); allowed is a value of type bool: true, false"),
        ("overlay.alpha", "abc", "'abc' (string); allowed is a value of type double: 0 to 1"),
        ("cameras", "front", "of type string array: at most 16"),
        ("output_size", "huge", "camera, network"),
        ("overlay.hidden_classes", ["road", "unicorn"], "overlay.hidden_classes names 'unicorn'"),
        ("points.classes", ["unicorn"], "points.classes names 'unicorn'"),
        ("bond", True, "bond cannot change while the node is configured"),
        ("autostart", False, "read-only"),
    ],
)
def test_an_active_node_refuses_with_a_reason(
    shared_active: RosGraph, parameter: str, value: object, part: str
) -> None:
    before = shared_active.get_parameter(parameter)
    (result,) = shared_active.set_parameters(**{parameter.replace(".", "__"): value})
    assert not result.successful
    assert part in result.reason
    assert shared_active.get_parameter(parameter) == before


@pytest.mark.distribution
@pytest.mark.parametrize("other", [{}, {"weights": ""}], ids=["alone", "with a new model"])
def test_an_unknown_parameter_is_refused_with_the_nearest(
    shared_active: RosGraph, other: dict[str, object]
) -> None:
    parameters = {**other, "overlay.alfa": 0.5}
    request = SetParametersAtomically.Request(
        parameters=[Parameter(name, value=v).to_parameter_msg() for name, v in parameters.items()]
    )
    answer = shared_active.call(
        SetParametersAtomically, "/tdnet/set_parameters_atomically", request
    )
    assert not answer.result.successful
    assert "unknown parameter 'overlay.alfa' (did you mean overlay.alpha?)" in answer.result.reason


@pytest.mark.distribution
@pytest.mark.parametrize("name", ["input_size", "overlay.hidden_classes"])
def test_an_empty_array_fits_whatever_its_type(active: RosGraph, name: str) -> None:
    """`ros2 param set /tdnet NAME []` sends an empty array of bool."""
    value = [97, 193] if name == "input_size" else ["sky"]
    (result,) = active.set_parameters(**{name.replace(".", "__"): value})
    assert result.successful
    empty = Parameter(name, Parameter.Type.BOOL_ARRAY, [])
    request = SetParameters.Request(parameters=[empty.to_parameter_msg()])
    (result,) = active.call(SetParameters, "/tdnet/set_parameters", request).results
    assert result.successful, result.reason
    assert active.get_parameter(name) == []


@pytest.mark.distribution
def test_a_value_of_no_type_is_answered(active: RosGraph) -> None:
    unknown = Parameter("max_rate", value=1.0).to_parameter_msg()
    unknown.value.type = 77
    good = Parameter("overlay.alpha", value=0.25).to_parameter_msg()
    request = SetParameters.Request(parameters=[unknown, good])
    results = active.call(SetParameters, "/tdnet/set_parameters", request).results
    assert [result.successful for result in results] == [False, True]
    assert results[0].reason
