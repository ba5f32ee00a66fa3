"""Runs a benchmark: every setting in a new process, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from tdnet.errors import DeviceError, TdnetError, first_line, one_line
from tdnet_offline.benchmark.measuring import Job, measure
from tdnet_offline.benchmark.result import FailedRun, Run


def run_jobs(
    jobs: Iterable[Job], on_start: Callable[[Job], None] = lambda _: None
) -> tuple[tuple[Run, ...], tuple[FailedRun, ...]]:
    """Measure jobs; one that fails, for want of memory perhaps, does not end the others.

    Args:
        jobs: in order.
        on_start: called before each.

    Raises:
        OSError: a profile cannot be written.
    """
    runs, failed = [], []
    for job in jobs:
        on_start(job)
        try:
            runs.append(_in_new_process(job))
        except TdnetError as error:
            failed.append(FailedRun(job.setting, str(error)))
    return tuple(runs), tuple(failed)


def _in_new_process(job: Job) -> Run:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_measure, job, time.monotonic()).result()
        except BrokenProcessPool as error:
            raise DeviceError(
                "the process that measured it was ended from outside, for want of memory perhaps; "
                "a smaller input size or another variant may help"
            ) from error


def _measure(job: Job, started: float) -> Run:
    try:
        return measure(job, started)
    except OSError:
        raise
    # Some errors take more than their message to be made anew in the other process; and what
    # PyTorch and NumPy raise for want of memory has no common base.
    except TdnetError as error:
        raise DeviceError(str(error)) from None
    except Exception as error:
        raise DeviceError(f"{type(error).__name__}: {one_line(first_line(error))}") from None
