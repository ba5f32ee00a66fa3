"""The protocol of the backends: what runs a network for the streams of a segmenter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from tdnet.class_map.model import ClassMap
from tdnet.frames.frame_io import FrameIO, PlainFrameIO
from tdnet.frames.postprocess import Postprocessor
from tdnet.frames.preprocess import Preprocessor
from tdnet.network.temporal_memory import READ_AND_WRITE, MemoryAccess, TemporalMemory
from tdnet.variants import Variant


class Backend(ABC):
    """Runs one network on one device. Streams share it; each owns its memory and frame I/O.

    Args:
        variant: description of the network.
        num_classes: K, channels of the logits.
        input_size: height and width of the network input.
        device: device of frames, memory and logits.
        dtype: number format of frames, memory and logits.
    """

    runtime: ClassVar[str]
    """Name in `tdnet.backends.RUNTIMES`."""
    provider: str = ""
    """Execution provider of ONNX Runtime; empty for other runtimes."""
    is_recorded: ClassVar[bool] = False
    """Whether work is recorded or compiled when a path, memory state or option first occurs."""

    def __init__(
        self,
        variant: Variant,
        num_classes: int,
        input_size: tuple[int, int],
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.variant = variant
        self.num_classes = num_classes
        self.input_size = input_size
        self.device = device
        self.dtype = dtype

    @property
    def precision(self) -> str:
        """Number format that the network computes in, such as ``"float16"``."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def is_asynchronous(self) -> bool:
        """Whether the device works on while the CPU waits for the images of a frame."""
        return self.device.type != "cpu"

    @abstractmethod
    def new_memory(self) -> TemporalMemory:
        """Allocate the empty memory of one stream."""

    def frame_io_factory(self, class_map: ClassMap) -> Callable[[], FrameIO]:
        """Return a function that creates the frame I/O of one stream; streams share tables.

        Args:
            class_map: maps network channels to class ids and colours.
        """
        preprocessor = Preprocessor(self.input_size, self.device, self.dtype)
        postprocessor = Postprocessor(
            class_map, self.device, align_corners=self.variant.align_corners
        )
        return lambda: PlainFrameIO(preprocessor, postprocessor)

    @abstractmethod
    def step(
        self, frame: Tensor, memory: TemporalMemory, access: MemoryAccess = READ_AND_WRITE
    ) -> Tensor:
        """Segment the next frame of a stream with sub-network ``memory.path``.

        Args:
            frame: (1, 3, H, W) normalised RGB at the input size.
            memory: memory of the stream; advanced by one frame. Committed first if necessary.
            access: how the frame uses the memory.

        Returns:
            Logits (1, K, h, w), valid until the next step of any stream.

        Raises:
            InputError: the frame has another size.
            DeviceError: the runtime failed.
        """

    @abstractmethod
    def commit_memory(self, memory: TemporalMemory) -> None:
        """Store the newest frame and chain the memory; do nothing if that is done already.

        This work depends on past frames only. `step` does it if nobody did before.
        """
