"""Streaming segmentation: a camera's frames in, label images out, the past kept on the device."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch

from tdnet._util.device import resolve_device, resolve_precision, working_on
from tdnet._util.stage_clock import StageClock, StageTimes
from tdnet.backends.cpu.cpu_network import prepare_for_cpu
from tdnet.backends.cuda.cuda_graphs import CudaGraphRecorder
from tdnet.backends.cuda.fused_frame_io import FusedFrameIO
from tdnet.backends.cuda.kernels import FusedOutputs, unavailable_reason
from tdnet.backends.cuda.recorded_network import RecordedNetwork
from tdnet.backends.onnx.exported_network import ExportedNetwork
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError, WeightsError
from tdnet.frames.frame_io import FrameIO, PlainFrameIO
from tdnet.frames.postprocess import OutputOptions, Postprocessor
from tdnet.frames.preprocess import Preprocessor, check_picture
from tdnet.network import SegmentationNetwork
from tdnet.network.layers import SpatialLayerNorm
from tdnet.network.temporal_memory import READ_AND_WRITE, MemoryAccess, TemporalMemory
from tdnet.variants import Variant

logger = logging.getLogger(__name__)

RunningNetwork = SegmentationNetwork | RecordedNetwork | ExportedNetwork

_DEFAULT_OPTIONS = OutputOptions()
_OVERLAY = [field.name for field in fields(StageTimes)].index("overlay")


@dataclass(frozen=True)
class SegmentationResult:
    """What one frame became; from a GPU its images are parts of one block of pinned memory.

    Attributes:
        labels: (H, W) uint8 class ids, 255 = unlabelled.
        confidence: (H, W) uint8, 0 to 255 for a largest class probability of 0 to 1; None if
            it was not asked for.
        overlay: (H, W, 3) uint8 RGB; None if it was not asked for.
        path: the sub-network, 0 to N - 1, that processed the frame.
        memory_frames: past frames that the memory held for it, 0 to its capacity; 0 where the
            memory was not read.
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

    The model is copied, folded and moved to the device; later changes of it have no effect.
    Calls must come from one thread at a time.

    Args:
        model: a network with its weights loaded; or exported graphs, which are taken as they are.
        class_map: ids, names and colours; None gives the network's channels as ids.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...; of exported graphs their own.
        precision: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``; as for the device.

    Raises:
        InputError: the class map is for another number of network classes.
        DeviceError: this machine lacks the device, or it cannot hold the network.
        UnknownNameError: no precision has that name.
        WeightsError: the weights do not fit the range of the precision.
    """

    def __init__(
        self,
        model: SegmentationNetwork | ExportedNetwork,
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
        if isinstance(model, ExportedNetwork):
            self.device, self._dtype = model.device, model.dtype
        else:
            self.device = resolve_device(device)
            self._dtype = resolve_precision(precision, self.device)
        with working_on(self.device):
            self._model = _on_device(model, self.device, self._dtype)
            self._open_io = _frame_io_opener(self._model, self.class_map, self.device, self._dtype)
            self._default_stream = self.open_stream()

    @property
    def variant(self) -> Variant:
        """The network's description."""
        return self._model.variant

    @property
    def precision(self) -> str:
        """The number format that the network computes in, such as ``"float16"``."""
        if isinstance(self._model, ExportedNetwork):
            return self._model.precision
        return str(self._dtype).removeprefix("torch.")

    @property
    def runtime(self) -> str:
        """What runs the network, of `tdnet.backends.onnx.RUNTIMES`."""
        return self._model.runtime if isinstance(self._model, ExportedNetwork) else "torch"

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width that frames are resized to."""
        return self._model.input_size

    @property
    def memory_capacity(self) -> int:
        """Past frames that a full memory holds."""
        return self.variant.memory_capacity

    @property
    def memory_bytes(self) -> int:
        """Bytes on the device that each stream's memory takes."""
        return self._default_stream.memory_bytes

    def open_stream(self) -> Stream:
        """Open a further stream with an empty memory of its own.

        Raises:
            DeviceError: the device cannot hold it.
        """
        with working_on(self.device):
            memory = self._model.new_memory(self.device, self._dtype)
        return Stream(self._model, memory, self._open_io(), self.device)

    def step(
        self, image: npt.NDArray[np.uint8], options: OutputOptions = _DEFAULT_OPTIONS
    ) -> SegmentationResult:
        """Segment the next frame of the segmenter's own stream; see :meth:`Stream.step`."""
        return self._default_stream.step(image, options)

    def prepare(self) -> None:
        """Make the segmenter's own stream ready for its next frame; see :meth:`Stream.prepare`."""
        self._default_stream.prepare()

    def reset(self) -> None:
        """Empty the memory of the segmenter's own stream."""
        self._default_stream.reset()

    def warm_up(self) -> None:
        """Run every sub-network, the last with a full memory, on a stream of its own.

        The first real frame then meets loaded kernels and allocated memory; on CUDA every
        sub-network is recorded with either state of the memory, and kernels are compiled for
        what may be asked of them. The frames are larger than the network's input, so that they
        are resized as a camera's are.
        """
        # Compilers tell widths of a whole number of blocks from others.
        sizes = [
            tuple(-(-side // 16) * 16 + 16 + odd for side in self.input_size) for odd in (0, 1)
        ]
        recorded = isinstance(self._model, RecordedNetwork)
        for height, width in sizes if recorded else sizes[:1]:
            stream = self.open_stream()
            frame = np.zeros((height, width, 3), np.uint8)
            for number in range((2 if recorded else 1) * self.variant.paths):
                stream.step(frame, OutputOptions(confidence=number % 2 == 0))


class Stream:
    """One camera's stream: owns its memory, shares all else; made by a segmenter.

    Args:
        model: the folded network on its device.
        memory: an empty memory.
        io: the stream's own way to the network and from it.
        device: where all that is.
    """

    def __init__(
        self,
        model: RunningNetwork,
        memory: TemporalMemory,
        io: FrameIO,
        device: torch.device,
    ) -> None:
        self._model = model
        self._memory = memory
        self._io = io
        self._device = device
        self._clock = StageClock(device)
        self._size: tuple[int, int] | None = None

    @property
    def memory_frames(self) -> int:
        """Past frames that the memory holds now."""
        return self._memory.frames

    @property
    def memory_bytes(self) -> int:
        """Bytes on the device that the memory takes."""
        return self._memory.nbytes

    def reset(self) -> None:
        """Empty the memory: the next frame is treated as the first, whatever its size."""
        self._memory.reset()
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
            image: (H, W, 3) uint8 RGB; of the same size as the frames before it.
            options: what is made of the frame beside the labels.
            access: what is done with the memory.

        Raises:
            InputError: no such image, or of another size than the frames before it.
            DeviceError: the device failed, for want of memory perhaps; reset before going on.
        """
        with working_on(self._device):
            return self._step(image, options, access)

    @torch.inference_mode()
    def prepare(self) -> None:
        """Do what the next frame would otherwise wait for; best right after the results are out.

        The last frame is stored in the memory, and the memory's frames are chained for the next
        one. `step` does it itself where nobody did, and a second call does nothing.

        Raises:
            DeviceError: the device failed; reset before going on.
        """
        with working_on(self._device):
            self._model.settle(self._memory)

    def _step(
        self, image: npt.NDArray[np.uint8], options: OutputOptions, access: MemoryAccess
    ) -> SegmentationResult:
        check_picture(image)
        camera_size = (image.shape[0], image.shape[1])
        self._check_size(camera_size)
        clock = self._clock
        clock.begin()
        frame = self._io.enter(image)
        clock.mark()

        path = self._memory.path
        memory_frames = self._memory.frames if access.read else 0
        logits = self._model.step(frame, self._memory, access)
        clock.mark()

        finish = self._io.leave(
            logits, self._output_size(options, camera_size), options, clock.mark
        )
        if self._device.type != "cpu":
            # The host waits for the images anyway: meanwhile the device readies the memory.
            self._model.settle(self._memory)
        images = finish()
        times = clock.milliseconds()
        times[_OVERLAY] += images.after_download
        return SegmentationResult(
            labels=images.labels,
            confidence=images.confidence,
            overlay=images.overlay,
            path=path,
            memory_frames=memory_frames,
            times=StageTimes(*times),
        )

    def _check_size(self, size: tuple[int, int]) -> None:
        if self._size is not None and size != self._size:
            raise InputError(
                f"image of {size[0]} x {size[1]} after images of {self._size[0]} x "
                f"{self._size[1]}: the memory is of another view; call reset() first, or open a "
                "stream for each camera"
            )
        self._size = size

    def _output_size(
        self, options: OutputOptions, camera_size: tuple[int, int]
    ) -> tuple[int, int]:
        if options.size == "camera":
            return camera_size
        if options.size == "network":
            return self._model.input_size
        return options.size


def _for_inference(
    model: SegmentationNetwork, device: torch.device, dtype: torch.dtype
) -> SegmentationNetwork:
    """Copy, fold and convert a network; layer norms keep float32."""
    prepared = copy.deepcopy(model).eval().requires_grad_(False)
    prepared.fold()
    for module in prepared.modules():
        kept = torch.float32 if isinstance(module, SpatialLayerNorm) else dtype
        for parameter in module.parameters(recurse=False):
            data = parameter.data.to(device, kept)
            layout = torch.channels_last if data.dim() == 4 else torch.preserve_format
            parameter.data = data.to(memory_format=layout)
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device, dtype))
    for name, parameter in prepared.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise WeightsError(
                f"{name} is not finite once norms are folded and numbers are "
                f"{str(dtype).removeprefix('torch.')}: use precision float32, or other weights"
            )
    if device.type == "cpu":
        prepare_for_cpu(prepared, dtype)
    return prepared


def _on_device(
    model: SegmentationNetwork | ExportedNetwork, device: torch.device, dtype: torch.dtype
) -> RunningNetwork:
    """Have a GPU replay the network's work: to launch it anew takes longer than to do it."""
    if isinstance(model, ExportedNetwork):
        return model
    network = _for_inference(model, device, dtype)
    if device.type != "cuda":
        return network
    return RecordedNetwork(network, device, dtype, CudaGraphRecorder(device))


def _frame_io_opener(
    model: RunningNetwork, class_map: ClassMap, device: torch.device, dtype: torch.dtype
) -> Callable[[], FrameIO]:
    """Choose how frames come to the network and from it; what is given opens a stream's way."""
    if isinstance(model, RecordedNetwork):
        reason = unavailable_reason(device)
        if reason is None:
            outputs = FusedOutputs(class_map, device)
            return lambda: FusedFrameIO(model.frame, outputs)
        logger.warning("frames are resized and coloured by PyTorch, more slowly: %s", reason)
    preprocess = Preprocessor(model.input_size, device, dtype)
    postprocess = Postprocessor(class_map, device)
    return lambda: PlainFrameIO(preprocess, postprocess)
