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


class ToldElsewhere(TdnetError):
    """An error that ends this process too, and that another one tells the user."""


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
        """Give the items of all processes, in the order of their ranks, to each of them.

        Raises:
            InputError: some other process has ended, and this is the first one.
            ToldElsewhere: the same, and it is not.
        """
        if self.processes == 1:
            return [item]
        items: list[Item | None] = [None] * self.processes
        try:
            dist.all_gather_object(items, item)
        except RuntimeError as error:
            raise self._told(
                f"one of the {self.processes} processes has ended before its share was done; its "
                "own last line, or the system's log, says why"
            ) from error
        return [found for found in items if found is not None]

    def _told(self, reason: str) -> TdnetError:
        """Of what concerns all processes the first one tells."""
        return ToldElsewhere(reason) if self.rank else InputError(reason)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run a block that all processes run, and end it in all of them where one has an error.

        Raises:
            InputError: some other process had an error, and this is the first one.
            ToldElsewhere: some process had an error, and this is not the first one.
        """
        if self.processes == 1:
            yield
            return
        error: Exception | None = None
        try:
            yield
        except (TdnetError, OSError) as raised:
            error = raised
        # An error without a word is one too.
        text = None if error is None else str(error) or type(error).__name__
        errors = [told for (told,) in self.gather((text,)) if told is not None]
        if error is not None and not self.rank:
            raise error
        if errors:
            raise self._told(errors[0]) from error


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
