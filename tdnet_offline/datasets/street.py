"""The synthetic street as a data set: a range of seeds, each a video, every frame labelled."""

from __future__ import annotations

import hashlib
import re
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet_offline import street
from tdnet_offline.datasets.video import Dataset, LabelledVideo, relabelled
from tdnet_offline.frames import Frame
from tdnet_offline.street import StreetDrive
from tdnet_offline.writers.atomic_files import replacing

DEFAULT_SIZE = (360, 640)
DEFAULT_FRAMES = 30
DEFAULT_RATE = 17.0
MAX_SEEDS = 1_000_000
MAX_FRAMES = 10_000_000
"""Of all drives together: clips are kept in a list."""
_CACHED_TOGETHER = 16
GRAMMAR = "FIRST-LAST[@HxW][,frames=N][,rate=HZ][,cache=DIR]"
_SEEDS = re.compile(r"([0-9]{1,12})(?:-([0-9]{1,12}))?(?:@([0-9]{1,4})x([0-9]{1,4}))?")
_SIDES = (32, 4096)


class StreetVideo(LabelledVideo):
    """One drive, rendered at each access to a frame; with a cache, only at the first.

    Args:
        seed: of the street.
        size: (H, W) of the frames in pixels.
        frames: number of frames.
        rate: frames a second.
        cache: folder for rendered frames; None: no cache.
    """

    def __init__(
        self, seed: int, size: tuple[int, int], frames: int, rate: float, cache: Path | None
    ) -> None:
        self.name = f"street{seed}"
        self.num_frames = frames
        self.labelled = range(frames)
        self.frame_rate = rate
        self.exact_flow = self._exact_flow
        self._drive = (seed, size, rate)
        # Another version of the street renders other pixels.
        folder = f"{_street_version()}-{size[0]}x{size[1]}-{rate:g}hz"
        self._cache = cache and cache / folder / self.name

    def frame(self, index: int) -> Frame:
        """Return frame ``index``; see `LabelledVideo.frame`."""
        image = np.ascontiguousarray(self._picture(index)[..., :3])
        return Frame(f"{self.name}_{index:06d}", round(index * 1e9 / self._drive[2]), "", image)

    def labels(self, index: int) -> npt.NDArray[np.uint8]:
        """Return the labels of frame ``index``; see `LabelledVideo.labels`."""
        return np.ascontiguousarray(self._picture(index)[..., 3])

    def _exact_flow(self, index: int, other: int) -> npt.NDArray[np.float32]:
        self.check_index(index)
        self.check_index(other)
        return _street_drive(*self._drive).flow(index, other)

    def _picture(self, index: int) -> npt.NDArray[np.uint8]:
        """Return (H, W, 4) uint8: red, green, blue, label."""
        self.check_index(index)
        if self._cache is None:
            return _render(self._drive, index)
        file = self._cache / f"{index:06d}.npy"
        if not file.exists():
            self._fill_cache(self._cache, index)
        try:
            picture = np.load(file)
        except (ValueError, EOFError) as error:
            raise InputError(f"{file}: damaged ({error}); remove the cache") from error
        return np.asarray(picture, np.uint8)

    def _fill_cache(self, folder: Path, index: int) -> None:
        """Render the frames around one: building the street takes as long as several frames."""
        first = index - index % _CACHED_TOGETHER
        for number in range(first, min(first + _CACHED_TOGETHER, self.num_frames)):
            file = folder / f"{number:06d}.npy"
            if not file.exists():
                with replacing(file) as temporary:
                    np.save(temporary, _render(self._drive, number))


@cache
def _street_version() -> str:
    sources = sorted(Path(street.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


@lru_cache(maxsize=4)
def _street_drive(seed: int, size: tuple[int, int], rate: float) -> StreetDrive:
    return StreetDrive(seed, size, rate)


# Labels are read right after their frame.
@lru_cache(maxsize=8)
def _render(drive: tuple[int, tuple[int, int], float], index: int) -> npt.NDArray[np.uint8]:
    frame = _street_drive(*drive).frame(index)
    picture = np.dstack([frame.image, frame.labels])
    picture.flags.writeable = False
    return picture


def open_street(root: str, split: str = "", class_map: ClassMap | None = None) -> Dataset:
    """Open a range of synthetic drives.

    Args:
        root: ``FIRST-LAST[@HxW][,frames=N][,rate=HZ][,cache=DIR]``: seeds, size of the frames,
            frames of each drive, frames a second, and a folder that caches rendered frames;
            such as ``0-99@180x320,frames=12``.
        split: ignored: the street has no splits.
        class_map: see `relabelled`.

    Raises:
        InputError: another text.
    """
    del split
    seeds, *words = root.split(",")
    match = _SEEDS.fullmatch(seeds)
    if match is None:
        raise _mistake(root, f"got {seeds!r} for the seeds")
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    if not first <= last < first + MAX_SEEDS:
        raise _mistake(root, f"{last - first + 1} seeds; allowed are 1 to {MAX_SEEDS}")
    size = DEFAULT_SIZE if match[3] is None else (int(match[3]), int(match[4]))
    if not all(_SIDES[0] <= side <= _SIDES[1] for side in size):
        raise _mistake(root, f"sides are {_SIDES[0]} to {_SIDES[1]} pixels")
    options = {}
    for word in words:
        key, _, value = word.partition("=")
        if key not in ("frames", "rate", "cache") or not value:
            raise _mistake(root, f"got {word!r}")
        options[key] = value
    frames = int(_number(root, "frames", options.get("frames", DEFAULT_FRAMES), 1, 1e6))
    rate = _number(root, "rate", options.get("rate", DEFAULT_RATE), 0.1, 1000)
    numbers = range(first, last + 1)
    if len(numbers) * frames > MAX_FRAMES:
        raise _mistake(
            root,
            f"{len(numbers)} seeds with {frames} frames are {len(numbers) * frames} frames; "
            f"allowed are {MAX_FRAMES} in all, so take fewer seeds or frames",
        )
    cache_folder = Path(options["cache"]) if "cache" in options else None
    videos = tuple(StreetVideo(seed, size, frames, rate, cache_folder) for seed in numbers)
    return relabelled(Dataset("street", root, "", ClassMap.load("cityscapes"), videos), class_map)


def _number(root: str, name: str, text: str | float, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most or (name == "frames" and value != int(value)):
        raise _mistake(root, f"got {name}={text}; allowed are {least:g} to {most:g}")
    return value


def _mistake(root: str, problem: str) -> InputError:
    return InputError(f"street:{root}: {problem}; write street:{GRAMMAR}")
