"""The diagnostic values that docs/tuning.md names exist in the running node."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
from support.diagnosis import Diagnosis
from support.ros_graph import RosGraph, image_message

from tdnet.continuity import ResetReason
from tdnet_ros.msg import SegmentationStatus

PAGE = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text(encoding="utf-8")
COMMANDS = ("ros2 ", "tdnet ", "fastdds ")
# Only if the model runs on a GPU.
DEVICE = {"device memory reserved MiB", "device memory total MiB"}


def test_the_diagnostic_values_are_there(active: RosGraph, images: list[np.ndarray]) -> None:
    text = re.sub(r"^ .*$", "", PAGE, flags=re.MULTILINE)
    quoted = {w for w in re.findall(r"`([a-z][\w ]+ [\w ]+|resets)`", text)}
    quoted -= {reason.value for reason in ResetReason} | DEVICE
    named = {word for word in quoted if not word.startswith(COMMANDS)}
    assert len(named) > 5
    active.listen(SegmentationStatus, "/tdnet/status")
    active.camera().publish(image_message(images[0], time.time()))
    diagnosis = Diagnosis(active)
    shown = {*diagnosis.values("tdnet: camera", segmented="1"), *diagnosis.values("tdnet: model")}
    assert named - shown == set()
