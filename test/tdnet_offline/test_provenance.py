"""Where results come from."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tdnet import __version__
from tdnet_offline import provenance

CODE = "from tdnet_offline import provenance; print(provenance.git_commit())"


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    command = ["git", *who, *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def commit_seen_from(folder: Path) -> str:
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_is_that_of_the_checkout_with_the_package(tmp_path: Path) -> None:
    source = Path(provenance.__file__).parents[1]
    for package in ("tdnet", "tdnet_offline"):
        (tmp_path / package).mkdir()
        shutil.copy(source / package / "__init__.py", tmp_path / package)
    shutil.copy(source / "tdnet" / "version.py", tmp_path / "tdnet")
    shutil.copy(source / "tdnet_offline" / "provenance.py", tmp_path / "tdnet_offline")
    assert commit_seen_from(tmp_path) == ""

    git(tmp_path, "init", "--quiet")
    (tmp_path / "readme").write_text("of another project")
    git(tmp_path, "add", "readme")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    # A package that merely lies in somebody's checkout has no commit of its own.
    assert commit_seen_from(tmp_path) == ""

    git(tmp_path, "add", "tdnet", "tdnet_offline")
    git(tmp_path, "commit", "--quiet", "-m", "second")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert commit_seen_from(tmp_path) == head
    (tmp_path / "readme").write_text("changed")
    assert commit_seen_from(tmp_path) == f"{head}-dirty"


def test_machine_in_a_line_and_versions() -> None:
    assert re.fullmatch(r".+, \d+ logical cores, .+", provenance.hardware())
    assert provenance.versions()["tdnet"] == __version__
