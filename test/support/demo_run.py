"""One run of the demo, as a user runs it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tdnet_offline.bags import open_bag
from tools.demo.__main__ import main
from tools.harness.child_process import end_with_parent

ROOT = Path(__file__).parents[2]
TIMEOUT = 600
PARTS = ("segmented", "dropped", "refused", "unfinished", "lost")
"""Counts of frames whose sum is the number of sent frames."""


@dataclass(frozen=True)
class DemoRun:
    """One run of the demo; `source` is the name of the folder of its results."""

    output: Path
    source: str
    status: int
    said: str
    complained: str

    @property
    def folder(self) -> Path:
        return self.output / self.source

    @property
    def summary(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return content

    def page(self) -> str:
        """The page without its embedded files and without plotly."""
        page = (self.output / "index.html").read_text()
        page = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
        return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)

    def stamps(self, topic: str) -> list[int]:
        """Stamps of the recorded messages of an image topic, or of the status."""
        with open_bag(self.folder / "recording") as bag:
            messages = [bag.decode(record) for record in bag.records([topic])]
        return [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in messages]

    def images(self, topic: str) -> dict[int, np.ndarray]:
        """Recorded images of one channel, by stamp."""
        found = {}
        with open_bag(self.folder / "recording") as bag:
            for record in bag.records([topic]):
                m = bag.decode(record)
                stamp = m.header.stamp.sec * 10**9 + m.header.stamp.nanosec
                found[stamp] = m.data.reshape(m.height, m.width)
        return found


def run_demo(output: Path, *arguments: str | Path) -> DemoRun:
    """Run the demo in this process, which has imported PyTorch already; its node is a process."""
    said, complained = io.StringIO(), io.StringIO()
    before = Path.cwd()
    os.chdir(output.parent)
    try:
        with redirect_stdout(said), redirect_stderr(complained):
            status = main(["--output", str(output), *map(str, arguments)])
    except SystemExit as end:  # a wrong command line
        status = int(str(end))
    finally:
        os.chdir(before)
    return DemoRun(output, _source(arguments), status, said.getvalue(), complained.getvalue())


def run_demo_process(output: Path, *arguments: str | Path) -> DemoRun:
    """Run the demo as a user does."""
    paths = (str(ROOT), os.environ.get("PYTHONPATH", ""))
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo", "--output", str(output), *map(str, arguments)],
        cwd=output.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        preexec_fn=end_with_parent,
    )
    # Fast DDS reports the ports of killed processes that a node of the machine avoids.
    lines = done.stderr.splitlines(keepends=True)
    complained = "".join(line for line in lines if "Failed init_port" not in line)
    return DemoRun(output, _source(arguments), done.returncode, done.stdout, complained)


def _source(arguments: Sequence[str | Path]) -> str:
    option = str(arguments[0]).removeprefix("--") if arguments else ""
    return option if option in ("bag", "images", "video") else "street"
