from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from support.frames import drive

from tdnet import ClassMap, OutputOptions, OverlayRenderer, StreamingSegmenter, create_model
from tdnet.errors import DeviceError, InputError, UnknownNameError
from tdnet.network.temporal_memory import MemoryAccess

SIZE = (65, 129)
CUDA = pytest.param("cuda", marks=pytest.mark.cuda)
FRAMES = drive(9, 72, 96)


def segmenter(name: str = "td4-psp18-nano", **options) -> StreamingSegmenter:  # noqa: ANN003
    torch.manual_seed(0)
    return StreamingSegmenter(create_model(name, input_size=SIZE), **options)


@pytest.fixture(scope="module", params=["cpu", CUDA])
def shared(request: pytest.FixtureRequest) -> StreamingSegmenter:
    return segmenter(device=request.param, precision="float32")


@pytest.mark.parametrize("name", ["td4-psp18-nano", "td2-psp50", "psp18-nano"])
def test_paths_take_turns_and_the_memory_fills(name: str) -> None:
    stream = segmenter(name, device="cpu")
    count = stream.variant.paths
    for t, image in enumerate(FRAMES[:5]):
        result = stream.step(image)
        assert (result.path, result.memory_frames) == (t % count, min(t, count - 1))
        assert result.labels.shape == image.shape[:2]
        assert result.labels.dtype == np.uint8
        assert result.times.total > 0


def test_streamed_equals_recomputed_from_the_last_frames(shared: StreamingSegmenter) -> None:
    """A stream that starts N - 1 frames earlier, at the same path, ends with the same labels."""
    stream = shared.open_stream()
    streamed = [stream.step(image).labels for image in FRAMES]
    for t in (3, 7):  # frames that path 3 processes, as it does the fourth of a new stream
        fresh = shared.open_stream()
        for image in FRAMES[t - 3 : t + 1]:
            labels = fresh.step(image).labels
        assert (labels == streamed[t]).mean() > 0.999


def test_interleaved_streams_do_not_touch_each_other(shared: StreamingSegmenter) -> None:
    backwards = [np.ascontiguousarray(image[::-1]) for image in FRAMES[:6]]
    alone = []
    for images in (FRAMES[:6], backwards):
        stream = shared.open_stream()
        alone.append([stream.step(image).labels for image in images])
    first, second = shared.open_stream(), shared.open_stream()
    for t in range(6):
        np.testing.assert_array_equal(first.step(FRAMES[t]).labels, alone[0][t])
        np.testing.assert_array_equal(second.step(backwards[t]).labels, alone[1][t])


def test_reset_equals_new(shared: StreamingSegmenter) -> None:
    used = shared.open_stream()
    for image in FRAMES[:6]:
        used.step(image)
    used.reset()
    new = shared.open_stream()
    for image in FRAMES[3:8]:
        a, b = used.step(image), new.step(image)
        np.testing.assert_array_equal(a.labels, b.labels)
        assert (a.path, a.memory_frames) == (b.path, b.memory_frames)


def test_a_frame_that_does_not_write_leaves_no_trace(shared: StreamingSegmenter) -> None:
    plain, looked_at = shared.open_stream(), shared.open_stream()
    for t, image in enumerate(FRAMES):
        for read in (True, False):
            looked_at.step(FRAMES[-1 - t], access=MemoryAccess(read, write=False))
            assert looked_at.memory_frames == min(t, 3)
        expected = plain.step(image)
        for access in (MemoryAccess(write=False), MemoryAccess()):
            result = looked_at.step(image, access=access)
            np.testing.assert_array_equal(result.labels, expected.labels)
            assert (result.path, result.memory_frames) == (expected.path, expected.memory_frames)


def test_a_frame_that_does_not_read_is_as_after_a_reset(shared: StreamingSegmenter) -> None:
    stream, fresh = shared.open_stream(), shared.open_stream()
    for t, image in enumerate(FRAMES):
        result = stream.step(image, access=MemoryAccess(read=False))
        assert (result.path, result.memory_frames) == (t % 4, 0)
        if result.path == 0:
            fresh.reset()
            np.testing.assert_array_equal(result.labels, fresh.step(image).labels)
    # The frames that it wrote are there for the next frame that reads.
    reader = shared.open_stream()
    for image in FRAMES:
        reader.step(image)
    expected = reader.step(FRAMES[0])
    result = stream.step(FRAMES[0])
    assert (result.path, result.memory_frames) == (expected.path, 3)
    assert (result.labels == expected.labels).mean() > 0.999


def test_committed_frames_equal_others(shared: StreamingSegmenter) -> None:
    plain, committed = shared.open_stream(), shared.open_stream()
    committed.commit_memory()
    for t, image in enumerate(FRAMES[:6]):
        a, b = plain.step(image), committed.step(image)
        np.testing.assert_array_equal(a.labels, b.labels)
        for _ in range(t % 3):  # never, once, and twice
            committed.commit_memory()
    committed.reset()
    committed.commit_memory()
    np.testing.assert_array_equal(
        committed.step(FRAMES[2]).labels, shared.open_stream().step(FRAMES[2]).labels
    )


def test_warm_up_leaves_no_trace() -> None:
    cold, warm = segmenter(device="cpu"), segmenter(device="cpu")
    warm.warm_up()
    for image in FRAMES[:4]:
        np.testing.assert_array_equal(cold.step(image).labels, warm.step(image).labels)


def test_another_size_is_refused_until_reset(shared: StreamingSegmenter) -> None:
    stream = shared.open_stream()
    stream.step(FRAMES[0])
    small = FRAMES[0][:50]
    with pytest.raises(InputError, match=r"50 x 96 after images of 72 x 96.*reset\(\)"):
        stream.step(small)
    assert stream.memory_frames == 1
    stream.reset()
    assert stream.step(small).labels.shape == (50, 96)


