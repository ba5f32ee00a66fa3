"""The configuration of RViz for one and several cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tdnet_ros.rviz_config import cameras_of_file, rviz_config

TEMPLATE = (Path(__file__).parents[2] / "config" / "segment.rviz").read_text("utf-8")
TOPICS = ("overlay", "image", "image/compressed", "confidence", "points")


def made(node: str, topics: dict[str, str], fixed_frame: str = "") -> Any:
    return yaml.safe_load(rviz_config(TEMPLATE, node, topics, fixed_frame))[
        "Visualization Manager"
    ]


def shown(displays: list[dict[str, Any]]) -> dict[str, bool]:
    """Whether the display is enabled, by topic."""
    return {display["Topic"]["Value"]: display["Enabled"] for display in displays}


def test_one_camera_shows_the_overlay_only_until_more_is_ticked() -> None:
    expected = {
        "/seg/overlay": True,
        "/cam/raw": False,
        "/cam/raw/compressed": False,
        "/seg/confidence": False,
        "/seg/points": False,
    }
    assert shown(made("/seg", {"": "/cam/raw"})["Displays"]) == expected
    as_it_is = yaml.safe_load(TEMPLATE)["Visualization Manager"]
    assert made("/tdnet", {"": "/image"}) == as_it_is


def test_each_camera_has_a_group_with_its_topics() -> None:
    groups = made("/robot/seg", {"front": "/a", "rear": "/robot/b"})["Displays"]
    assert [(group["Name"], group["Enabled"]) for group in groups] == [
        ("front", True),
        ("rear", True),
    ]
    assert list(shown(groups[1]["Displays"])) == [
        "/robot/seg/rear/overlay",
        "/robot/b",
        "/robot/b/compressed",
        "/robot/seg/rear/confidence",
        "/robot/seg/rear/points",
    ]
    # RViz names the windows of the images by the displays.
    names = [display["Name"] for group in groups for display in group["Displays"]]
    assert len(set(names)) == len(names) == 10


def test_no_frame_is_needed_unless_one_is_given() -> None:
    """With TF, RViz begins with an error until somebody publishes its fixed frame."""
    for frame, transformer in (("", "rviz_common/Identity"), ("odom", "rviz_default_plugins/TF")):
        manager = made("/tdnet", {"": "/image"}, frame)
        assert manager["Transformation"]["Current"]["Class"] == transformer
        assert manager["Global Options"]["Fixed Frame"] == (frame or "camera")
        assert ("Pitch" in manager["Views"]["Current"]) is not bool(frame)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("/**: {ros__parameters: {cameras: [front, rear]}}", ["front", "rear"]),
        ("robot: {tdnet: {ros__parameters: {cameras: [left]}}}", ["left"]),
        ("/other: {ros__parameters: {cameras: [left]}}", []),
        ("/**: {ros__parameters: {cameras: left}}", []),
        ("/**: {ros__parameters: {max_rate: 5.0}}", []),
        ("- a list", []),
        ("{", []),
    ],
)
def test_cameras_of_a_parameter_file(tmp_path: Path, text: str, names: list[str]) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    assert cameras_of_file(str(path), "/robot/tdnet") == names
