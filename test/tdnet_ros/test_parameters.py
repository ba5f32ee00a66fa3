"""The table of parameters: its rows, the values that it takes, and what derives from it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.parameters import parameter_values

from tdnet._util.device import PRECISIONS
from tdnet.errors import TdnetError
from tdnet_ros.parameter_groups import DiagnosticLimits
from tdnet_ros.parameter_values import ParameterError, ParameterSpec, parse_camera_topics
from tdnet_ros.parameters import PARAMETERS, NodeSettings
from tools import parameter_files

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("spec", PARAMETERS.values(), ids=lambda spec: spec.name)
def test_every_parameter_is_described(spec: ParameterSpec) -> None:
    assert spec.description.endswith("."), spec.description
    assert spec.allowed


def test_precisions_are_those_of_the_network() -> None:
    """A launch file reads the table, and must not load PyTorch for their names."""
    assert tuple(PARAMETERS["precision"].choices) == ("auto", *PRECISIONS)


def test_generated_files_are_up_to_date() -> None:
    """If this fails, run `python -m tools.parameter_files`."""
    assert parameter_files.PARAMETER_FILE.read_text("utf-8") == parameter_files.parameter_file()
    page = parameter_files.PAGE.read_text("utf-8")
    assert parameter_files.parameter_table() in page
    assert parameter_files.page(page) == page


def test_the_parameter_file_states_every_default() -> None:
    (section,) = yaml.safe_load(parameter_files.PARAMETER_FILE.read_text("utf-8")).values()
    defaults = {spec.name: spec.default for spec in PARAMETERS.values() if not spec.example}
    assert section["ros__parameters"] == defaults


def test_defaults_in_the_readme() -> None:
    (table,) = re.findall(r"\| parameter \|.*?\n\n", README.read_text("utf-8"), re.DOTALL)
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", table, re.MULTILINE)
    assert len(rows) > 3
    for names, defaults in rows:
        for name, shown in zip(names.split(", "), defaults.split(", "), strict=True):
            default = PARAMETERS[name.strip("`")].default
            assert shown.strip("`") == ("empty" if default in ("", []) else str(default)), name


OWN = st.fixed_dictionaries(
    {},
    optional={
        "max_rate": st.floats(0, 1000),
        "image_transport": st.sampled_from(["raw", "compressed"]),
        "output_size": st.sampled_from(["camera", "network", (360, 640)]),
    },
)
SETTINGS = st.builds(
    NodeSettings,
    output_size=st.sampled_from(["camera", "network"])
    | st.tuples(st.integers(1, 8192), st.integers(1, 8192)),
    cameras=st.lists(st.from_regex(r"\A[a-z][a-z0-9_]{0,63}\Z"), unique=True, max_size=3).map(
        tuple
    ),
    confidence_threshold=st.floats(0, 1),
    image_transport=st.sampled_from(["raw", "compressed"]),
    max_rate=st.floats(0, 1000),
)


@given(SETTINGS, OWN)
def test_settings_survive_the_way_through_parameters(
    settings: NodeSettings, own: dict[str, object]
) -> None:
    if settings.cameras and own:
        settings = replace(settings, own={settings.cameras[-1]: own})
    assert NodeSettings.from_values(parameter_values(settings)) == settings


@pytest.mark.parametrize("value", ["360, 640", "360,640", [360, 640], (360, 640)])
def test_an_output_size_is_text_or_numbers(value: object) -> None:
    values = {**parameter_values(NodeSettings()), "output_size": value}
    assert NodeSettings.from_values(values).output_size == (360, 640)


def test_a_camera_has_values_of_its_own_or_the_common_ones() -> None:
    values = parameter_values(NodeSettings(cameras=("front", "rear"), max_rate=10.0))
    values |= {"front.max_rate": 0.0, "rear.output_size": "360, 640", "side.max_rate": 1.0}
    settings = NodeSettings.from_values(values)
    front, rear = settings.of_camera("front"), settings.of_camera("rear")
    assert (front.max_rate, front.output_size) == (0.0, "camera")
    assert (rear.max_rate, rear.output_size) == (10.0, (360, 640))
    for name, value in (("rear.output_size", "huge"), ("rear.image_transport", "theora")):
        with pytest.raises(TdnetError, match=f"{name} is '{value}'; allowed: "):
            NodeSettings.from_values({**values, name: value})
    with pytest.raises(TdnetError, match="rear.max_rate is -0.5; allowed: 0 to 1000, or -1: as"):
        NodeSettings.from_values({**values, "rear.max_rate": -0.5})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("variant", "psp18", "psp18"),
        ("weights", "/data/a b.pkl", "/data/a b.pkl"),
        ("max_rate", "5", 5.0),
        ("autostart", "false", False),
        ("input_size", "[513, 1025]", [513, 1025]),
        ("input_size", "513 1025", [513, 1025]),
        ("output_size", "[480, 640]", "480, 640"),
        ("cameras", "front,rear", ["front", "rear"]),
    ],
)
def test_a_value_is_given_as_text(name: str, text: str, value: object) -> None:
    given = PARAMETERS[name].from_text(text)
    assert given == value
    assert type(given) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("max_rate", "fast", "max_rate is 'fast'; allowed: 0 to 1000"),
        ("autostart", "yes", "autostart is 'yes'; allowed: true, false"),
        ("input_size", "a, b", "input_size is 'a, b'; allowed: empty, or two numbers"),
        ("input_size", "20, 20", "each 33 to 8193"),
    ],
)
def test_a_text_that_is_no_value_is_refused(name: str, text: str, part: str) -> None:
    with pytest.raises(ParameterError, match=part):
        PARAMETERS[name].from_text(text)


def test_cameras_are_given_with_their_topics() -> None:
    topics = parse_camera_topics("front=/cam/front/image_raw, rear")
    assert topics == {"front": "/cam/front/image_raw", "rear": "rear/image"}
    with pytest.raises(ParameterError, match="a letter first"):
        parse_camera_topics("front:=/cam")


BAD_VALUES = [
    ("variant", "td5-psp18", "td4-psp18"),
    ("device", "gpu", "cuda"),
    ("precision", "float8", "bfloat16"),
    ("runtime", "tensorrt", "auto, torch, onnxruntime"),
    ("provider", "dml", "auto, cpu, openvino, cuda, tensorrt"),
    ("input_size", [769], "height and width"),
    ("input_size", [0, 100], "height and width"),
    ("input_size", [100, 10**9], "height and width"),
    ("output_size", "huge", "camera, network"),
    ("output_size", "1, 2, 3", "camera, network"),
    ("output_size", "-1, 2", "camera, network"),
    ("output_size", "1, 2, x", "'1, 2, x'"),
    ("output_size", 480, "is 480;"),
    ("output_size", 480.5, "is 480.5;"),
    ("output_size", True, "is True;"),
    ("output_size", [480.5, 640.5], "480.5"),
    ("output_size", ["480", "640"], "camera, network"),
    ("input_size", [20, 20], "each 33 to 8193"),
    ("image_transport", "theora", "raw, compressed"),
    ("cameras", ["front left"], "letters"),
    ("cameras", [""], "letters"),
    ("cameras", ["front", "front"], "twice"),
    ("depth", "", "allowed is a topic"),
    ("depth", "/camera//depth", "allowed is a topic"),
    # What takes the memory or the time of the robot.
    ("input_size", [8193, 8193], "4 megapixels"),
    ("output_size", "16384, 16384", "64 megapixels"),
    ("output_size", "9" * 5000 + ", 1", "camera, network"),
    ("cameras", [f"camera{number}" for number in range(17)], "allowed: 16"),
    ("cameras", ["c" * 65], "1 to 64 letters"),
    ("variant", "x" * 10**6, "td4-psp18"),
    ("device", "x" * 10**6, "cuda:N"),
]


@pytest.mark.parametrize(("name", "value", "part"), BAD_VALUES)
def test_a_bad_value_is_refused_with_what_is_allowed(name: str, value: object, part: str) -> None:
    with pytest.raises(TdnetError) as caught:
        NodeSettings.from_values({**parameter_values(NodeSettings()), name: value})
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_several_cameras_have_a_depth_topic_each() -> None:
    values = parameter_values(NodeSettings(cameras=("front", "rear"), depth="depth/image"))
    assert NodeSettings.from_values(values).depth == "depth/image"
    for depth in ("/depth", "~/depth"):
        with pytest.raises(ParameterError, match=f"depth is {depth}, one topic for 2 cameras;"):
            NodeSettings.from_values({**values, "depth": depth})


def test_the_parameters_name_the_limits() -> None:
    limits = DiagnosticLimits(silence_warn=1, age_error=4, rate_warn=6, rate_error=5)
    values = parameter_values(NodeSettings(diagnostic_limits=limits))
    assert values["diagnostics.age_error"] == 4
    assert NodeSettings.from_values(values).diagnostic_limits == limits


@pytest.mark.parametrize(
    ("name", "warn", "error"),
    [("silence", 5.0, 4.0), ("age", 1.0, 0.5), ("dropped", 0.5, 0.4), ("rate", 2.0, 3.0)],
)
def test_an_error_before_its_warning_is_refused(name: str, warn: float, error: float) -> None:
    values = parameter_values(NodeSettings())
    names = f"diagnostics.{name}_warn", f"diagnostics.{name}_error"
    for pair in ((warn, 0.0), (0.0, error), (warn, warn)):
        NodeSettings.from_values({**values, **dict(zip(names, pair, strict=True))})
    with pytest.raises(ParameterError) as raised:
        NodeSettings.from_values({**values, **dict(zip(names, (warn, error), strict=True))})
    assert all(part in str(raised.value) for part in (*names, str(warn), str(error)))