def test_the_model_itself_is_not_changed() -> None:
    model = create_model("td4-psp18-nano", input_size=SIZE)
    before = {name: item.clone() for name, item in model.state_dict().items()}
    StreamingSegmenter(model, device="cpu", precision="bfloat16").step(FRAMES[0])
    after = model.state_dict()
    assert list(after) == list(before)
    for name, item in before.items():
        assert torch.equal(item, after[name])


@pytest.mark.parametrize("size", ["camera", "network", (31, 47)], ids=str)
def test_output_sizes(shared: StreamingSegmenter, size: object) -> None:
    expected = {"camera": (72, 96), "network": SIZE}.get(str(size), size)
    renderer = OverlayRenderer(shared.class_map, legend=False, device=shared.device)
    result = shared.open_stream().step(
        FRAMES[0],
        OutputOptions(size=size, overlay=renderer),  # type: ignore[arg-type]
    )
    assert result.labels.shape == expected
    assert result.confidence is not None
    assert result.confidence.shape == expected
    assert result.overlay is not None
    assert result.overlay.shape == (*expected, 3)


def test_only_what_is_asked_for_is_made(shared: StreamingSegmenter) -> None:
    result = shared.open_stream().step(FRAMES[0], OutputOptions(confidence=False))
    assert result.confidence is None
    assert result.overlay is None


def test_the_input_is_left_as_it_was(shared: StreamingSegmenter) -> None:
    image = FRAMES[0].copy()
    renderer = OverlayRenderer(shared.class_map, device=shared.device)
    shared.open_stream().step(image, OutputOptions(overlay=renderer))
    np.testing.assert_array_equal(image, FRAMES[0])


def test_bfloat16_agrees_with_float32() -> None:
    exact, quick = (segmenter(device="cpu", precision=name) for name in ("float32", "bfloat16"))
    assert (exact.precision, quick.precision) == ("float32", "bfloat16")
    for image in FRAMES[:6]:
        agreement = (exact.step(image).labels == quick.step(image).labels).mean()
    assert agreement > 0.9


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("precision", "agreement"), [("float32", 0.999), ("float16", 0.95), ("bfloat16", 0.9)]
)
def test_cuda_agrees_with_the_cpu(precision: str, agreement: float) -> None:
    host = segmenter(device="cpu", precision="float32")
    device = segmenter(device="cuda", precision=precision)
    for image in FRAMES:
        equal = (host.step(image).labels == device.step(image).labels).mean()
        assert equal >= agreement


@pytest.mark.cuda
def test_cuda_memory_does_not_grow() -> None:
    stream = segmenter(device="cuda")
    for image in FRAMES:
        stream.step(image)
    before = torch.cuda.memory_allocated()
    for _ in range(10_000 // len(FRAMES)):
        for image in FRAMES:
            stream.step(image)
    assert torch.cuda.memory_allocated() == before


def test_memory_bytes_are_those_of_the_specification() -> None:
    stream = segmenter(device="cpu", precision="float32")
    positions = 5 * 9  # features of 9 x 17, every second row and column
    # Three frames, and their chained values; of queries and keys eight channels are the position.
    assert stream.memory_bytes == positions * (3 * (24 + 24 + 64) + 64) * 4


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta"])
def test_missing_devices_are_named(device: str) -> None:
    with pytest.raises(DeviceError, match=device):
        segmenter(device=device)


def test_unknown_precision_lists_the_valid_ones() -> None:
    with pytest.raises(UnknownNameError, match="auto, float32, bfloat16, float16"):
        segmenter(device="cpu", precision="float8")


SHORT_OF_MEMORY = """
import resource
import numpy as np
from tdnet import StreamingSegmenter, create_model
from tdnet.errors import DeviceError

segmenter = StreamingSegmenter(create_model("psp18-nano", input_size=(2017, 2017)), device="cpu")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 50_000_000,) * 2)
try:
    segmenter.step(np.zeros((64, 64, 3), np.uint8))
except DeviceError as error:
    print(error)
"""


def test_too_little_memory_is_one_clear_error() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHORT_OF_MEMORY], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("device cpu failed:"), done.stderr
    assert "a smaller input_size" in done.stdout
    assert done.stdout.count("\n") == 1


def test_class_map_of_another_class_count_is_refused() -> None:
    with pytest.raises(InputError, match="11 network classes, the model has 19"):
        segmenter(class_map=ClassMap.load("camvid"))


def test_a_network_that_overflows_labels_nothing() -> None:
    model = create_model("td4-psp18-nano", num_classes=5, input_size=SIZE)
    with torch.no_grad():
        for path in model.paths:
            path.backbone.layer2[0].conv1.conv.weight.mul_(3e4)
    # In float16, sums of such weights are infinite, and their differences are NaN.
    stream = StreamingSegmenter(model, device="cpu", precision="float16")
    for image in FRAMES[:5]:
        result = stream.step(image)
        assert (result.labels == 255).all()
        assert result.confidence is not None
        assert not result.confidence.any()


def test_a_frame_of_another_size_is_refused_before_it_is_resized() -> None:
    stream = segmenter(device="cpu")
    stream.step(FRAMES[0])
    entered: list[object] = []
    io = stream._default_stream._io
    preprocess = io.preprocess

    def noted(image: np.ndarray) -> torch.Tensor:
        entered.append(image)
        return preprocess(image)

    io.preprocess = noted  # type: ignore[method-assign]
    with pytest.raises(InputError, match="after images of"):
        stream.step(FRAMES[0][:-1])
    assert not entered
    stream.step(FRAMES[1])
    assert len(entered) == 1
