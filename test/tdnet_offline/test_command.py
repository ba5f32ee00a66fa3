"""The command `tdnet` itself: help, version, mistakes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tdnet import SegmenterSettings, __version__
from tdnet_offline.arguments import MODEL_OPTIONS
from tdnet_offline.command import main
from tdnet_offline.commands import COMMANDS


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tdnet_offline.command", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_help_names_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert command in done.stdout.split()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"usage: tdnet {command}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], *([command] for command in COMMANDS)], ids=str)
def test_help_imports_nothing_that_takes_long(words: list[str]) -> None:
    code = (
        "import sys\n"
        "from tdnet_offline.command import main\n"
        f"try:\n    main([*{words}, '--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'cv2', 'av', 'rosbags', 'rich', 'plotly', 'lightning'}\n"
        "commands = {name for name in sys.modules if name.startswith('tdnet_offline.commands.')}\n"
        "print(sorted(heavy & set(sys.modules)), len(commands), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stderr == f"[] {len(words)}\n"


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "0"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "[1-9]|INFINITY")]
)
def test_threads_of_the_network_sleep_while_they_wait(given: dict[str, str], spins: str) -> None:
    """As PyTorch's OpenMP reports it when it is loaded; an existing setting is kept."""
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-m", "tdnet_offline.command", "info", "missing.safetensors"],
        env={**inherited, "OMP_DISPLAY_ENV": "VERBOSE", **given},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2  # by the missing file, for which PyTorch was loaded
    # An unset policy is shown as PASSIVE, but spins.
    assert re.search(rf"GOMP_SPINCOUNT\s*=\s*'({spins})", done.stderr), done.stderr


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"tdnet {__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: COMMAND"),
        (["predikt"], "invalid choice: 'predikt'"),
        (["info", "--size"], "unrecognized arguments: --size"),
    ],
    ids=["no command", "unknown command", "unknown option"],
)
def test_a_wrong_command_line_is_one_line_and_exit_status_2(
    words: list[str], message: str
) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_the_network_options_are_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    defaults = SegmenterSettings()
    assert set(MODEL_OPTIONS) == set(vars(defaults))
    with pytest.raises(SystemExit, match="0"):
        main(["predict", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"(default: {defaults.variant})" in text
    assert f"(default: {defaults.device})" in text


def test_a_reader_that_closes_early_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = ["synthesize", str(tmp_path / "bag"), "--format", "bag", "--frames", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "tdnet_offline.command", *words, "--size", "32", "64"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 0


def test_a_missing_package_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("rich", "rich.console", "rich.table"):
        monkeypatch.setitem(sys.modules, module, None)
    assert main(["info"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert 'pip install "tdnet_ros[offline]"' in error
