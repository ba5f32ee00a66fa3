"""A ROS domain for each run of the tests: nodes of two runs on a machine must not meet."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

DOMAINS = 100  # more would need ports that the system gives to others

_held: list[IO[str]] = []


def enter_free_domain() -> None:
    """Put this process, and those that it starts, into a domain that no other run holds."""
    for offset in range(DOMAINS):
        domain = 1 + (os.getpid() + offset) % DOMAINS
        path = Path(tempfile.gettempdir()) / f"tdnet-test-domain-{domain}"
        try:
            file = path.open("w")
        except OSError:  # another user's
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        _held.append(file)  # open, and so held, until the process ends
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        return
    raise RuntimeError(f"all {DOMAINS} ROS domains are in use by tests")
