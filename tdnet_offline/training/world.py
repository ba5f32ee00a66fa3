"""The processes that train together, as `torchrun` tells each of them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from tdnet.errors import InputError
from tdnet_offline.training.configuration import OptimisationConfig
from tdnet_offline.training.data import Position


@dataclass(frozen=True)
class World:
    """All training processes, and which of them this is.

    Attributes:
        rank: of this process, from 0.
        processes: of all machines together.
        processes_here: of this machine.
        launched: whether `torchrun` started this process.
    """

    rank: int = 0
    processes: int = 1
    processes_here: int = 1
    launched: bool = False

    @classmethod
    def of_environment(cls) -> World:
        """Read what `torchrun` put into the environment; without it, this process is alone."""
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return cls()
        return cls(
            rank=int(os.environ["RANK"]),
            processes=int(os.environ["WORLD_SIZE"]),
            processes_here=int(os.environ["LOCAL_WORLD_SIZE"]),
            launched=True,
        )

    def position(self, config: OptimisationConfig, *, synchronised: bool) -> Position:
        """Give this process's share of every iteration.

        Args:
            config: how many clips, in how many parts.
            synchronised: whether batch norms see the clips of all processes.

        Raises:
            InputError: the clips of an iteration cannot be shared out evenly, or a batch norm
                would see only one.
        """
        shares = self.processes * config.accumulate
        if config.batch_size % shares:
            raise InputError(
                f"optimisation.batch_size is {config.batch_size}, to be shared by "
                f"{self.processes} processes in {config.accumulate} parts each; allowed are "
                f"multiples of {shares}"
            )
        clips = config.batch_size // shares
        if clips * (self.processes if synchronised else 1) < 2:
            raise InputError(
                f"optimisation.batch_size {config.batch_size} leaves one clip to each batch norm, "
                f"which needs two to train; allowed are {2 * shares} and more"
            )
        return Position(self.rank, self.processes, clips, config.accumulate)
