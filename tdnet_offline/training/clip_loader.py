"""The order of the clips, and the loaders that deliver them as batches.

Sample number n of a run depends on the seed and n only: not on the number of processes, workers or
parts of an iteration, nor on where the run was interrupted.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.sharedctypes import RawValue
from types import FrameType
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from tdnet.errors import InputError, TdnetError
from tdnet_offline.datasets import ClipMixture
from tdnet_offline.training.configuration import OptimisationConfig


class ClipBatch(NamedTuple):
    """Clips of one part of an iteration, in one process.

    Attributes:
        frames: (B, N, H, W, 3) uint8 RGB, oldest first.
        labels: (B, H, W) uint8, 255 = ignored.
        draws: B seeds of everything random about each clip; in validation, the path that
            segments it.
    """

    frames: Tensor
    labels: Tensor
    draws: list[int]


class Position(NamedTuple):
    """A process among all training processes, and its share of each iteration.

    Attributes:
        rank: number of the process, from 0.
        processes: number of processes.
        clips: of one part of an iteration, in one process.
        parts: of an iteration.
    """

    rank: int
    processes: int
    clips: int
    parts: int

    @classmethod
    def of_process(
        cls, rank: int, processes: int, config: OptimisationConfig, *, synchronised: bool
    ) -> Position:
        """Divide the clips of an iteration among the processes.

        If `synchronised`, batch norms use the clips of all processes.

        Raises:
            InputError: the clips cannot be divided evenly, or a batch norm would use only one.
        """
        shares = processes * config.accumulate
        if config.batch_size % shares:
            raise InputError(
                f"optimisation.batch_size is {config.batch_size}, to be shared by {processes} "
                f"processes in {config.accumulate} parts each; allowed are multiples of {shares}"
            )
        clips = config.batch_size // shares
        if clips * (processes if synchronised else 1) < 2:
            raise InputError(
                f"optimisation.batch_size {config.batch_size} leaves one clip to each batch norm, "
                f"which needs two to train; allowed are {2 * shares} and more"
            )
        return cls(rank, processes, clips, config.accumulate)


class ClipSampler(Sampler[list[tuple[int, int]]]):
    """Yields the (index, draw) pairs of each part of each iteration, for one process.

    Every labelled frame of a data set comes once before any comes twice, in an order that is
    shuffled again for each pass. Data sets alternate so that their shares hold from the start.

    Args:
        counts: labelled frames of each data set.
        seed: of order and draws.
        start: first iteration; `end` follows the last.
        end: see `start`.
        position: this process.
        shares: share of the clips from each data set, in any unit; None: by their counts.
    """

    def __init__(
        self,
        counts: Sequence[int],
        seed: int,
        start: int,
        end: int,
        position: Position,
        shares: Sequence[float] | None = None,
    ) -> None:
        # Without shares all parts are shuffled together, as one.
        self._counts = (sum(counts),) if shares is None else tuple(counts)
        self._shares = (1.0,) if shares is None else tuple(shares)
        self._seed = seed
        self._start, self._end, self._position = start, end, position

    def __len__(self) -> int:
        return (self._end - self._start) * self._position.parts

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        clips, parts = self._position.clips, self._position.parts
        orders: dict[int, tuple[int, list[int]]] = {}
        for part in range(self._start * parts, self._end * parts):
            first = (part * self._position.processes + self._position.rank) * clips
            items = []
            for sample in range(first, first + clips):
                source, ordinal = self._source(sample)
                number, place = divmod(ordinal, self._counts[source])
                if source not in orders or orders[source][0] != number:
                    shuffled = np.random.default_rng((self._seed, 1, number, source))
                    order = shuffled.permutation(self._counts[source]).tolist()
                    orders[source] = (number, order)
                draw = np.random.SeedSequence((self._seed, 2, sample)).generate_state(1)
                index = sum(self._counts[:source]) + orders[source][1][place]
                items.append((index, int(draw[0])))
            yield items

    def _source(self, sample: int) -> tuple[int, int]:
        """Return the data set of a sample, and its number among the samples of that data set."""
        left = float(sum(self._shares))
        for source, share in enumerate(self._shares[:-1]):
            # Of every 1 / ratio samples, the last one belongs to this data set.
            ratio = share / left
            before = int(sample * ratio)
            if int((sample + 1) * ratio) > before:
                return source, before
            sample, left = sample - before, left - share
        return len(self._counts) - 1, sample


class _Batches(TorchDataset["ClipBatch | TdnetError"]):
    """Returns an error as a batch: a worker process can raise only its printed form."""

    def __init__(self, clips: ClipMixture) -> None:
        self._clips = clips

    def __getitem__(self, items: list[tuple[int, int]]) -> ClipBatch | TdnetError:
        try:
            clips = [self._clips[item] for item in items]
        except TdnetError as error:
            return error
        frames, labels = (torch.stack(each) for each in list(zip(*clips, strict=True))[:2])
        return ClipBatch(frames, labels, [draw for _, draw in items])


def clip_loader(
    clips: ClipMixture,
    batches: Sampler[list[tuple[int, int]]] | list[list[tuple[int, int]]],
    *,
    workers: int,
    pin_memory: bool,
) -> DataLoader[ClipBatch | TdnetError]:
    """Create a loader of the batches; the error of an unreadable clip is delivered as a batch."""
    return DataLoader(
        _Batches(clips),
        batch_size=None,  # the sampler yields whole batches
        sampler=batches,
        num_workers=workers,
        worker_init_fn=_worker_preparation() if workers else None,
        pin_memory=pin_memory,
        prefetch_factor=2 if workers else None,
        persistent_workers=workers > 0,
    )


def _worker_preparation() -> Callable[[int], None]:
    """Return the start function of workers; Python ends them by SIGTERM when it exits."""
    ending = RawValue(ctypes.c_bool, False)
    atexit.register(setattr, ending, "value", True)
    return partial(_prepare_worker, ending)


def _prepare_worker(ending: ctypes.c_bool, _number: int) -> None:
    # A forked process lacks the threads of OpenCV, which would wait for them forever.
    cv2.setNumThreads(0)

    # Ctrl-C, and SIGTERM from torchrun and schedulers, reach the whole process group; the main
    # process needs its workers until it ends the run.
    def on_sigterm(_signal: int, _frame: FrameType | None) -> None:
        if ending.value:
            os._exit(0)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, on_sigterm)
