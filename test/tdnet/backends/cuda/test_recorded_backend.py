"""Recorded steps compute what the network computes; on a GPU as CUDA graphs."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Iterator

import pytest
import torch
from support.variant_suite import few_channels
from torch import Tensor

from tdnet import create_model
from tdnet.backends.cuda.cuda_graphs import CudaGraphRecorder
from tdnet.backends.cuda.recorded_backend import RecordedBackend, Recorder, Work
from tdnet.network import SegmentationNetwork
from tdnet.network.temporal_memory import READ_AND_WRITE, MemoryAccess, TemporalMemory
from tdnet.variants import get_variant

SIZE = (33, 65)
NANO = get_variant("td4-psp18-nano")
NETWORKS = {
    "td4": NANO,
    "td4, one past frame": NANO.limited_memory(1),
    "td4, no past frame": NANO.limited_memory(0),
    "td2": few_channels(get_variant("td2-psp50")),
    "single frame": get_variant("psp18-nano"),
}


class Rerun:
    """Runs the work again; counts the recordings."""

    def __init__(self) -> None:
        self.recorded = 0

    def __call__(self, work: Work) -> Work:
        self.recorded += 1
        return work


class Machine:
    """A network on a device, plain and recorded."""

    def __init__(self, name: str, device: str, record: Recorder) -> None:
        torch.manual_seed(0)
        self.device = torch.device(device)
        self.plain: SegmentationNetwork = create_model(NETWORKS[name], 5, SIZE).to(self.device)
        self.plain.fold()
        self.recorded = RecordedBackend(self.plain, self.device, torch.float32, record)

    def memory(self) -> TemporalMemory:
        return self.plain.new_memory(self.device)

    def frames(self, count: int, seed: int = 0) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        view = torch.rand(1, 3, SIZE[0], SIZE[1] + 8 * count, generator=generator)
        return [view[..., 8 * t : 8 * t + SIZE[1]].to(self.device) for t in range(count)]

    def check(
        self,
        frame: Tensor,
        plain: TemporalMemory,
        recorded: TemporalMemory,
        access: MemoryAccess = READ_AND_WRITE,
    ) -> None:
        expected = self.plain.step(frame, plain, access)
        given = self.recorded.step(frame, recorded, access)
        assert float((given - expected).abs().max() / expected.abs().max()) < 1e-4
        assert (recorded.path, recorded.frames) == (plain.path, plain.frames)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    with torch.inference_mode():
        yield request.param


def recorder(device: str) -> Recorder:
    return Rerun() if device == "cpu" else CudaGraphRecorder(torch.device(device))


@pytest.mark.parametrize("name", NETWORKS)
def test_recorded_equals_plain(name: str, device: str) -> None:
    machine = Machine(name, device, recorder(device))
    plain, recorded = machine.memory(), machine.memory()
    for t, frame in enumerate(machine.frames(14)):
        if t == 9:
            plain.reset()
            recorded.reset()
        machine.check(frame, plain, recorded)
        if t % 2:
            machine.recorded.commit_memory(recorded)


@pytest.mark.parametrize("name", ["td4", "td4, one past frame", "td2", "single frame"])
def test_memory_is_read_and_written_as_plain(name: str, device: str) -> None:
    machine = Machine(name, device, recorder(device))
    plain, recorded = machine.memory(), machine.memory()
    for t, frame in enumerate(machine.frames(18)):
        machine.check(frame, plain, recorded)
        for other in machine.frames(1, seed=t):
            for access in (MemoryAccess(t % 2 == 0, t % 3 == 0), MemoryAccess(False, False)):
                machine.check(other, plain, recorded, access)


def test_streams_that_take_turns(device: str) -> None:
    machine = Machine("td4", device, recorder(device))
    streams = [(machine.memory(), machine.memory(), machine.frames(9, seed)) for seed in (1, 2, 3)]
    for t in range(9):
        for number, (plain, recorded, frames) in enumerate(streams):
            if number < 2 or t % 3:  # the third one falls behind
                machine.check(frames[t], plain, recorded)
            if number == t % 3:
                machine.recorded.commit_memory(recorded)


def test_a_stream_that_ends_leaves_nothing_to_the_next(device: str) -> None:
    machine = Machine("td4", device, recorder(device))
    for frame in machine.frames(5, 1):
        machine.recorded.step(frame, machine.memory())
    plain, recorded = machine.memory(), machine.memory()
    for frame in machine.frames(5, 2):
        machine.check(frame, plain, recorded)


def test_each_state_is_recorded_once() -> None:
    record = Rerun()
    machine = Machine("td4", "cpu", record)
    with torch.inference_mode():
        for _ in range(2):
            memory = machine.memory()
            for frame in machine.frames(12):
                machine.recorded.step(frame, memory)
        # Paths 0 to 2 while the memory fills, each of the four when it is full; two works each.
        assert record.recorded == 2 * 7


def test_where_recording_fails_it_goes_on_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(work: Work) -> Work:
        raise RuntimeError("operation not permitted when stream is capturing\nmore of it")

    machine = Machine("td4", "cpu", fail)
    with torch.inference_mode(), caplog.at_level(logging.WARNING):
        plain, recorded = machine.memory(), machine.memory()
        for frame in machine.frames(9):
            machine.check(frame, plain, recorded)
    assert [record.getMessage() for record in caplog.records] == [
        "frames are segmented without CUDA graphs, more slowly: "
        "operation not permitted when stream is capturing"
    ]


class Fails:
    """Runs the work again; every second work, the commit, fails while `broken` is set."""

    def __init__(self) -> None:
        self.recorded = 0
        self.broken = False

    def __call__(self, work: Work) -> Work:
        self.recorded += 1
        commits = self.recorded % 2 == 0

        def again() -> None:
            if commits and self.broken:
                raise RuntimeError("CUDA out of memory\nmore of it")
            work()

        return again


@torch.inference_mode()
def test_what_one_stream_could_not_store_is_not_told_to_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    record = Fails()
    machine = Machine("td4", "cpu", record)
    frames = machine.frames(10)
    one, other, plain = machine.memory(), machine.memory(), machine.memory()
    for frame in frames[:8]:
        machine.check(frame, plain, one)
        machine.recorded.step(frame, other)
    machine.recorded.step(frames[8], other)
    record.broken = True
    with caplog.at_level(logging.WARNING):
        machine.recorded.commit_memory(one)  # was copied out, and committed before that
        machine.check(frames[8], plain, one)
    assert [record.getMessage() for record in caplog.records] == [
        "a stream starts with an empty memory: CUDA out of memory"
    ]
    assert other.frames == 0
    with pytest.raises(RuntimeError, match="out of memory"):
        machine.recorded.commit_memory(one)
    assert one.frames == 0
    record.broken = False
    for memory in (one, other):
        fresh = machine.memory()
        for frame in frames:
            machine.check(frame, fresh, memory)


@torch.inference_mode()
@pytest.mark.parametrize("works", [True, False])
def test_a_model_that_goes_gives_its_memory_back_at_once(works: bool) -> None:
    def record(work: Work) -> Work:
        if not works:
            raise RuntimeError("no graphs here")
        return work

    machine = Machine("td4", "cpu", record)
    machine.recorded.step(machine.frames(1)[0], machine.memory())
    gone = weakref.ref(machine.recorded)
    gc.disable()
    try:
        del machine
        assert gone() is None
    finally:
        gc.enable()
