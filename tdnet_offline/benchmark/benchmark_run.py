"""A whole benchmark: inputs, one new process for each run, and the accuracy."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tdnet.errors import DeviceError, TdnetError, first_line, one_line
from tdnet_offline import provenance
from tdnet_offline.benchmark.accuracy import STREET, measure_accuracy
from tdnet_offline.benchmark.benchmark_result import (
    Accuracy,
    Benchmark,
    BenchmarkRun,
    BenchmarkSetting,
    FailedRun,
)
from tdnet_offline.benchmark.camera_frames import default_camera_size, read_frames
from tdnet_offline.benchmark.cases import INT8, BenchmarkCase, Size
from tdnet_offline.benchmark.measurement import Job, measure
from tdnet_offline.benchmark.weights import find_weights, quantised_folder
from tdnet_offline.datasets import open_dataset

_SPLIT = "val"


@dataclass(frozen=True)
class BenchmarkOptions:
    """Options of a benchmark.

    Attributes:
        weights: weights file of the only variant; None: packaged weights, or random ones.
        images: folder of images, video or bag with the frames; None: a synthetic street.
        topic: image topic of the bag.
        camera_size: height and width of the frames; None: their own size, or for the street the
            default for the network input.
        num_frames: timed frames of each run; None: as many as fit into some seconds.
        profile: folder of profiles; None: no profiles.
        accuracy: data set for the accuracy of each precision; empty: `images`, or held-out
            streets; None: accuracy is not measured.
    """

    weights: Path | None = None
    images: str | None = None
    topic: str | None = None
    camera_size: Size | None = None
    num_frames: int | None = None
    profile: Path | None = None
    accuracy: str | None = None


def run_benchmark(
    cases: Sequence[BenchmarkCase],
    options: BenchmarkOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> Benchmark:
    """Measure one or more cases; `progress` is called with one line before each step.

    Raises:
        TdnetError: the frames or the data set cannot be used, or every run failed.
        OSError: a profile cannot be written.
    """
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    source = options.accuracy or options.images or STREET
    with tempfile.TemporaryDirectory(prefix="tdnet-benchmark-") as folder:
        progress("preparing frames and weights")
        prepared = [_prepare(case, options, Path(folder)) for case in cases]
        jobs = [job for ready, _ in prepared for job in ready]
        unprepared = tuple(failure for _, failures in prepared for failure in failures)
        unlabelled = options.accuracy is None or (options.images and not options.accuracy)
        dataset = None if unlabelled else open_dataset(source, _SPLIT)

        def on_start(job: Job) -> None:
            setting, number = job.setting, jobs.index(job) + 1
            what = f"{setting.variant} on {setting.device} in {setting.numbers}"
            progress(f"{number} of {len(jobs)}: {what}")

        runs, failed = run_jobs(jobs, on_start)
        failed = (*unprepared, *failed)
        if not runs:
            raise DeviceError(failed[0].reason)
        accuracy: list[Accuracy] = []
        if options.accuracy is not None:
            progress("accuracy")
            measured = [job for job in jobs if job.setting in {run.setting for run in runs}]
            for _, group in groupby(measured, _network):
                same = list(group)
                try:
                    accuracy += measure_accuracy(same, source=source, dataset=dataset)
                except TdnetError as error:
                    failed += (FailedRun(same[0].setting, f"accuracy: {error}"),)
    return Benchmark(
        **provenance.origin(),
        started=started,
        frames=options.images or "synthetic street",
        runs=runs,
        failed=failed,
        accuracy=tuple(accuracy),
    )


def run_jobs(
    jobs: Iterable[Job], on_start: Callable[[Job], None] = lambda _: None
) -> tuple[tuple[BenchmarkRun, ...], tuple[FailedRun, ...]]:
    """Measure jobs in order, each in a new process; one that fails does not stop the others.

    Raises:
        OSError: a profile cannot be written.
    """
    runs, failed = [], []
    for job in jobs:
        on_start(job)
        try:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                runs.append(pool.submit(_measure, job, time.monotonic()).result())
        except BrokenProcessPool:
            reason = (
                "the measuring process was killed from outside, perhaps for lack of memory; "
                "a smaller input size or another variant may help"
            )
            failed.append(FailedRun(job.setting, reason))
        except TdnetError as error:
            failed.append(FailedRun(job.setting, str(error)))
    return tuple(runs), tuple(failed)


def _measure(job: Job, started: float) -> BenchmarkRun:
    try:
        return measure(job, started)
    except OSError:
        raise
    # Some errors cannot be unpickled from their message alone.
    except Exception as error:
        raise DeviceError(_reason(error)) from None


def _reason(error: Exception) -> str:
    """Describe any error: those of PyTorch, NumPy and the exporter have no common base."""
    if isinstance(error, TdnetError):
        return str(error)
    return f"{type(error).__name__}: {one_line(first_line(error))}"


def _network(job: Job) -> tuple[object, ...]:
    setting = job.setting
    return setting.variant, setting.input_size, setting.device


def _prepare(
    case: BenchmarkCase, options: BenchmarkOptions, folder: Path
) -> tuple[list[Job], list[FailedRun]]:
    """Return a job for each precision of a case, and the precisions that cannot be exported."""
    size = options.camera_size
    if options.images is None:
        size = size or default_camera_size(case.input_size)
    path = folder / f"frames-{size}.npy"
    if not path.exists():
        np.save(path, read_frames(options.images, options.topic, size))
    frames = np.load(path)
    weights, name = find_weights(case.variant, options.weights, case.input_size, frames, folder)
    jobs, failed = [], []
    for precision in case.precisions:
        setting = BenchmarkSetting(
            variant=case.variant,
            weights=name,
            input_size=case.input_size,
            camera_size=frames.shape[1:3],
            device=case.device,
            precision=precision,
            runtime=case.runtime,
        )
        job = Job(setting, weights, path, options.num_frames, options.profile)
        try:
            if precision == INT8:
                job = replace(job, exported=quantised_folder(case, weights, folder))
        except OSError:
            raise
        except Exception as error:
            failed.append(FailedRun(setting, f"export: {_reason(error)}"))
        else:
            jobs.append(job)
    return jobs, failed
