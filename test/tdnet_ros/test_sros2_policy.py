"""The policy for SROS 2 allows what the running node has, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ros_graph import RosGraph, wait_for

from tdnet._util.resources import config_dir

pytestmark = pytest.mark.distribution

POLICY = config_dir() / "sros2" / "tdnet_policy.xml"
# Humble has no such service.
NOT_EVERYWHERE = {"/tdnet/get_type_description"}


def allowed(kind: str, permission: str) -> set[str]:
    """Full names of the topics or services of the policy."""

    def names() -> Iterator[str]:
        profile = ElementTree.parse(POLICY).find("enclaves/enclave[@path='/tdnet']//profile")
        assert profile is not None
        assert (profile.get("ns"), profile.get("node")) == ("/", "tdnet")
        for group in profile.findall(f"{kind}s"):
            assert set(group.attrib.values()) == {"ALLOW"}
            if permission in group.attrib:
                yield from (str(entry.text) for entry in group.findall(kind))

    return {
        name if name[0] == "/" else f"/tdnet{name[1:]}" if name[0] == "~" else f"/{name}"
        for name in names()
    }


@pytest.mark.parametrize(
    ("parameters", "inputs"),
    [
        pytest.param({}, {"/image"}, id="raw"),
        pytest.param(
            {"image_transport": "compressed", "use_sim_time": True},
            {"/image/compressed", "/clock"},
            id="compressed",
        ),
    ],
)
def test_the_policy_names_all_that_the_node_has(
    graph: RosGraph, weights: str, parameters: dict[str, object], inputs: set[str]
) -> None:
    graph.start(weights=weights, device="cpu", **parameters)
    wait_for(lambda: graph.state() == "active", "the node to be active")

    def names(kind: str) -> set[str]:
        get = getattr(graph.user, f"get_{kind}_names_and_types_by_node")
        return {name for name, _ in get("tdnet", "/")}

    published, replied = allowed("topic", "publish"), allowed("service", "reply")
    wait_for(lambda: names("publisher") == published, f"{published}, got {names('publisher')}")
    wait_for(lambda: names("subscriber") == inputs, f"{inputs}, got {names('subscriber')}")
    wait_for(
        lambda: replied - NOT_EVERYWHERE <= names("service") <= replied,
        f"{replied}, got {names('service')}",
    )
    assert not names("client")
    assert inputs <= allowed("topic", "subscribe")


def test_the_policy_allows_no_other_input() -> None:
    assert allowed("topic", "subscribe") == {
        "/image",
        "/image/compressed",
        "/camera_info",
        "/depth",
        "/clock",
    }
    assert not allowed("service", "request")
    assert ElementTree.parse(POLICY).find(".//actions") is None


def test_without_its_keys_the_node_does_not_start(ros: None, tmp_path: Path) -> None:
    security = {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": str(tmp_path),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "tdnet_ros.segment_node", "--ros-args", "--enclave", "/tdnet"],
        env={**os.environ, **security},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "SECURITY ERROR" in ended.stderr
    assert "Traceback" not in ended.stderr
