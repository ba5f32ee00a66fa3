"""The share of one process in an evaluation that `torchrun` runs in several processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from tdnet.errors import InputError, TdnetError

Item = TypeVar("Item")

_PATIENCE = timedelta(days=30)
"""Processes wait for the slowest one; torchrun ends all of them if one dies."""


class ReportedElsewhere(TdnetError):
    """An error that ends this process, and that another process reports to the user."""


@dataclass(frozen=True)
class Shard:
    """This process among those that share the work.

    Attributes:
        rank: its number, from 0.
        processes: number of processes.
    """

    rank: int = 0
    processes: int = 1

    def share(self, sizes: Sequence[int]) -> list[int]:
        """Return this process' share of pieces of work of these sizes, ascending.

        Every piece is in the share of one process; the shares are about equally large.
        """
        loads = [0] * self.processes
        own = []
        for piece in sorted(range(len(sizes)), key=lambda piece: (-sizes[piece], piece)):
            rank = loads.index(min(loads))
            loads[rank] += sizes[piece]
            if rank == self.rank:
                own.append(piece)
        return sorted(own)

    def gather(self, item: Item) -> list[Item]:
        """Return the items of all processes, in the order of their ranks, to each of them.

        Raises:
            InputError: another process has ended, and this is the first one.
            ReportedElsewhere: another process has ended, and this is not the first one.
        """
        if self.processes == 1:
            return [item]
        items: list[Item | None] = [None] * self.processes
        try:
            dist.all_gather_object(items, item)
        except RuntimeError as error:
            raise self._shared_error(
                f"one of the {self.processes} processes has ended before its share was done; its "
                "own last line, or the system's log, says why"
            ) from error
        return [found for found in items if found is not None]

    def _shared_error(self, reason: str) -> TdnetError:
        """Return an error of all processes, which the first one reports."""
        return ReportedElsewhere(reason) if self.rank else InputError(reason)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run a block in all processes; if one of them has an error, all of them raise one.

        Raises:
            InputError: another process had an error, and this is the first one.
            ReportedElsewhere: a process had an error, and this is not the first one.
        """
        error: Exception | None = None
        try:
            yield
        except (TdnetError, OSError) as raised:
            error = raised
        # An error may have no message.
        text = None if error is None else str(error) or type(error).__name__
        errors = [found for (found,) in self.gather((text,)) if found is not None]
        if error is not None and not self.rank:
            raise error
        if errors:
            raise self._shared_error(errors[0]) from error


ALONE = Shard()
"""The only process."""


@contextmanager
def join_processes() -> Iterator[Shard]:
    """Join the other processes of a run by `torchrun`; alone without it.

    Each process uses the GPU of its local rank, if the machine has GPUs.

    Raises:
        InputError: torchrun's variables are set, but the other processes cannot be reached.
    """
    world = os.environ.get("WORLD_SIZE", "1")
    if world == "1":
        yield ALONE
        return
    if torch.cuda.is_available():
        local = int(os.environ.get("LOCAL_RANK", "0"))
        torch.cuda.set_device(local % torch.cuda.device_count())
    try:
        # Gloo gathers in CPU memory, so that it works without GPUs.
        dist.init_process_group("gloo", timeout=_PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"WORLD_SIZE is {world}, but the other processes cannot be reached ({error}); "
            "start with torchrun, or unset it"
        ) from error
    try:
        yield Shard(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
