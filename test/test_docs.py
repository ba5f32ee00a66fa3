"""What docs/tuning.md names exists, and what it sets can be set."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tdnet.continuity import ResetReason

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
PARAMETERS = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
STATUS = (ROOT / "msg" / "SegmentationStatus.msg").read_text(encoding="utf-8")
# Code words of the page that are neither parameters, launch arguments nor fields of the status.
OTHER_WORDS = {
    *("camera", "network", "raw", "compressed", "auto", "cpu", "float16", "td", "rgb8", "bgr8"),
    *("set_parameters_atomically", "qos_overrides", "unconfigured"),
    "resets",  # a diagnostic value: see test/tdnet_ros/test_tuning_page.py
}

settings = pytest.importorskip("tdnet_ros.settings", reason="needs ROS 2: use `make test`")


def launch_arguments() -> set[str]:
    text = (ROOT / "launch" / "segment.launch.py").read_text(encoding="utf-8")
    return set(re.findall(r'_argument\(\s*"(\w+)"', text))


def parameters() -> dict[str, Any]:
    return settings.NodeSettings().to_values()


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Parameters by their full names, as ROS reads a parameter file."""
    found = {}
    for name, value in values.items():
        nested = isinstance(value, dict)
        found.update(flat(value, f"{prefix}{name}.") if nested else {prefix + name: value})
    return found


def check(given: dict[str, Any]) -> None:
    """The node takes these values: their names, types and what they may be."""
    defaults = parameters()
    for name, value in given.items():
        assert name in defaults
        assert type(value) is type(defaults[name]) or name == "output_size", name
    settings.NodeSettings.from_values({**defaults, **given})


def test_code_words_are_names_that_exist() -> None:
    fields = set(re.findall(r"^\w\S* (\w+)", STATUS, re.MULTILINE))
    known = {*parameters(), *launch_arguments(), *fields, *OTHER_WORDS}
    words = set(re.findall(r"`([a-z][\w.]*)`", re.sub(r"^(    |```).*$", "", PAGE, flags=re.M)))
    assert words - known - {reason.value for reason in ResetReason} == set()
    assert len(words & set(parameters())) > 15


def test_every_parameter_is_explained() -> None:
    assert {name for name in parameters() if f"`{name}`" not in PAGE} == set()


def test_parameters_are_set_to_what_they_may_be() -> None:
    lines = re.findall(r"ros2 param set /tdnet (\S+) (\"[^\"]*\"|\S+)", PAGE)
    assert len(lines) > 8
    for name, value in lines:
        check({name: yaml.safe_load(ast.literal_eval(value) if '"' in value else value)})


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_parameter_files_are_such(text: str) -> None:
    (section,) = yaml.safe_load(text).values()
    given = flat(section["ros__parameters"])
    check({k: v for k, v in given.items() if not k.startswith("qos_overrides./")})


def test_launch_arguments_exist_and_are_listed() -> None:
    used = set(re.findall(r"(\w+):=", PAGE))
    assert used <= launch_arguments()
    (listed,) = re.findall(
        r"--show-args` lists the launch arguments:(.*?)\.\n", PARAMETERS, re.DOTALL
    )
    assert set(re.findall(r"`(\w+)`", listed)) == launch_arguments()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http|#)([^)]+)\)", PAGE))))
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / "docs" / path).exists()


@pytest.mark.parametrize("anchor", sorted(set(re.findall(r"\]\(#([^)]+)\)", PAGE))))
def test_links_within_the_page_have_a_heading(anchor: str) -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
