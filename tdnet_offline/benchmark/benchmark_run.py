"""A whole benchmark: inputs, one new process for each run, and the accuracy."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tdnet.errors import DeviceError, TdnetError, first_line, one_line
from tdnet.settings import SegmenterSettings
from tdnet_offline import provenance
from tdnet_offline.benchmark.accuracy import (
    STREET,
    Video,
    first_frames,
    measure_accuracy,
    videos_of,
)
from tdnet_offline.benchmark.benchmark_result import (
    Accuracy,
    Benchmark,
    BenchmarkRun,
    BenchmarkSetting,
    FailedRun,
)
from tdnet_offline.benchmark.camera_frames import (
    Frames,
    default_camera_size,
    read_frames,
    street_frames,
)
from tdnet_offline.benchmark.cases import TORCH, BenchmarkCase, Size
from tdnet_offline.benchmark.measurement import Job, measure
from tdnet_offline.benchmark.weights import RANDOM, exported_folder, find_weights
from tdnet_offline.datasets import Dataset, open_dataset

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
    """Measure networks.

    Args:
        cases: what to measure; at least one.
        options: how to measure it.
        progress: called with one line before each step.

    Raises:
        TdnetError: the frames or the data set cannot be used, or every run failed.
        OSError: a profile cannot be written.
    """
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory(prefix="tdnet-benchmark-") as folder:
        progress("preparing frames and weights")
        inputs = _Inputs(options, Path(folder))
        jobs, unprepared = inputs.jobs(cases)
        dataset = inputs.labelled()

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
            for case in cases:
                try:
                    accuracy += inputs.accuracy(case.without_failed(failed), dataset)
                except TdnetError as error:
                    setting = inputs.setting(case, case.precisions[0])
                    failed += (FailedRun(setting, f"accuracy: {error}"),)
    return Benchmark(
        hardware=provenance.hardware(),
        versions=provenance.versions(),
        git_commit=provenance.git_commit(),
        started=started,
        frames=options.images or "synthetic street",
        runs=runs,
        failed=failed,
        accuracy=tuple(accuracy),
    )


def run_jobs(
    jobs: Iterable[Job], on_start: Callable[[Job], None] = lambda _: None
) -> tuple[tuple[BenchmarkRun, ...], tuple[FailedRun, ...]]:
    """Measure jobs, each in a new process; a job that fails does not stop the others.

    Args:
        jobs: jobs in order.
        on_start: called before each job.

    Raises:
        OSError: a profile cannot be written.
    """
    runs, failed = [], []
    for job in jobs:
        on_start(job)
        try:
            runs.append(_in_new_process(job))
        except TdnetError as error:
            failed.append(FailedRun(job.setting, str(error)))
    return tuple(runs), tuple(failed)


def _in_new_process(job: Job) -> BenchmarkRun:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_measure, job, time.monotonic()).result()
        except BrokenProcessPool as error:
            raise DeviceError(
                "the measuring process was killed from outside, perhaps for lack of memory; "
                "a smaller input size or another variant may help"
            ) from error


def _measure(job: Job, started: float) -> BenchmarkRun:
    try:
        return measure(job, started)
    except OSError:
        raise
    # Some errors cannot be unpickled from their message alone, and the errors that PyTorch and
    # NumPy raise for lack of memory have no common base.
    except TdnetError as error:
        raise DeviceError(str(error)) from None
    except Exception as error:
        raise DeviceError(f"{type(error).__name__}: {one_line(first_line(error))}") from None


class _Inputs:
    """Frames, weights and exported graphs as files, created on first use."""

    def __init__(self, options: BenchmarkOptions, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._frames: dict[Size | None, Frames] = {}

    def jobs(self, cases: Sequence[BenchmarkCase]) -> tuple[list[Job], list[FailedRun]]:
        """Return a job for each precision, and the settings whose export failed."""
        jobs, failed = [], []
        for case in cases:
            for precision in case.precisions:
                job = self._job(case, precision)
                try:
                    folder = self._exported(case, precision, job.weights)
                except OSError:
                    raise
                except TdnetError as error:
                    failed.append(FailedRun(job.setting, f"export: {error}"))
                except Exception as error:  # the exporter's errors have no common base
                    reason = f"{type(error).__name__}: {one_line(first_line(error))}"
                    failed.append(FailedRun(job.setting, f"export: {reason}"))
                else:
                    jobs.append(replace(job, exported=folder))
        return jobs, failed

    def setting(self, case: BenchmarkCase, precision: str) -> BenchmarkSetting:
        """Return the setting of a case in a precision."""
        height, width = self._frames_for(case).shape[1:3]
        return BenchmarkSetting(
            case.variant,
            self._weights(case)[1],
            case.input_size,
            (height, width),
            case.device,
            precision,
            case.runtime,
        )

    def labelled(self) -> Dataset | None:
        """Open the data set of the accuracy; None if there is none."""
        source = self._options.accuracy
        if source is None or (not source and self._options.images):
            return None
        return open_dataset(source or STREET, _SPLIT)

    def accuracy(self, case: BenchmarkCase, dataset: Dataset | None) -> list[Accuracy]:
        """Compare the precisions of a case."""
        weights, name = self._weights(case)
        videos: Iterable[Video] = [[(image, None) for image in self._frames_for(case)]]
        if dataset is not None:
            # Labels from random weights are unrelated to the ground truth.
            videos = [first_frames(dataset)] if name == RANDOM else videos_of(dataset)
        folders = {p: self._exported(case, p, weights) for p in case.precisions}
        return measure_accuracy(
            SegmenterSettings(
                case.variant,
                str(weights),
                device=case.device,
                input_size=case.input_size,
                runtime=case.runtime,
            ),
            case.precisions,
            videos,
            weights=name,
            source=self._options.accuracy or self._options.images or STREET,
            dataset=dataset,
            exported={p: folder for p, folder in folders.items() if folder is not None},
        )

    def _job(self, case: BenchmarkCase, precision: str) -> Job:
        setting = self.setting(case, precision)
        height, width = setting.camera_size
        path = self._folder / f"{height}x{width}.npy"
        if not path.exists():
            np.save(path, self._frames_for(case))
        weights, _ = self._weights(case)
        return Job(setting, weights, path, self._options.num_frames, self._options.profile)

    def _frames_for(self, case: BenchmarkCase) -> Frames:
        given, size = self._options.images, self._options.camera_size
        if given is None:
            size = size or default_camera_size(case.input_size)
            if size not in self._frames:
                self._frames[size] = street_frames(size)
        elif size not in self._frames:
            self._frames[size] = read_frames(given, self._options.topic, size)
        return self._frames[size]

    def _exported(self, case: BenchmarkCase, precision: str, weights: Path) -> Path | None:
        if case.runtime == TORCH:
            return None
        return exported_folder(case, precision, weights, self._folder)

    def _weights(self, case: BenchmarkCase) -> tuple[Path, str]:
        frames = self._frames_for(case)
        given = self._options.weights
        return find_weights(case.variant, given, case.input_size, frames, self._folder)
