"""The pages: links and named things exist, commands are understood, numbers agree with results."""

from __future__ import annotations

import ast
import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tdnet.continuity import ResetReason
from tdnet_offline.command import make_parser
from tdnet_offline.training.recipe import load_recipe

ROOT = Path(__file__).parents[1]
NAMES = [*(f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY"))]
NAMES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}
OTHER_WORDS_ON_TUNING = {
    *("camera", "network", "raw", "compressed", "auto", "cpu", "float16", "td", "rgb8", "bgr8"),
    *("set_parameters_atomically", "qos_overrides", "unconfigured", "resets"),
}
FOLDERS = "tdnet|tdnet_ros|tdnet_offline|config|docker|docs|launch|msg|test|tools"


def found(pattern: str) -> list[Any]:
    """Matches of a pattern in all pages, each once; parameters of a test."""
    return sorted({match for text in TEXTS.values() for match in re.findall(pattern, text, re.M)})


def slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for link in re.findall(r"\]\((?!http)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), link


@pytest.mark.parametrize("path", found(rf"`(?!tdnet_ros/[A-Z])((?:{FOLDERS})/[\w/.-]*)`"))
def test_a_named_file_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("file", "function"), found(r"`(test_\w+\.py)(?:::(\w+))?`"))
def test_a_named_test_exists(file: str, function: str) -> None:
    (path,) = (ROOT / "test").rglob(file)
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    assert not function or function in {getattr(node, "name", "") for node in tree}


@pytest.mark.parametrize("name", found(r"`(tdnet(?:_ros|_offline)?(?:\.\w+)+)[`(]"))
def test_a_named_module_or_member_exists(name: str) -> None:
    if name.startswith("tdnet_ros"):
        pytest.importorskip("rclpy", reason="needs ROS 2: use `make test`")
    pkgutil.resolve_name(name)


@pytest.mark.parametrize("target", found(r"(?:^    |`)(?:\w+=\S+ )*make ([a-z-]+)"))
def test_make_has_the_target(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def commands() -> Iterator[str]:
    """Return the lines of the command `tdnet` that the pages show, without `tdnet`."""
    for line in found(r"^    (?:\w+=\S+ )*((?:tdnet|torchrun) [a-z-].*)$"):
        yield re.sub(r"^(torchrun .* -m tdnet_offline\.command|tdnet) ", "", line)


@pytest.mark.parametrize("line", commands())
def test_the_command_is_understood(line: str) -> None:
    words = shlex.split(line, comments=True)
    make_parser().parse_args(words)
    if words[0] == "train":
        load_recipe(words[1], words[2:])


def launch_arguments(file: str = "segment.launch.py") -> set[str]:
    text = (ROOT / "launch" / file).read_text(encoding="utf-8")
    return set(re.findall(r'_argument\(\s*"(\w+)"', text))


@pytest.mark.parametrize("line", found(r"segment\.launch\.py (.*:=.*)$"))
def test_launch_arguments_exist(line: str) -> None:
    assert set(re.findall(r"(\w+):=", line)) <= launch_arguments()


@pytest.mark.parametrize("line", found(r"nav2\.launch\.py (.*:=.*)$"))
def test_launch_arguments_for_nav2_exist(line: str) -> None:
    known = launch_arguments() | launch_arguments("nav2.launch.py")
    assert set(re.findall(r"(\w+):=", line)) <= known


def node_values(**settings: Any) -> dict[str, Any]:
    """Return the value of each parameter of the node."""
    parameters = pytest.importorskip("tdnet_ros.parameters", reason="needs ROS 2: use `make test`")
    from support.parameters import parameter_values

    return parameter_values(parameters.NodeSettings(**settings))


def settable(given: dict[str, Any]) -> None:
    """Check that the node accepts parameters: their names, types and values."""
    cameras = given.get("cameras") or ["front", "rear"]
    defaults = node_values(cameras=tuple(cameras))
    for name, value in given.items():
        assert name in defaults
        assert type(value) is type(defaults[name]) or name.endswith("output_size"), name
    pytest.importorskip("tdnet_ros.parameters").NodeSettings.from_values({**defaults, **given})


@pytest.mark.parametrize(
    ("name", "value"), found(r"ros2 param set /tdnet (\S+) (\"[^\"]*\"|[^\s`]+)")
)
def test_a_parameter_can_be_set(name: str, value: str) -> None:
    if "/" not in value:  # a file of the reader
        settable({name: yaml.safe_load(ast.literal_eval(value) if '"' in value else value)})


@pytest.mark.parametrize("text", found(r"^```yaml\n((?s:[^`]*?ros__parameters.*?))```"))
def test_a_parameter_file_is_valid(text: str) -> None:
    (section,) = yaml.safe_load(text).values()
    given = flat(section["ros__parameters"])
    paths = {name for name, value in given.items() if "/" in str(value)}
    settable(
        {k: v for k, v in given.items() if not k.startswith("qos_overrides./") and k not in paths}
    )


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return parameters by their full names, as ROS reads a parameter file."""
    names = {}
    for name, value in values.items():
        nested = isinstance(value, dict)
        names.update(flat(value, f"{prefix}{name}.") if nested else {prefix + name: value})
    return names


def test_launch_arguments_are_listed() -> None:
    (listed,) = re.findall(r"--show-args`[^:]*:(.*?)\.\n", TEXTS["docs/parameters.md"], re.DOTALL)
    assert set(re.findall(r"`(\w+)`", listed)) == launch_arguments()


def test_the_page_on_tuning_names_every_parameter_and_no_other() -> None:
    page = re.sub(r"^(    |```).*$", "", TEXTS["docs/tuning.md"], flags=re.MULTILINE)
    status = (ROOT / "msg" / "SegmentationStatus.msg").read_text(encoding="utf-8")
    parameters = set(node_values())
    words = set(re.findall(r"`([a-z][\w.]*)`", page))
    known = {*parameters, *launch_arguments(), *re.findall(r"^\w\S* (\w+)", status, re.MULTILINE)}
    known |= {reason.value for reason in ResetReason} | OTHER_WORDS_ON_TUNING
    assert words - known == set()
    assert parameters - words == set()


def test_python_of_the_readme_runs() -> None:
    snippets = re.findall(r"```python\n(.*?)```", TEXTS["README.md"], re.DOTALL)
    assert snippets
    for snippet in snippets:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", snippet]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_the_readme_is_short() -> None:
    assert len(TEXTS["README.md"].split()) <= 1500


def test_speeds_of_the_readme_are_those_of_the_results() -> None:
    (path,) = (ROOT / "docs" / "results").glob("2026-12-01-*/benchmark.json")
    shown = {
        (variant, numbers[-2], numbers[-1])
        for variant, rest in re.findall(r"^\| `([\w-]+)` \| (.*) \|$", TEXTS["README.md"], re.M)
        if len(numbers := re.split(r" \| ", rest)) == 4
    }
    runs: dict[str, list[str]] = {}
    for run in json.loads(path.read_text(encoding="utf-8"))["runs"]:
        setting = run["setting"]
        # Labels of random weights take longer than those of a network in use.
        if setting["runtime"] != "onnxruntime:openvino" or setting["weights"] == "random":
            continue
        median = run["frame_to_labels_ms"]["p50"]
        rounded = round(median, -2) if median > 1000 else round(median)
        runs.setdefault(setting["variant"], []).append(f"{rounded:g}")
    assert shown == {(variant, *numbers) for variant, numbers in runs.items()}


LIMITS = re.findall(
    r"^\| .* \| ([\d.]+)( [KMG]iB?)? \| `([\w.]+)` \|$", TEXTS["SECURITY.md"], re.MULTILINE
)
UNITS = {"": 1, "KiB": 1 << 10, "Mi": 1 << 20, "MiB": 1 << 20, "GiB": 1 << 30}


@pytest.mark.parametrize(("number", "unit", "constant"), LIMITS, ids=[c for _, _, c in LIMITS])
def test_a_limit_is_that_of_the_code(number: str, unit: str, constant: str) -> None:
    module = constant.rpartition(".")[0]
    pytest.importorskip(module, reason=f"{module} needs more than is installed: use `make test`")
    assert pkgutil.resolve_name(constant) == int(number) * UNITS[unit.strip()]
