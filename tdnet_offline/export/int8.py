"""ONNX graphs whose convolutions compute with 8-bit integers, calibrated on frames."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tdnet.backends.onnx.path_graph import PathGraph, input_specs, output_specs
from tdnet.backends.onnx.tensors import ENTRY
from tdnet.errors import InputError
from tdnet.frames.preprocess import Preprocessor, upload
from tdnet.network import SegmentationNetwork

Image = npt.NDArray[np.uint8]
GraphInputs = Mapping[str, npt.NDArray[np.float32]]

_CPU = torch.device("cpu")


@torch.inference_mode()
def calibration_inputs(
    network: SegmentationNetwork, images: Iterable[Image]
) -> list[list[GraphInputs]]:
    """Run the paths over a stream's frames in turn, and collect the inputs of each graph.

    Args:
        network: returned by `for_export`, in float32.
        images: (H', W', 3) uint8 RGB, in order.

    Returns:
        For each sub-network, the inputs by name of each of its frames: about 20 MB a frame of
        td4-psp18.

    Raises:
        InputError: too few frames for every path to see one with a full memory.
    """
    paths, capacity = network.variant.paths, network.variant.memory_capacity
    graphs = [PathGraph(network, path) for path in range(paths)]
    specs = input_specs(network, torch.float32)
    names = [spec.name for spec in output_specs(network, torch.float32)]
    preprocess = Preprocessor(network.input_size, _CPU, torch.float32)
    kept: list[list[GraphInputs]] = [[] for _ in range(network.variant.sub_networks)]
    past: list[dict[str, torch.Tensor]] = []
    count = 0
    for count, image in enumerate(images, 1):
        given = {"frame": preprocess(upload(image, _CPU)).contiguous()}
        for spec in specs[1:]:
            name, _, place = spec.name.partition("_")
            full = len(past) == capacity
            given[spec.name] = past[int(place)][name] if full else torch.zeros(spec.shape)
        path = (count - 1) % paths
        result = dict(zip(names, graphs[path](*given.values()), strict=True))
        if capacity:
            past = [*past, {name: result[name].contiguous() for name in ENTRY}][-capacity:]
        kept[path % len(kept)].append({name: tensor.numpy() for name, tensor in given.items()})
    if count < paths + capacity:
        raise InputError(
            f"{count} frames to calibrate with; {network.variant.name} needs at least "
            f"{paths + capacity}, 32 are recommended"
        )
    return kept


def quantise(source: Path, target: Path, inputs: Sequence[GraphInputs], *, signed: bool) -> None:
    """Write a copy of an ONNX graph with its convolutions in 8 bits, weights scaled by channel.

    Args:
        source: graph in float32.
        target: to write.
        inputs: inputs of the graph, from which the ranges of activations are taken.
        signed: for TensorRT: activations from -127 to 127 around zero, biases in float32. If
            false: activations from 0 to 255, which uses the whole range after a ReLU and is
            faster on CPUs, and biases in 32 bits.

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
                "QuantizeBias": not signed,  # TensorRT cannot dequantise 32-bit integers
            },
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the quantiser's advice, which it writes to the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
