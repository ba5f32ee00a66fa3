"""Files for releases, checked by a validator of their format: most cannot run here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tdnet.version import __version__

ROOT = Path(__file__).parents[1]
SCHEMAS = {
    ".github/workflows/tests.yml": "vendor.github-workflows",
    "docker/compose.yaml": "vendor.compose-spec",
    "CITATION.cff": "vendor.citation-file-format",
}
INSTRUCTIONS = {"ARG", "FROM", "ENV", "COPY", "RUN", "WORKDIR", "SHELL", "ENTRYPOINT", "CMD"}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def run(package: str, *words: str) -> None:
    pytest.importorskip(package, reason=f"needs {package}: use `make test`")
    command = [sys.executable, "-m", package, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_file_fits_its_schema(name: str) -> None:
    run("check_jsonschema", "--builtin-schema", SCHEMAS[name], name)


def test_the_hooks_before_a_commit() -> None:
    run("pre_commit", "validate-config")


def test_package_xml_is_valid_and_complete() -> None:
    package = pytest.importorskip("catkin_pkg.package", reason="needs catkin_pkg: use `make test`")
    warnings: list[str] = []
    found = package.parse_package(str(ROOT / "package.xml"), warnings=warnings)
    found.validate()
    assert warnings == []
    assert {url.type for url in found.urls} == {"website", "repository", "bugtracker"}
    assert found.authors
    (rosdoc2,) = (export for export in found.exports if export.tagname == "rosdoc2")
    assert (ROOT / rosdoc2.content).is_file()


def test_a_release_makes_a_version_of_the_changelog(tmp_path: Path) -> None:
    release = pytest.importorskip(
        "catkin_pkg.cli.prepare_release", reason="needs catkin_pkg: use `make test`"
    )
    before = release.get_changelog_from_path(str(ROOT))
    label = release.get_forthcoming_label(before.rst)
    path = tmp_path / "CHANGELOG.rst"
    release.update_changelog_sections({"tdnet_ros": (str(path), before, label)}, __version__)
    after = release.get_changelog_from_path(str(tmp_path))
    ((version, _, entries),) = after.foreach_version()
    assert version == __version__
    assert [str(entry) for entry in entries] != []


def test_the_citation_has_the_version() -> None:
    assert yaml.safe_load(text("CITATION.cff"))["version"] == __version__


def test_the_configuration_of_rosdoc2() -> None:
    header, body = yaml.safe_load_all(text("rosdoc2.yaml"))
    assert header == {"type": "rosdoc2 config", "version": 1}
    assert set(body) == {"settings", "builders"}
    assert (ROOT / body["settings"]["python_source"]).is_dir()


def test_the_dockerfile_has_known_instructions_stages_and_files() -> None:
    content = re.sub(r"^#.*\n", "", text("docker/Dockerfile"), flags=re.MULTILINE)
    lines = [line for line in content.replace("\\\n", " ").splitlines() if line.strip()]
    assert {line.split()[0] for line in lines} <= INSTRUCTIONS
    stages = re.findall(r"^FROM \S+ AS (\w+)$", content, re.MULTILINE)
    assert stages == ["cpu", "cuda", "node"]
    assert set(re.findall(r"--from=(\w+)", content)) <= set(stages)
    used = set(re.findall(r"\$\{(\w+)\}", content))
    assert used == set(re.findall(r"^ARG (\w+)", content, re.MULTILINE))
    for path in re.findall(r"share/tdnet_ros/(\S+)", content):
        assert (ROOT / path).is_file()
    services = yaml.safe_load(text("docker/compose.yaml"))["services"]
    assert set(services["node"]["build"]["args"]) <= used
    assert services["node"]["ipc"].partition(":")[2] in services


def test_workflow_and_dockerfile_build_by_the_commands_of_the_readme() -> None:
    (block,) = re.findall(r"^    cd ~/ros2_ws.*\n((?:    .*\n)+)", text("README.md"), re.MULTILINE)
    steps = [step.strip() for step in re.split(r"\n|&&", block)]
    workflow = text(".github/workflows/tests.yml")
    missing = [step for step in steps if step and step not in workflow]
    assert missing == [
        "ros2 launch tdnet_ros segment.launch.py image:=/camera/image_raw rviz:=true"
    ]
    docker = text("docker/Dockerfile").replace("${TORCH}", '"torch>=2.6"')
    docker = docker.replace("--no-cache-dir ", "")
    assert {step for step in steps if step and step not in docker} == {
        *missing,
        "source install/setup.bash",
    }
