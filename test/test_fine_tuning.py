"""Every command of docs/fine-tuning.md in order, on a synthetic bag, up to the running node.

Differences from the page: `support.labelling_tool` replaces the labelling tool; `scp` copies into
a folder that is the robot's /data; `ros2 param` is replaced by calls of the same service. To save
time `SMALL` is appended to `tdnet train`, and the other commands of `tdnet` run in this process.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from support.labelling_tool import export_masks

from tdnet import ClassMap, SegmenterSettings, create_model
from tdnet.checkpoints.official_layout import official_names
from tdnet.errors import WeightsError
from tdnet_offline.command import main
from tdnet_offline.datasets import IGNORED, LabelledVideo, open_dataset
from tdnet_offline.evaluation.evaluation_file import load_evaluation
from tdnet_offline.evaluation.metrics import total_confusion
from tdnet_offline.training.learner import prepare_learner
from tdnet_offline.training.recipe import load_recipe

pytest.importorskip("rclpy", reason="the page ends on the running node: run `make test`")

from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from support.ros_graph import LATCHED, RosGraph, image_message, pixels_of, wait_for

import tdnet_ros.msg

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "fine-tuning.md").read_text(encoding="utf-8")
STEP = re.compile(r"^```yaml\n# (\S+)\n(.*?)^```$|^ {4}(\S[^\n]*)$", re.MULTILINE | re.DOTALL)
SMALL = [
    *("network.input_size=[65,129]", "data.frame_size=[65,129]", "data.workers=0"),
    *("optimisation.iterations=2", "optimisation.batch_size=2"),
]
DRIVE = ["--seed", "21", "--frames", "84", "--rate", "5", "--size", "90", "160"]
IMAGES, LABELS = "/camera/image_raw", "/camera/labels"
OLD = [entry.name for entry in ClassMap.load("cityscapes").classes]
NEW = ["road", "sidewalk", "person", "vehicle", "background"]
TRAIN = "tdnet train fine-tune data.train=folder:garden"
RUNS = ("before", "after")
CAPTURED = 8


def steps() -> list[tuple[str, str]]:
    """Return the steps of the page in order: a file's name and text, or "" and a command."""
    return [(m[1] or "", m[2] or m[3]) for m in STEP.finditer(PAGE)]


class Reader:
    """Executes the steps of the page in a folder."""

    def __init__(self, home: Path, graph: RosGraph) -> None:
        self.home, self.robot_data, self._graph = home, home / "robot", graph
        self.robot_data.mkdir()
        tdnet = home / "bin" / "tdnet"
        tdnet.parent.mkdir()
        tdnet.write_text(f'#!/bin/sh\nexec {sys.executable} -m tdnet_offline.command "$@"\n')
        tdnet.chmod(0o755)
        first = [str(tdnet.parent), str(Path(sys.executable).parent)]
        modules = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        self._environment = {
            **os.environ,
            "PATH": os.pathsep.join([*first, os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(filter(None, modules)),
        }

    def write(self, name: str, text: str) -> None:
        """Write a file of the page."""
        path = self.home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, line: str) -> str:
        """Run a command of the page; return its output."""
        words = shlex.split(line)
        if words[0] == "scp":
            *_, source, target = words
            if source.startswith("robot:"):
                copied = self._on_robot(source.removeprefix("robot:"))
                shutil.copytree(copied, self.home / target)
            else:
                shutil.copyfile(self.home / source, self._on_robot(target.removeprefix("robot:")))
            return ""
        if words[:3] == ["ros2", "service", "call"]:
            assert words[4] == "std_srvs/srv/Trigger"
            answer = self._graph.call(Trigger, words[3], Trigger.Request())
            assert answer.success, answer.message
            return answer.message
        if words[0] == "ros2":
            self._set_parameters(words[1:])
            return ""
        if words[:2] == ["tdnet", "train"]:
            line = f"{line} {' '.join(SMALL)}"
        elif words[0] == "tdnet":
            return self._run_here(words[1:])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=self.home,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def _run_here(self, words: list[str]) -> str:
        printed = io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            redirect_stdout(printed),
            redirect_stderr(printed),
        ):
            patch.chdir(self.home)
            status = main(words)
        assert status == 0, f"{words}\n{printed.getvalue()}"
        return printed.getvalue()

    def labels_of(self, classes: list[str], image: np.ndarray) -> np.ndarray:
        """Return the labels of a first frame by the old or the new weights, without ROS."""
        weights = "" if classes == OLD else str(self.robot_data / "garden.safetensors")
        return SegmenterSettings(weights=weights, device="cpu").build().step(image).labels

    def _set_parameters(self, words: list[str]) -> None:
        if words[:3] == ["param", "set", "/tdnet"]:
            name, value = words[3:]
            values = {name: yaml.safe_load(value)}
        else:
            assert words[:3] == ["param", "load", "/tdnet"], words
            (file,) = words[3:]
            (section,) = yaml.safe_load((self.home / file).read_text()).values()
            values = section["ros__parameters"]
        values = {n: self._on_robot(v) if "/" in str(v) else v for n, v in values.items()}
        results = self._graph.set_parameters(**values)
        assert all(result.successful for result in results), (words, results)

    def _on_robot(self, path: str) -> str:
        assert path.startswith("/data/"), path
        return str(self.robot_data / path.removeprefix("/data/"))


