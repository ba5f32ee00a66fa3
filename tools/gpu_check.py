"""Runs the tests that need a GPU and the benchmarks within a time limit; see `gpu_check.sh`.

Each step is a process with its own limit, so that none uses up the time of later steps. A
step whose package is not installed is skipped, and the summary names the package.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tdnet.variants import DEFAULT_VARIANT

ROOT = Path(__file__).resolve().parents[1]
TOTAL_SECONDS = 460
EXIT_FAILED, EXIT_NO_GPU = 1, 2
# Every step needs these.
NEEDED = ("torch", "numpy", "cv2", "yaml", "safetensors", "pytest", "hypothesis", "rich")
# PyTorch for CUDA includes Triton; single tests import the others.
WANTED = ("triton", "av", "rosbags", "rclpy", "torchmetrics", "scipy", "lightning", "kornia")
# Files with such tests have the mark, or inherit the suite that has it.
GPU_TESTS = re.compile("mark.cuda|VariantSuite")
CITYSCAPES = ["--input-size", "769", "1537", "--camera-size", "1024", "2048"]


@dataclass(frozen=True)
class Step:
    """A process to run.

    Attributes:
        name: of the step.
        command: arguments of the Python interpreter.
        seconds: time limit.
    """

    name: str
    command: list[str]
    seconds: int


@dataclass(frozen=True)
class Outcome:
    """The result of a step.

    Attributes:
        name: of the step.
        status: ``"passed"``, ``"failed"`` or ``"skipped"``.
        reason: why it failed or was skipped; empty if it passed.
        seconds: duration.
        command: arguments of the Python interpreter.
    """

    name: str
    status: str
    reason: str
    seconds: float
    command: list[str]


def steps(results: Path) -> list[Step]:
    """Return all steps, the most important first."""
    test = ROOT / "test"
    marked = [
        path.relative_to(test)
        for package in ("tdnet", "tdnet_ros", "tdnet_offline")
        for path in sorted((test / package).rglob("test_*.py"))
        if GPU_TESTS.search(path.read_text(encoding="utf-8"))
    ]
    found = []
    # One step per folder: a missing package stops the collection of a whole process.
    for folder in dict.fromkeys(path.parent for path in marked):
        name = "-".join(("tests", *folder.parts))
        files = [f"test/{path}" for path in marked if path.parent == folder]
        options = ["-m", "cuda", "-q", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
        xml = f"--junitxml={results / f'{name}.xml'}"
        found.append(Step(name, ["-m", "pytest", *options, xml, *files], seconds=120))
    benchmark = ["-m", "tdnet_offline.command", "benchmark", "--device", "cuda"]

    def measure(name: str, variants: list[str], options: list[str], seconds: int) -> Step:
        output = ["--json", str(results / f"{name}.json")]
        return Step(name, [*benchmark, "--variant", *variants, *options, *output], seconds)

    names = ("tests-tdnet", "tests-tdnet-backends-cuda", "tests-tdnet-backends-cuda-kernels")
    first = [step for step in found if step.name in names]
    return [
        *first,
        measure("benchmark-td4-psp18", ["td4-psp18"], CITYSCAPES, 150),
        measure("benchmark-default", [DEFAULT_VARIANT], ["--accuracy"], 90),
        *(step for step in found if step not in first),
        measure(
            "benchmark-others",
            ["td2-psp50", "td4-bise18", "psp101"],
            [*CITYSCAPES, "--precision", "float16"],
            120,
        ),
        *(
            measure(
                f"benchmark-{provider}",
                [DEFAULT_VARIANT],
                ["--runtime", "torch", f"onnxruntime:{provider}", "--accuracy"],
                150,
            )
            for provider in ("cuda", "tensorrt")
        ),
    ]


def run(step: Step, results: Path, seconds: float) -> Outcome:
    """Run a step for at most `seconds`, and append its output to the log."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, *step.command],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(timeout=min(seconds, step.seconds))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
        output.seek(0)
        text = output.read().decode("utf-8", errors="replace")
    with (results / "log.txt").open("a", encoding="utf-8") as log:
        log.write(f"== {step.name}\n{text}\n")
    status, reason = outcome_of(code, text)
    return Outcome(step.name, status, reason, round(time.monotonic() - began, 1), step.command)


def outcome_of(code: int | None, log: str) -> tuple[str, str]:
    """Return status and reason of a process.

    A missing package is a reason to skip only if there is no other error.

    Args:
        code: exit status; None: the time limit was reached.
        log: output of the process.
    """
    if code is None:
        return "failed", "out of time"
    if code == 0:
        return "passed", ""
    if code == 5:
        return "skipped", "no test is left"
    lacking = sorted(
        set(re.findall(r"ModuleNotFoundError: No module named '([\w.]+)'", log))
        | set(re.findall(r"needs the Python package ([\w.]+)", log))
    )
    absent = [name for name in lacking if importlib.util.find_spec(name.split(".")[0]) is None]
    other = re.search(r"^FAILED |^ERROR .* - (?!ModuleNotFoundError)", log, re.MULTILINE)
    if absent and len(absent) == len(lacking) and other is None:
        return "skipped", f"in whole or part, without {', '.join(absent)}"
    return "failed", f"status {code}"


def machine() -> dict[str, Any]:
    """Return hardware, versions and commit."""
    import torch
    from torch.utils.collect_env import get_env_info

    from tdnet_offline.provenance import git_commit

    gpu = repr(torch.cuda.get_device_properties(0))
    return {"gpu": gpu, "commit": git_commit(), **get_env_info()._asdict()}


def lacking(names: tuple[str, ...]) -> list[str]:
    """Return the modules that are not installed."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def main(results: Path) -> int:
    """Run everything and write the results."""
    if missing := lacking(NEEDED):
        print(
            f"gpu_check: {sys.executable} lacks {', '.join(missing)}: install them, or set PYTHON"
        )
        return EXIT_NO_GPU
    import torch

    if not torch.cuda.is_available():
        print(f"gpu_check: PyTorch {torch.__version__} finds no CUDA GPU here")
        return EXIT_NO_GPU
    results = results.resolve()
    results.mkdir(parents=True, exist_ok=True)
    if any(results.iterdir()):
        print(f"gpu_check: {results} is not empty; give another folder")
        return EXIT_NO_GPU
    began, started = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    summary: dict[str, Any] = {"started": started, "machine": machine()}
    summary["not_installed"] = lacking(WANTED)
    print(json.dumps(summary, indent=1, default=str))
    outcomes: list[Outcome] = []
    for step in steps(results):
        left = TOTAL_SECONDS - (time.monotonic() - began)
        if left > 5:
            outcome = run(step, results, left)
        else:
            outcome = Outcome(step.name, "skipped", "no time is left", 0.0, step.command)
        outcomes.append(outcome)
        print(f"{outcome.name}: {outcome.status} {outcome.reason} ({outcome.seconds} s)")
        # Written after each step, so that an interrupted run leaves results.
        summary["seconds"] = round(time.monotonic() - began, 1)
        summary["steps"] = [asdict(outcome) for outcome in outcomes]
        text = json.dumps(summary, indent=1, default=str)
        (results / "summary.json").write_text(f"{text}\n", encoding="utf-8")
    return EXIT_FAILED if any(outcome.status == "failed" for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
