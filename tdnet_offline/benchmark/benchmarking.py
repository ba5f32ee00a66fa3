"""A whole benchmark: frames and weights, a process for every run, and the accuracy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
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
from tdnet_offline.benchmark.camera_frames import Frames, read_frames, street_frames, usual_camera
from tdnet_offline.benchmark.exported import exported_folder
from tdnet_offline.benchmark.measuring import Job
from tdnet_offline.benchmark.plan import TORCH, Place, Size
from tdnet_offline.benchmark.result import Accuracy, Benchmark, FailedRun, Setting
from tdnet_offline.benchmark.running import run_jobs
from tdnet_offline.benchmark.weights import RANDOM, find_weights
from tdnet_offline.datasets import Dataset, open_dataset

_SPLIT = "val"


@dataclass(frozen=True)
class BenchmarkOptions:
    """How is measured what is measured.

    Attributes:
        weights: file of the only variant; None: the packaged ones, or random numbers.
        images: folder of images, video or bag with the frames; None: a synthetic street.
        topic: the bag's image topic.
        camera_size: height and width of the frames; None: as they are, of the street as usual for
            the network's input.
        num_frames: of each measurement; None: as many as fit into some seconds.
        profile: folder for profiles; None: none.
        accuracy: data set for the precisions' accuracy; empty: `images`, or held-out streets;
            None: it is not measured.
    """

    weights: Path | None = None
    images: str | None = None
    topic: str | None = None
    camera_size: Size | None = None
    num_frames: int | None = None
    profile: Path | None = None
    accuracy: str | None = None


def run_benchmark(
    places: Sequence[Place],
    options: BenchmarkOptions,
    tell: Callable[[str], None] = lambda _: None,
) -> Benchmark:
    """Measure networks.

    Args:
        places: at least one.
        options: how.
        tell: shows what is being done.

    Raises:
        TdnetError: the frames or the data set cannot be used, or not one run came to an end.
        OSError: a profile cannot be written.
    """
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory(prefix="tdnet-benchmark-") as folder:
        tell("making frames and weights ready")
        inputs = _Inputs(options, Path(folder))
        jobs, unprepared = inputs.jobs(places)
        dataset = inputs.labelled()

        def say(job: Job) -> None:
            setting, number = job.setting, jobs.index(job) + 1
            what = f"{setting.variant} on {setting.device} in {setting.numbers}"
            tell(f"{number} of {len(jobs)}: {what}")

        runs, failed = run_jobs(jobs, say)
        failed = (*unprepared, *failed)
        if not runs:
            raise DeviceError(failed[0].reason)
        accuracy: list[Accuracy] = []
        if options.accuracy is not None:
            tell("accuracy")
            for place in places:
                try:
                    accuracy += inputs.accuracy(place.without_failed(failed), dataset)
                except TdnetError as error:
                    setting = inputs.setting(place, place.precisions[0])
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


class _Inputs:
    """Frames and weights as files, made when they are first asked for."""

    def __init__(self, options: BenchmarkOptions, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._frames: dict[Size | None, Frames] = {}

    def jobs(self, places: Sequence[Place]) -> tuple[list[Job], list[FailedRun]]:
        """Give a job for each precision, and which cannot have one since its export fails."""
        jobs, failed = [], []
        for place in places:
            for precision in place.precisions:
                job = self._job(place, precision)
                try:
                    folder = self._exported(place, precision, job.weights)
                except OSError:
                    raise
                except TdnetError as error:
                    failed.append(FailedRun(job.setting, f"export: {error}"))
                except Exception as error:  # of the exporter, which has no base for its own
                    reason = f"{type(error).__name__}: {one_line(first_line(error))}"
                    failed.append(FailedRun(job.setting, f"export: {reason}"))
                else:
                    jobs.append(replace(job, exported=folder))
        return jobs, failed

    def setting(self, place: Place, precision: str) -> Setting:
        """Say what is measured there."""
        height, width = self._frames_for(place).shape[1:3]
        return Setting(
            place.variant,
            self._weights(place)[1],
            place.input_size,
            (height, width),
            place.device,
            precision,
            place.runtime,
        )

    def _job(self, place: Place, precision: str) -> Job:
        setting = self.setting(place, precision)
        height, width = setting.camera_size
        path = self._folder / f"{height}x{width}.npy"
        if not path.exists():
            np.save(path, self._frames_for(place))
        weights, _ = self._weights(place)
        return Job(
            setting,
            weights,
            path,
            self._options.num_frames,
            self._options.profile,
        )

    def labelled(self) -> Dataset | None:
        """Open the data set of the accuracy; None if there is none."""
        source = self._options.accuracy
        if source is None or (not source and self._options.images):
            return None
        return open_dataset(source or STREET, _SPLIT)

    def accuracy(self, place: Place, dataset: Dataset | None) -> list[Accuracy]:
        """Compare the precisions of a place."""
        weights, name = self._weights(place)
        videos: Iterable[Video] = [[(image, None) for image in self._frames_for(place)]]
        if dataset is not None:
            # What random weights make of a street has nothing to do with its labels.
            videos = [first_frames(dataset)] if name == RANDOM else videos_of(dataset)
        settings = SegmenterSettings(
            place.variant, str(weights), device=place.device, input_size=place.input_size
        )
        source = self._options.accuracy or self._options.images or STREET
        folders = {p: self._exported(place, p, weights) for p in place.precisions}
        exported = {p: folder for p, folder in folders.items() if folder is not None}
        return measure_accuracy(
            replace(settings, runtime=place.runtime),
            place.precisions,
            videos,
            weights=name,
            source=source,
            dataset=dataset,
            exported=exported,
        )

    def _frames_for(self, place: Place) -> Frames:
        given, size = self._options.images, self._options.camera_size
        if given is None:
            size = size or usual_camera(place.input_size)
            if size not in self._frames:
                self._frames[size] = street_frames(size)
        elif size not in self._frames:
            self._frames[size] = read_frames(given, self._options.topic, size)
        return self._frames[size]

    def _exported(self, place: Place, precision: str, weights: Path) -> Path | None:
        if place.runtime == TORCH:
            return None
        return exported_folder(place, precision, weights, self._folder)

    def _weights(self, place: Place) -> tuple[Path, str]:
        frames = self._frames_for(place)
        given = self._options.weights
        return find_weights(place.variant, given, place.input_size, frames, self._folder)
