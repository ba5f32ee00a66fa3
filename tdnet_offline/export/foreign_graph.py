"""ONNX graphs of other projects, rewritten to take and return the tensors of our own graphs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tdnet.backends.onnx.providers import import_onnxruntime
from tdnet.backends.onnx.tensors import LOGITS
from tdnet.errors import InputError, WeightsError, first_line, quoted
from tdnet.frames.preprocess import MEAN, STD
from tdnet_offline.export import LAYOUTS, NCHW, NHWC
from tdnet_offline.export.onnx_files import Array, NodeChain, opset_of, read_model

if TYPE_CHECKING:
    from onnx import ValueInfoProto

Size = tuple[int, int]
Triple = tuple[float, float, float]

NUMBERS = ("float32", "float16", "float64", "uint8")
_TO_NHWC, _TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)
_PREFIX = "adopted/"
"""Of all names of the foreign graph, so that none of them is one of ours."""
_LABEL_LOGIT = 20.0
"""Logit of the class that a label map names; those of the others are 0."""


@dataclass(frozen=True)
class InputConvention:
    """What a foreign graph expects of a frame.

    Attributes:
        layout: ``NCHW`` or ``NHWC``.
        colors: ``RGB`` or ``BGR``.
        largest: value of a white pixel, 1 or 255, before mean and standard deviation apply.
        mean: of each channel, in the order of `colors`.
        std: standard deviation of each channel, in the order of `colors`.
    """

    layout: str
    colors: str
    largest: int
    mean: Triple
    std: Triple

    def scale_and_shift(self) -> tuple[Array, Array]:
        """Return what turns our normalised frame into that of the graph, (3,) float64 in RGB."""
        order = slice(None, None, -1 if self.colors == "BGR" else 1)
        mean, std = np.array(self.mean)[order], np.array(self.std)[order]
        return self.largest * np.array(STD) / std, (self.largest * np.array(MEAN) - mean) / std


class ForeignGraph:
    """A graph with one image as input and one output, which is rewritten step by step.

    Args:
        file: ONNX file; external data lie beside it.
        output_name: output to use; None: the only one.

    Raises:
        WeightsError: the file cannot be used.
        InputError: the graph has several inputs, or several outputs and no name is given, or the
            input is no image.
    """

    def __init__(self, file: Path, output_name: str | None = None) -> None:
        import onnx

        self.file = file
        self.model = read_model(file)
        graph = self.model.graph
        constants = {tensor.name for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in constants]
        if len(inputs) != 1:
            raise InputError(
                f"{file} has {len(inputs)} inputs, {_names(inputs)}; allowed is one, an image: "
                "export the network without the others"
            )
        self.input_name = inputs[0].name
        self.output_name = self._choose_output(output_name)
        tensor = inputs[0].type.tensor_type
        numbers = {onnx.helper.np_dtype_to_tensor_dtype(np.dtype(name)): name for name in NUMBERS}
        if tensor.elem_type not in numbers:
            raise InputError(
                f"{file}: input {quoted(self.input_name)} is no tensor of {', '.join(NUMBERS)}: "
                "export the network again"
            )
        self.dtype = np.dtype(numbers[tensor.elem_type])
        self.shape = tuple(
            side.dim_value if side.dim_value > 0 else None for side in tensor.shape.dim
        )
        """Sides of the input; None: dynamic."""
        if len(self.shape) != 4:
            raise InputError(
                f"{file}: input {quoted(self.input_name)} has the shape {_shape(self.shape)}; "
                "allowed are (1, 3, H, W) and (1, H, W, 3)"
            )

    def _choose_output(self, name: str | None) -> str:
        outputs = self.model.graph.output
        if name is None and len(outputs) == 1:
            return str(outputs[0].name)
        chosen = [value for value in outputs if value.name == name]
        if not chosen:
            problem = "has several outputs" if name is None else f"has no output {quoted(name)}"
            raise InputError(
                f"{self.file} {problem}; allowed are {_names(outputs)}: choose one with "
                "--output-name"
            )
        del outputs[:]
        outputs.extend(chosen)
        return str(chosen[0].name)

    def layout(self, given: str | None) -> str:
        """Return the layout: the given one, else where 3 channels are, else NCHW if it fits.

        Raises:
            InputError: the input has another number of images or channels.
        """
        batch, *sides = self.shape
        channels = {NCHW: sides[0], NHWC: sides[2]}
        fitting = [layout for layout in LAYOUTS if channels[layout] in (3, None)]
        fitting.sort(key=lambda layout: channels[layout] is None)  # known ones first
        allowed = [layout for layout in fitting if given in (None, layout)]
        if batch not in (None, 1) or not allowed:
            raise InputError(
                f"{self.file}: input {quoted(self.input_name)} has the shape "
                f"{_shape(self.shape)}; allowed are (1, 3, H, W) for NCHW and (1, H, W, 3) for "
                "NHWC"
            )
        return allowed[0]

    def size(self, layout: str, given: Size | None) -> Size:
        """Return height and width of the input, which are given if the graph leaves them open.

        Raises:
            InputError: the graph has another size, or a dynamic one and none is given.
        """
        own = self.shape[2:] if layout == NCHW else self.shape[1:3]
        if given is None and None in own:
            raise InputError(
                f"{self.file}: height and width of input {quoted(self.input_name)} are dynamic: "
                "give --input-size H W"
            )
        height, width = (side or fixed for side, fixed in zip(own, given or own, strict=True))
        assert height is not None
        assert width is not None
        if given not in (None, (height, width)):
            raise InputError(
                f"{self.file} is for frames of {_shape(own)}, --input-size is {given[0]} "
                f"{given[1]}: leave it out"
            )
        return height, width

    def set_input(self, size: Size, convention: InputConvention) -> None:
        """Make `frame`, (1, 3, H, W) float32 normalised as our own networks', the input."""
        from onnx import TensorProto, compose, helper

        graph = self.model.graph
        sides = (1, 3, *size) if convention.layout == NCHW else (1, *size, 3)
        for value in graph.input:
            if value.name == self.input_name:
                for side, dim in zip(sides, value.type.tensor_type.shape.dim, strict=True):
                    dim.dim_value = side
        # They may contradict the size.
        del graph.value_info[:]
        for value in graph.output:
            value.type.tensor_type.ClearField("shape")
        # Names of initializers and functions stay: `add_prefix` misses some in subgraphs.
        compose.add_prefix(
            self.model,
            _PREFIX,
            rename_initializers=False,
            rename_functions=False,
            inplace=True,
        )
        scale, shift = convention.scale_and_shift()
        chain = NodeChain(graph, "frame", f"{_PREFIX}{self.input_name}")
        if self.dtype == np.uint8:
            shift = shift + 0.5  # the cast cuts off fractions
        if not (np.allclose(scale, 1) and np.allclose(shift, 0, atol=1e-6)):
            chain.add("Mul", scale.reshape(1, 3, 1, 1).astype(np.float32))
            chain.add("Add", shift.reshape(1, 3, 1, 1).astype(np.float32))
        if convention.colors == "BGR":
            chain.add("Gather", np.array([2, 1, 0], np.int64), axis=1)
        if convention.layout == NHWC:
            chain.add("Transpose", perm=_TO_NHWC)
        if self.dtype != np.float32:
            chain.add("Cast", to=helper.np_dtype_to_tensor_dtype(self.dtype))
        nodes = [*chain.finished(), *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
        frame = helper.make_tensor_value_info("frame", TensorProto.FLOAT, (1, 3, *size))
        rest = [v for v in graph.input if v.name != f"{_PREFIX}{self.input_name}"]
        del graph.input[:]
        graph.input.extend([frame, *rest])

    def set_output(self, found: Array, num_classes: int, input_layout: str) -> str:
        """Make `logits`, (1, K, h, w) float32, the output.

        Args:
            found: the output for a frame.
            num_classes: K.
            input_layout: decides if both layouts fit.

        Returns:
            What the output was: ``logits NCHW``, ``logits NHWC`` or ``labels``.

        Raises:
            InputError: the output is neither logits of K classes nor a label map.
        """
        from onnx import TensorProto, helper

        graph = self.model.graph
        chain = NodeChain(graph, f"{_PREFIX}{self.output_name}", LOGITS)
        fitting = [
            layout
            for layout, axis in ((NCHW, 1), (NHWC, 3))
            if found.ndim == 4 and found.shape[0] == 1 and found.shape[axis] == num_classes
        ]
        labels = _label_map(found)
        if fitting and (num_classes > 1 or labels is None):
            layout = input_layout if input_layout in fitting else fitting[0]
            kind = f"logits {layout}"
            size = found.shape[2:] if layout == NCHW else found.shape[1:3]
            if found.dtype != np.float32:
                chain.add("Cast", to=TensorProto.FLOAT)
            if layout == NHWC:
                chain.add("Transpose", perm=_TO_NCHW)
        elif labels is not None:
            if labels.min() < 0 or labels.max() >= num_classes:
                raise InputError(
                    f"{self.file}: labels of the sample are {labels.min():g} to "
                    f"{labels.max():g}; the class map is for {num_classes} classes of the "
                    "network: choose another class map"
                )
            kind, size = "labels", labels.shape
            chain.add("Cast", to=TensorProto.INT64)
            chain.add("Reshape", np.array([1, 1, *size], np.int64))
            chain.add("Equal", np.arange(num_classes, dtype=np.int64).reshape(1, -1, 1, 1))
            chain.add("Cast", to=TensorProto.FLOAT)
            chain.add("Mul", np.array(_LABEL_LOGIT, np.float32))
        else:
            raise InputError(
                f"{self.file}: output {quoted(self.output_name)} is {found.dtype} "
                f"{_shape(found.shape)}; allowed are logits of the {num_classes} classes of the "
                f"class map, (1, {num_classes}, h, w) or (1, h, w, {num_classes}), and whole "
                "numbers as a label map: choose another class map or --output-name"
            )
        graph.node.extend(chain.finished())
        del graph.output[:]
        shape = (1, num_classes, *size)
        graph.output.append(helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, shape))
        return kind

    def run(self, frame: Array) -> Array:
        """Return the output for a frame (1, 3, H, W) float32 of our normalisation.

        Raises:
            WeightsError: the graph cannot be loaded, or fails.
        """
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        try:
            session = runtime.InferenceSession(
                self.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            return np.asarray(session.run(None, {"frame": frame})[0])
        # ONNX Runtime's exceptions have no other common base.
        except Exception as error:
            raise WeightsError(
                f"{self.file}: ONNX Runtime {runtime.__version__} cannot run the graph: "
                f"{first_line(error)}"
            ) from error

    @property
    def opset(self) -> int:
        """Version of the standard operators."""
        return opset_of(self.model)


def _label_map(found: Array) -> Array | None:
    """Return a label map (h, w) of whole numbers; None if an output is none."""
    shape = found.shape
    if found.ndim == 4 and shape[0] == 1 and 1 in (shape[1], shape[3]):
        found = found[0, 0] if shape[1] == 1 else found[0, :, :, 0]
    elif found.ndim == 3 and shape[0] == 1:
        found = found[0]
    if found.ndim != 2 or found.size == 0 or found.dtype.kind not in "iuf":
        return None
    return found if (found == np.rint(found)).all() else None


def _names(values: Any) -> str:  # noqa: ANN401
    listed: list[ValueInfoProto] = list(values)
    return ", ".join(quoted(value.name) for value in listed) or "none"


def _shape(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('?' if side is None else str(side) for side in shape)})"
