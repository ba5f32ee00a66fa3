"""A ROS domain for each run of the tests, so that two runs on a machine do not connect."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

DOMAINS = 100  # higher domains use ports of the ephemeral range

_held: list[IO[bytes]] = []


def enter_free_domain() -> None:
    """Set a domain that no other run uses, for this process and its children."""
    # The file stays open and locked until the process ends: byte N is domain N.
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
