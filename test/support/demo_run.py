"""One run of the demo, as a user runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tdnet_offline.bags import open_bag
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
    """Run the demo with these arguments."""
    paths = (str(ROOT), os.environ.get("PYTHONPATH", ""))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo", "--output", str(output), *map(str, arguments)],
        cwd=output.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        preexec_fn=end_with_parent,
    )
    option = str(arguments[0]).removeprefix("--") if arguments else ""
    source = option if option in ("bag", "images", "video") else "street"
    # Fast DDS reports the ports of killed processes that a node of the machine avoids.
    lines = done.stderr.splitlines(keepends=True)
    complained = "".join(line for line in lines if "Failed init_port" not in line)
    return DemoRun(output, source, done.returncode, done.stdout, complained)
