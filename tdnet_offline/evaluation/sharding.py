"""Shares videos among the processes that `torchrun` started, and gathers what they measured."""

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
"""Processes wait for the slowest one; torchrun ends them all where one dies."""


@dataclass(frozen=True)
class Shard:
    """This process among those that share the work.

    Attributes:
        rank: its number, from 0.
        processes: how many there are.
    """

    rank: int = 0
    processes: int = 1

    def share(self, sizes: Sequence[int]) -> list[int]:
        """Choose this process' share of some pieces of work, ascending.

        Every piece is in the share of one process; the shares are about equally large.

        Args:
            sizes: work of each piece.
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
        """Give the items of all processes, in the order of their ranks, to each of them."""
        if self.processes == 1:
            return [item]
        items: list[Item | None] = [None] * self.processes
        dist.all_gather_object(items, item)
        return [found for found in items if found is not None]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run a block that all processes run, and end it in all of them where one has an error.

        Raises:
            InputError: some other process had an error.
        """
        if self.processes == 1:
            yield
            return
        error: Exception | None = None
        try:
            yield
        except (TdnetError, OSError) as raised:
            error = raised
        errors = [text for text in self.gather(str(error or "")) if text]
        if error is not None:
            raise error
        if errors:
            raise InputError(errors[0])


ALONE = Shard()
"""The only process."""


@contextmanager
def join_processes() -> Iterator[Shard]:
    """Join the other processes of a run by `torchrun`; alone without it.

    Each process takes the GPU of its number on its machine, where there are any.

    Raises:
        InputError: torchrun's variables are set, but the other processes cannot be reached.
    """
    world = os.environ.get("WORLD_SIZE", "1")
    if not world.isdecimal():
        raise InputError(f"WORLD_SIZE is {world!r}; start with torchrun, or unset it")
    processes = int(world)
    if processes <= 1:
        yield ALONE
        return
    if torch.cuda.is_available():
        local = int(os.environ.get("LOCAL_RANK", "0"))
        torch.cuda.set_device(local % torch.cuda.device_count())
    try:
        # What is gathered lies in the host's memory: no GPU is asked, of any kind.
        dist.init_process_group("gloo", timeout=_PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"WORLD_SIZE is {processes}, but the other processes cannot be reached ({error}); "
            "start with torchrun, or unset it"
        ) from error
    try:
        yield Shard(dist.get_rank(), processes)
    finally:
        dist.destroy_process_group()
