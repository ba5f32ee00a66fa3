"""Streaming segmentation: frames of cameras in, label images out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from tdnet._util.device import working_on
from tdnet._util.stage_clock import StageClock, StageTimes
from tdnet.backends.backend import Backend
from tdnet.backends.torch_backend import create_backend
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.frames.frame_io import FrameIO
from tdnet.frames.postprocess import OutputOptions
from tdnet.frames.preprocess import check_picture
from tdnet.frames.smoothing import LabelSmoother
from tdnet.network import SegmentationNetwork
from tdnet.network.temporal_memory import READ_AND_WRITE, MemoryAccess
from tdnet.variants import Variant

_DEFAULT_OPTIONS = OutputOptions()


@dataclass(frozen=True)
class SegmentationResult:
    """The result of one frame. On a GPU, its images share one block of pinned memory.

    Attributes:
        labels: (H, W) uint8 class ids, 255 = unlabelled.
        confidence: (H, W) uint8, 0 to 255 for a largest class probability of 0 to 1; None if
            it was not requested.
        overlay: (H, W, 3) uint8 RGB; None if it was not requested.
        path: the sub-network, 0 to N - 1, that processed the frame.
        memory_frames: past frames that the memory held for the frame, 0 to its capacity; 0 if
            the memory was not read.
        times: milliseconds by stage.
    """

    labels: npt.NDArray[np.uint8]
    confidence: npt.NDArray[np.uint8] | None
    overlay: npt.NDArray[np.uint8] | None
    path: int
    memory_frames: int
    times: StageTimes


class StreamingSegmenter:
    """Segments the frames of one or more streams with one set of weights.

    A network is copied, folded and moved to the device; later changes of it have no effect.
    Call from one thread at a time.

    Args:
        model: network with its weights loaded, or a backend, such as
            `tdnet.backends.selection.open_backend` returns.
        class_map: ids, names and colours; None: the network's channels as ids.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...; a backend keeps its own.
        precision: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``; a backend keeps
            its own.

    Raises:
        InputError: the class map is for another number of network classes.
        DeviceError: the machine lacks the device, or the device lacks memory.
        UnknownNameError: no precision has that name.
        WeightsError: a weight exceeds the range of the precision.
    """

    def __init__(
        self,
        model: SegmentationNetwork | Backend,
        *,
        class_map: ClassMap | None = None,
        device: str | torch.device = "auto",
        precision: str = "auto",
    ) -> None:
        self.class_map = class_map or ClassMap.numbered(model.num_classes)
        if self.class_map.num_network_classes != model.num_classes:
            raise InputError(
                f"class map {self.class_map.name!r} is for {self.class_map.num_network_classes} "
                f"network classes, the model has {model.num_classes}: choose a class map or a "
                "model that fits the other"
            )
        self._backend = (
            model if isinstance(model, Backend) else create_backend(model, device, precision)
        )
        with working_on(self.device):
            self._new_frame_io = self._backend.frame_io_factory(self.class_map)
            self._default_stream = self.open_stream()

    @property
    def variant(self) -> Variant:
        """Description of the network."""
        return self._backend.variant

    @property
    def device(self) -> torch.device:
        """Device that frames are segmented on."""
        return self._backend.device

    @property
    def precision(self) -> str:
        """Number format that the network computes in, such as ``"float16"``."""
        return self._backend.precision

    @property
    def runtime(self) -> str:
        """Name of the runtime, such as ``"torch"``, with its provider: ``"onnxruntime:cpu"``."""
        runtime, provider = self._backend.runtime, self._backend.provider
        return f"{runtime}:{provider}" if provider else runtime

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width that frames are resized to."""
        return self._backend.input_size

    @property
    def memory_capacity(self) -> int:
        """Past frames that a full memory holds."""
        return self.variant.memory_capacity

    @property
    def memory_bytes(self) -> int:
        """Bytes of the memory of each stream, on the device."""
        return self._default_stream.memory_bytes

    def open_stream(self) -> Stream:
        """Open another stream with an empty memory of its own.

        Raises:
            DeviceError: the device lacks memory.
        """
        with working_on(self.device):
            return Stream(self._backend, self._new_frame_io())

    def step(
        self, image: npt.NDArray[np.uint8], options: OutputOptions = _DEFAULT_OPTIONS
    ) -> SegmentationResult:
        """Segment the next frame of the segmenter's own stream; see :meth:`Stream.step`."""
        return self._default_stream.step(image, options)

    def commit_memory(self) -> None:
        """Commit the memory of the segmenter's own stream; see :meth:`Stream.commit_memory`."""
        self._default_stream.commit_memory()

    def reset(self) -> None:
        """Empty the memory of the segmenter's own stream."""
        self._default_stream.reset()

    def warm_up(self) -> None:
        """Run every sub-network, the last one with a full memory, on a temporary stream.

        Kernels are then loaded and memory is allocated before the first frame. A recorded backend
        also records every sub-network with an empty and a full memory, and compiles the kernels
        of all output options. The frames are larger than the network input, so that they are
        resized like camera frames.
        """
        recorded = self._backend.is_recorded
        # Compilers treat widths of a whole number of blocks separately.
        for odd in (0, 1) if recorded else (0,):
            height, width = (-(-side // 16) * 16 + 16 + odd for side in self.input_size)
            stream = self.open_stream()
            frame = np.zeros((height, width, 3), np.uint8)
            for number in range((2 if recorded else 1) * self.variant.paths):
                stream.step(frame, OutputOptions(confidence=number % 2 == 0))


class Stream:
    """The stream of one camera, opened by a segmenter. It owns its memory and its frame I/O.

    Args:
        backend: backend that all streams of the segmenter share.
        io: frame I/O of this stream.
    """

    def __init__(self, backend: Backend, io: FrameIO) -> None:
        self._backend = backend
        self._memory = backend.new_memory()
        self._io = io
        self._smoother = LabelSmoother()
        self._clock = StageClock(backend.device)
        self._size: tuple[int, int] | None = None

    @property
    def memory_frames(self) -> int:
        """Past frames that the memory holds now."""
        return self._memory.frames

    @property
    def memory_bytes(self) -> int:
        """Bytes of the memory, on the device."""
        return self._memory.nbytes

    def reset(self) -> None:
        """Empty the memory: the next frame is treated as the first one and may have any size."""
        self._memory.reset()
        self._smoother.reset()
        self._size = None

    @torch.inference_mode()
    def step(
        self,
        image: npt.NDArray[np.uint8],
        options: OutputOptions = _DEFAULT_OPTIONS,
        access: MemoryAccess = READ_AND_WRITE,
    ) -> SegmentationResult:
        """Segment the next frame.

        Args:
            image: (H, W, 3) uint8 RGB, of the same size as the previous frames.
            options: requested images in addition to the labels.
            access: how the frame uses the memory.

        Raises:
            InputError: another shape or number type, or another size than the previous frames.
            DeviceError: the device failed, for example for lack of memory; reset before the next
                frame.
        """
        with working_on(self._backend.device):
            return self._step(image, options, access)

    @torch.inference_mode()
    def commit_memory(self) -> None:
        """Store the newest frame and chain the memory; call it when the results are out.

        The next frame then does not wait for this work. `step` does it if it was not called, and
        a second call does nothing.

        Raises:
            DeviceError: the device failed; reset before the next frame.
        """
        with working_on(self._backend.device):
            self._backend.commit_memory(self._memory)

    def _step(
        self, image: npt.NDArray[np.uint8], options: OutputOptions, access: MemoryAccess
    ) -> SegmentationResult:
        size = self._output_size(options, self._checked_size(image))
        path, memory_frames = self._memory.path, self._memory.frames if access.read else 0
        clock = self._clock
        clock.begin()
        frame = self._io.preprocess(image)
        clock.mark()
        logits = self._backend.step(frame, self._memory, access)
        if options.smoothing:
            logits = self._smoother(
                frame, logits, options.smoothing, read=access.read, write=access.write
            )
        elif access.write:
            self._smoother.reset()
        clock.mark()
        download = self._io.postprocess(logits, size, options, clock.mark)
        if self._backend.is_asynchronous:
            # The CPU waits for the images anyway: meanwhile the device commits the memory.
            self._backend.commit_memory(self._memory)
        images = download()
        return SegmentationResult(
            labels=images.labels,
            confidence=images.confidence,
            overlay=images.overlay,
            path=path,
            memory_frames=memory_frames,
            times=clock.times(after_download=images.after_download),
        )

    def _checked_size(self, image: npt.NDArray[np.uint8]) -> tuple[int, int]:
        """Check a frame against the previous ones, and return its height and width."""
        check_picture(image)
        size = (image.shape[0], image.shape[1])
        if self._size is not None and size != self._size:
            raise InputError(
                f"image of {size[0]} x {size[1]} after images of {self._size[0]} x "
                f"{self._size[1]}: the memory is of another view; call reset() first, or open a "
                "stream for each camera"
            )
        self._size = size
        return size

    def _output_size(self, options: OutputOptions, camera: tuple[int, int]) -> tuple[int, int]:
        if options.size == "camera":
            return camera
        return self._backend.input_size if options.size == "network" else options.size
