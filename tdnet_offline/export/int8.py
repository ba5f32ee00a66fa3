"""Graphs whose convolutions compute with 8-bit integers: ranges learnt from frames."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tdnet.backends.onnx.tensors import ENTRY
from tdnet.errors import InputError
from tdnet.frames.preprocess import Preprocessor, upload
from tdnet.network import SegmentationNetwork
from tdnet_offline.export.path_graph import PathGraph, input_specs, output_specs

Image = npt.NDArray[np.uint8]
GraphInputs = Mapping[str, npt.NDArray[np.float32]]

_CPU = torch.device("cpu")


@torch.inference_mode()
def calibration_inputs(
    network: SegmentationNetwork, images: Iterable[Image]
) -> list[list[GraphInputs]]:
    """Run the cycle over a stream's frames, and keep what each path's graph is given.

    Args:
        network: as `for_export` gave it, in float32.
        images: (H', W', 3) uint8 RGB, in order.

    Returns:
        For each path, the inputs by name of each of its frames: some 20 MB a frame of td4-psp18.

    Raises:
        InputError: there are fewer frames than each path needs to meet one with a full memory.
    """
    paths, capacity = network.variant.paths, network.variant.memory_capacity
    graphs = [PathGraph(network, path, None) for path in range(paths)]
    specs = input_specs(network, torch.float32, 1)
    names = [spec.name for spec in output_specs(network, torch.float32, 1, "logits")]
    preprocess = Preprocessor(network.input_size, _CPU, torch.float32)
    kept: list[list[GraphInputs]] = [[] for _ in range(paths)]
    past: list[dict[str, torch.Tensor]] = []
    count = 0
    for count, image in enumerate(images, 1):
        given = {"frame": preprocess(upload(image, _CPU)).contiguous()}
        for spec in specs[1:]:
            name, _, place = spec.name.partition("_")
            full = len(past) == capacity
            given[spec.name] = past[int(place)][name] if full else torch.zeros(spec.of_batch(1))
        path = (count - 1) % paths
        result = dict(zip(names, graphs[path](*given.values()), strict=True))
        if capacity:
            past = [*past, {name: result[name].contiguous() for name in ENTRY}][-capacity:]
        kept[path].append({name: tensor.numpy() for name, tensor in given.items()})
    if count < paths + capacity:
        raise InputError(
            f"{count} frames to calibrate with; {network.variant.name} needs {paths + capacity}, "
            "better 32: give more"
        )
    return kept


def quantise(source: Path, target: Path, inputs: Sequence[GraphInputs], *, signed: bool) -> None:
    """Write an ONNX graph anew with its convolutions in 8 bits, weights for each channel.

    Args:
        source: graph in float32.
        target: to write.
        inputs: that tell the ranges of numbers.
        signed: activations from -127 to 127 around zero and biases in float32, as TensorRT takes
            them; otherwise activations from 0 to 255, which uses the whole range after a ReLU and
            is faster on CPUs, and biases in 32 bits.

    Raises:
        OSError: the file cannot be written.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class _Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._inputs: Iterator[Any] = iter(inputs)

        def get_next(self) -> Any:  # noqa: ANN401
            return next(self._inputs, None)

    with _quiet():
        quantize_static(
            str(source),
            str(target),
            _Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            op_types_to_quantize=["Conv"],
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": signed,
                "WeightSymmetric": True,
                "QuantizeBias": not signed,  # TensorRT dequantises no 32-bit integers
            },
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice from the user's log, which it writes to under no name."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
