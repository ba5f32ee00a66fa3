"""A ROS domain for each run of the tests: nodes of two runs on a machine must not meet."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

DOMAINS = 100  # more would need ports that the system gives to others

_held: list[IO[bytes]] = []


def enter_free_domain() -> None:
    """Put this process, and those that it starts, into a domain that no other run holds."""
    # Open, and its lock held, until the process ends: byte N stands for domain N.
    locks = (Path(tempfile.gettempdir()) / f"tdnet-test-domains-{os.getuid()}").open("ab")
    _held.append(locks)
    for offset in range(DOMAINS):
        domain = 1 + (os.getpid() + offset) % DOMAINS
        with contextlib.suppress(OSError):
            fcntl.lockf(locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, domain)
            os.environ["ROS_DOMAIN_ID"] = str(domain)
            os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
            return
    raise RuntimeError(f"all {DOMAINS} ROS domains are in use by tests")