class Robot:
    """The running node, and a camera that sends the frames of a bag."""

    def __init__(self, graph: RosGraph, video: LabelledVideo) -> None:
        graph.start(device="cpu", runtime="auto")
        wait_for(lambda: graph.state() == "active", "the node with its export", 120)
        self._video, self._sent = video, 0
        self._labels = graph.listen(Image, "/tdnet/labels")
        self._classes = graph.listen(tdnet_ros.msg.ClassMap, "/tdnet/class_map", LATCHED)
        self._camera = graph.camera()

    def segment(self, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Send the next frame; return it and its labels, once the node has these classes."""
        image = self._video.frame(self._sent).image
        self._camera.publish(image_message(image, self._sent / 10))
        self._sent += 1
        labels = pixels_of(self._labels.wait(self._sent)[-1])
        wait_for(lambda: self._names() == classes, f"the classes {classes}")
        return image, labels

    def _names(self) -> list[str]:
        return [c.name for m in self._classes.messages[-1:] for c in m.classes]


def test_the_page(tmp_path: Path, graph: RosGraph) -> None:
    reader = Reader(tmp_path, graph)
    bag = tmp_path / "drive"
    assert main(["synthesize", str(bag), "--format", "bag", *DRIVE]) == 0
    (video,) = open_dataset(str(bag), topic=IMAGES, label_topic=LABELS).videos
    robot = Robot(graph, video)
    robot.segment(OLD)
    # The person at the labelling tool labels the classes of the page's second class map.
    reader.write("seen/class_map.yaml", dict(steps())["before.yaml"])
    seen = ClassMap.load(tmp_path / "seen/class_map.yaml")

    said = {}
    for name, text in steps():
        if name:
            reader.write(name, text)
            continue
        if text.startswith("ros2 param load"):
            # A class map of the old weights does not fit the new ones.
            shutil.copyfile(tmp_path / "before.yaml", reader.robot_data / "before.yaml")
            reader.run("ros2 param set /tdnet class_map /data/before.yaml")
            weights = str(reader.robot_data / "garden.safetensors")
            (refused,) = graph.set_parameters(weights=weights)
            assert not refused.successful
        if text.startswith("ros2 service call"):
            for _ in range(CAPTURED):
                robot.segment(NEW)
        said[text] = reader.run(text)
        if text.startswith("python3 -m zipfile -c"):
            drawn = ClassMap.load(tmp_path / "garden/class_map.yaml")
            export_masks(tmp_path / "to_label.zip", bag, drawn, seen, tmp_path / "masks.zip")
        if text.startswith("ros2") and "capture" not in text:
            classes = OLD if text.endswith("\"''\"") else NEW
            image, labels = robot.segment(classes)
            np.testing.assert_array_equal(labels, reader.labels_of(classes, image))

    assert len(said) > 20
    (stretch,) = (tmp_path / "garden/frames").glob("camera-*-requested-*")
    assert stretch.name.endswith(f"-{CAPTURED - 1:06d}")
    assert len(list(stretch.iterdir())) == 7
    check = next(text for line, text in said.items() if "check" in line and "val" in line)
    assert "4 videos, 28 frames, 4 labelled" in check
    assert "classes taken over by name: road, sidewalk, person;" in said[TRAIN]
    before, after = (load_evaluation(tmp_path / f"{n}/evaluation.json") for n in RUNS)
    expected = exact_pixels(video, tmp_path / "garden/val.txt", seen)
    for evaluation in (before, after):
        assert list(evaluation.setting.class_names.values()) == NEW
        np.testing.assert_array_equal(total_confusion(evaluation).sum(axis=1), expected)
    assert {frame.path for frame in after.frames if frame.mean_iou is not None} == {0, 1, 2, 3}
    assert len(list((tmp_path / "labels/labels").iterdir())) == video.num_frames
    assert set(NEW) <= set(re.findall(r"\w+", (tmp_path / "after/report.html").read_text()))


def exact_pixels(video: LabelledVideo, split: Path, seen: ClassMap) -> np.ndarray:
    """Count the pixels of each class in the labelled frames of a split, from the bag itself."""
    # The name of a stretch contains the number of its last frame.
    numbers = [int(line.rpartition("-")[2]) for line in split.read_text().split()]
    ids = np.concatenate([seen.id_table[video.labels(number)].ravel() for number in numbers])
    return np.bincount(ids[ids != IGNORED], minlength=len(seen.classes))


def test_a_published_checkpoint_brings_its_classes_once_it_is_converted(tmp_path: Path) -> None:
    """The conversion of section 6, with td4-psp18-nano in place of td4-psp18."""
    (convert,) = re.findall(r"`(tdnet convert [^`]+)`", PAGE)
    (words,) = re.findall(r"`(network\.variant=[^`]+)`", PAGE)
    torch.manual_seed(5)
    published = create_model("td4-psp18-nano")
    names = official_names(published.variant, published.state_dict())
    state = {names[name]: item for name, item in published.state_dict().items()}
    torch.save({"model_state": state}, tmp_path / "td4-psp18-nano.pkl")
    argv = convert.replace("td4-psp18", "td4-psp18-nano").split()[1:]
    assert main([str(tmp_path / w) if w.startswith("td4") and "." in w else w for w in argv]) == 0

    assert load_recipe("fine-tune", words.split()).network.variant == "td4-psp18"
    small = words.replace("td4-psp18", "td4-psp18-nano").replace("769,1537", "65,129")
    config = load_recipe("fine-tune", small.replace("weights=", f"weights={tmp_path}/").split())
    (tmp_path / "class_map.yaml").write_text(dict(steps())["garden/class_map.yaml"])
    learner = prepare_learner(config, ClassMap.load(tmp_path / "class_map.yaml"))
    assert any("by name: road, sidewalk, person;" in note for note in learner.notes)
    old, new = published.paths[1].head, learner.network.paths[1].head
    for channel, before in enumerate((0, 1, 11)):  # road, sidewalk, person
        assert torch.equal(new.classifier.weight[channel], old.classifier.weight[before])


def test_where_no_weights_are_packaged_it_says_so() -> None:
    class_map = ClassMap.load("cityscapes")
    assert load_recipe("fine-tune").init.weights == "packaged"
    config = load_recipe("fine-tune", ["network.variant=psp18-half"])
    with pytest.raises(WeightsError, match="no weights are packaged for psp18-half; give"):
        prepare_learner(config, class_map)


@pytest.mark.parametrize("words", re.findall(r"^\| `(\w+[.=][^`]+)` \|", PAGE, re.MULTILINE))
def test_what_the_page_changes_can_be_changed(words: str) -> None:
    assert load_recipe("fine-tune", words.split()) != load_recipe("fine-tune")
