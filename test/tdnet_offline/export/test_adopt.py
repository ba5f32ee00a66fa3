"""`tdnet adopt`: networks of other projects run like ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.extras import exporting_package
from support.nano import PSP18_NANO
from torch import Tensor, nn

from tdnet import ClassMap, SegmenterSettings
from tdnet.backends.onnx.description import read_description
from tdnet.errors import WeightsError
from tdnet_offline.command import main

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter that most projects used
SIZE = (48, 64)
CLASSES = """
name: squares
network: 3
classes:
  - {id: 0, name: dark, color: [0, 0, 0]}
  - {id: 1, name: red, color: [255, 0, 0]}
  - {id: 2, name: blue, color: [0, 0, 255]}
"""
# Of a network trained by others: in the order of its channels, for pixels of 0 to 255.
MEAN, STD = (110.0, 100.0, 90.0), (60.0, 61.0, 62.0)


def picture(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a red and a blue square on a dark ground; return image and labels."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 60, (*SIZE, 3), np.uint8)
    labels = np.zeros(SIZE, np.uint8)
    for label, channel in ((1, 0), (2, 2)):
        row, column = random.integers(0, SIZE[0] - 20), random.integers(0, SIZE[1] - 20)
        square = slice(row, row + 20), slice(column, column + 20)
        image[square] = random.integers(0, 60, 3)
        image[(*square, channel)] = 220
        labels[square] = label
    return image, labels


class Small(nn.Module):
    """Three convolutions at stride 4, logits (1, 3, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 12, 3, 2, 1), nn.ReLU(), nn.Conv2d(12, 12, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(12, 3, 1),
        )  # fmt: skip

    def forward(self, frame: Tensor) -> Tensor:
        """Map normalised BGR of 0 to 255 to logits."""
        logits: Tensor = self.layers(frame)
        return logits


class Wrapped(nn.Module):
    """A network with another input and output around it."""

    def __init__(self, network: nn.Module, before: Callable, after: Callable) -> None:
        super().__init__()
        self.network, self.before, self.after = network, before, after

    def forward(self, frame: Tensor) -> Any:
        """Convert, run, convert."""
        return self.after(self.network(self.before(frame)))


def normalised(image: np.ndarray) -> Tensor:
    bgr = torch.from_numpy(image[:, :, ::-1].copy()).permute(2, 0, 1)[None].float()
    return (bgr - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


@pytest.fixture(scope="module")
def small() -> nn.Module:
    torch.manual_seed(0)
    network = Small()
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    for step in range(60):
        pictures = [picture(4 * step + number) for number in range(4)]
        logits = network(torch.cat([normalised(image) for image, _ in pictures]))
        large = nn.functional.interpolate(logits, SIZE, mode="bilinear", align_corners=False)
        labels = torch.from_numpy(np.stack([labels for _, labels in pictures])).long()
        loss = nn.functional.cross_entropy(large, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval().requires_grad_(False)


def keep(value: Tensor) -> Tensor:
    return value


@torch.no_grad()
def expected_labels(network: nn.Module, image: np.ndarray) -> np.ndarray:
    logits = network(normalised(image))
    large = nn.functional.interpolate(logits, SIZE, mode="bilinear", align_corners=False)
    return large[0].argmax(0).numpy()


def export(network: nn.Module, file: Path, example: Tensor, **options: Any) -> Path:
    exporting_package("onnxscript")
    exporting_package("onnxruntime")
    torch.onnx.export(
        network, (example,), file, dynamo=False, input_names=["frame"],
        **{"output_names": ["logits"], **options},
    )  # fmt: skip
    return file


OWN = ["--colors", "BGR", "--white", "255"]
OWN += ["--mean", *map(str, MEAN), "--std", *map(str, STD)]


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    (tmp_path / "squares.yaml").write_text(CLASSES)
    (tmp_path / "two.yaml").write_text(
        CLASSES.rpartition("  - {")[0].replace("network: 3", "network: 2")
    )
    cv2.imwrite(str(tmp_path / "sample.png"), picture(9001)[0][:, :, ::-1])
    common = ["--class-map", str(tmp_path / "squares.yaml"), "--output", str(tmp_path / "new")]
    return [*common, "--image", str(tmp_path / "sample.png"), *OWN]


def nhwc(frame: Tensor) -> Tensor:
    return frame.permute(0, 3, 1, 2)


def from_bytes(frame: Tensor) -> Tensor:
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return (nhwc(frame).float() - mean) / std


def labels_of(logits: Tensor) -> Tensor:
    large = nn.functional.interpolate(logits, SIZE, mode="bilinear", align_corners=False)
    return large.argmax(1)


FORMS = {
    "logits": (keep, keep, torch.zeros(1, 3, *SIZE), OWN, "logits NCHW"),
    "channels last": (
        nhwc, lambda logits: logits.permute(0, 2, 3, 1), torch.zeros(1, *SIZE, 3), OWN,
        "logits NHWC",
    ),
    "half precision": (
        lambda frame: frame.float(), lambda logits: logits.half(),
        torch.zeros(1, 3, *SIZE, dtype=torch.half), OWN, "logits NCHW",
    ),
    "bytes": (
        from_bytes, keep, torch.zeros(1, *SIZE, 3, dtype=torch.uint8), ["--colors", "BGR"],
        "logits NCHW",
    ),
    "labels": (keep, labels_of, torch.zeros(1, 3, *SIZE), OWN, "labels"),
    "labels with a last side": (
        keep, lambda logits: labels_of(logits).int()[..., None], torch.zeros(1, 3, *SIZE), OWN,
        "labels",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_labels_are_those_of_the_foreign_network(
    form: str,
    small: nn.Module,
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before, after, example, options, kind = FORMS[form]
    file = export(Wrapped(small, before, after), tmp_path / "foreign.onnx", example)
    words = [word for word in words if word not in OWN]
    assert main(["adopt", str(file), *words, *options]) == 0
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 5
    assert f"logits: {kind} of " in said
    assert "class map squares" in said
    description = read_description(tmp_path / "new")
    assert description.adopted is not None
    assert description.adopted["output"]["kind"] == kind
    assert set(description.adopted["sample"]) == {"dark", "red", "blue"}
    assert description.class_map == ClassMap.load(tmp_path / "squares.yaml")
    segmenter = SegmenterSettings(
        weights=str(tmp_path / "new"), device="cpu", precision="float32", provider="cpu"
    ).build()
    assert segmenter.variant.name == "adopted"
    for seed in (9002, 9003):
        image, ground_truth = picture(seed)
        labels = segmenter.step(image).labels
        assert (labels == expected_labels(small, image)).mean() >= 0.999
        assert (labels == ground_truth).mean() > 0.9


def test_a_network_of_ours(tmp_path: Path) -> None:
    """The graph of `psp18-nano`, with a size that it leaves open."""
    onnx = exporting_package("onnx")
    exporting_package("onnxscript")
    words = ["--weights", str(PSP18_NANO), "--input-size", "65", "129"]
    assert main(["export", *words, "--output", str(tmp_path / "ours")]) == 0
    model = onnx.load(tmp_path / "ours" / "path0.onnx")
    for number, dim in enumerate(model.graph.input[0].type.tensor_type.shape.dim):
        dim.dim_param = f"side{number}"
    onnx.save(model, tmp_path / "open.onnx")
    words = ["--class-map", "cityscapes", "--align-corners", "--input-size", "65", "129"]
    adopted = tmp_path / "adopted"
    assert main(["adopt", str(tmp_path / "open.onnx"), *words, "--output", str(adopted)]) == 0
    graph = onnx.load(adopted / "path0.onnx").graph
    assert {"Mul", "Add"}.isdisjoint(node.op_type for node in graph.node[:2])
    same = {"device": "cpu", "precision": "float32", "provider": "cpu"}
    ours = SegmenterSettings("psp18-nano", str(tmp_path / "ours"), **same).build()  # type: ignore[arg-type]
    theirs = SegmenterSettings(weights=str(adopted), **same).build()  # type: ignore[arg-type]
    image = cv2.imread(str(Path(__file__).parents[3] / "docs" / "images" / "camera.jpg"))
    assert image is not None
    assert (ours.step(image).labels == theirs.step(image).labels).mean() >= 0.9999
    with pytest.raises(WeightsError, match="set variant to auto"):
        SegmenterSettings("psp18-nano", str(adopted)).build()


def test_predict_and_evaluate(small: nn.Module, words: list[str], tmp_path: Path) -> None:
    file = export(small, tmp_path / "foreign.onnx", torch.zeros(1, 3, *SIZE))
    assert main(["adopt", str(file), *words]) == 0
    for folder in ("frames", "labels"):
        (tmp_path / "data" / folder / "one").mkdir(parents=True)
    (tmp_path / "data" / "class_map.yaml").write_text(CLASSES)
    for seed in range(2):
        image, labels = picture(seed)
        cv2.imwrite(str(tmp_path / "data" / "frames" / "one" / f"{seed}.png"), image[:, :, ::-1])
        cv2.imwrite(str(tmp_path / "data" / "labels" / "one" / f"{seed}.png"), labels)
    weights = ["--weights", str(tmp_path / "new"), "--device", "cpu"]
    images, out = str(tmp_path / "data" / "frames" / "one"), tmp_path / "out"
    assert main(["predict", images, *weights, "--output", str(out)]) == 0
    found = cv2.imread(str(out / "labels" / "0.png"), cv2.IMREAD_GRAYSCALE)
    assert (found == picture(0)[1]).mean() > 0.9
    report = tmp_path / "report"
    source = f"folder:{tmp_path / 'data'}"
    assert main(["evaluate", source, *weights, "--report", str(report)]) == 0
    assert '"adopted"' in (report / "evaluation.json").read_text()


def test_benchmark(small: nn.Module, words: list[str], tmp_path: Path) -> None:
    file = export(small, tmp_path / "foreign.onnx", torch.zeros(1, 3, *SIZE))
    assert main(["adopt", str(file), *words]) == 0
    words = ["--weights", str(tmp_path / "new"), "--precision", "float32", "--frames", "2"]
    result = tmp_path / "result.json"
    words += ["--camera-size", "48", "64", "--device", "cpu", "--json", str(result)]
    assert main(["benchmark", *words]) == 0
    (run,) = json.loads(result.read_text())["runs"]
    assert run["setting"]["variant"] == "adopted"
    assert run["setting"]["input_size"] == list(SIZE)
    assert run["frame_to_labels_ms"]["p50"] > 0
    assert run["floor_ms"] is None


def write_text(network: nn.Module, file: Path) -> None:
    file.write_text("no graph")


def plain(network: nn.Module, file: Path) -> None:
    export(network, file, torch.zeros(1, 3, *SIZE))


def dynamic(network: nn.Module, file: Path) -> None:
    axes = {"frame": {0: "batch", 2: "height", 3: "width"}}
    export(network, file, torch.zeros(1, 3, *SIZE), dynamic_axes=axes)


def two_outputs(network: nn.Module, file: Path) -> None:
    both = Wrapped(network, keep, lambda logits: (logits, logits.mean(1)))
    names = ["logits", "auxiliary"]
    export(both, file, torch.zeros(1, 3, *SIZE), output_names=names)


def flat(network: nn.Module, file: Path) -> None:
    image = Wrapped(network, lambda frame: frame[None], keep)
    export(image, file, torch.zeros(3, *SIZE))


def label_map(network: nn.Module, file: Path) -> None:
    export(Wrapped(network, keep, labels_of), file, torch.zeros(1, 3, *SIZE))


def two_images(network: nn.Module, file: Path) -> None:
    export(network, file, torch.zeros(2, 3, *SIZE))


def flat_output(network: nn.Module, file: Path) -> None:
    export(
        Wrapped(network, keep, lambda logits: logits.flatten(2)), file, torch.zeros(1, 3, *SIZE)
    )


def changed(change: Callable[[Any], object]) -> Callable[[nn.Module, Path], None]:
    def write(network: nn.Module, file: Path) -> None:
        import onnx

        plain(network, file)
        model = onnx.load(file)
        change(model)
        onnx.save(model, file)

    return write


def unknown_operator(model: Any) -> None:
    model.graph.node[0].op_type = "Imagined"


def no_values(model: Any) -> None:
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 1:
            tensor.raw_data = np.full(tensor.dims[0], np.nan, np.float32).tobytes()


def external(network: nn.Module, file: Path) -> None:
    import onnx

    plain(network, file)
    model = onnx.load(file)
    onnx.save(model, file, save_as_external_data=True, location="weights.data", size_threshold=0)
    (file.parent / "weights.data").unlink()


@pytest.mark.parametrize(
    ("write", "options", "part"),
    [
        (write_text, [], "is no ONNX graph"),
        (lambda network, file: None, [], "does not exist; give an ONNX file"),
        (dynamic, [], "are dynamic: give --input-size H W"),
        (dynamic, ["--input-size", "8", "8"], "allowed are sides of 33"),
        (plain, ["--input-size", "64", "64"], "is for frames of (48, 64), --input-size is 64 64"),
        (plain, ["--layout", "NHWC"], "has the shape (1, 3, 48, 64); allowed are"),
        (flat, [], "has the shape (3, 48, 64); allowed are (1, 3, H, W)"),
        (two_images, [], "has the shape (2, 3, 48, 64); allowed are (1, 3, H, W)"),
        (two_outputs, [], "several outputs; allowed are 'logits', 'auxiliary': choose one with"),
        (two_outputs, ["--output-name", "out"], "has no output 'out'; allowed are 'logits'"),
        (two_outputs, ["--output-name", "auxiliary"], "'auxiliary' is float32 (1, 12, 16)"),
        (flat_output, [], "is float32 (1, 3, 192); allowed are logits of the 3 classes"),
        (label_map, ["--class-map", "two.yaml"], "labels of the sample are 0 to 2; the class map"),
        (plain, ["--class-map", "cityscapes"], "allowed are logits of the 19 classes"),
        (changed(unknown_operator), [], "cannot run the graph: "),
        (changed(no_values), [], "are not finite: check --mean"),
        (external, [], "copy the data files beside the graph"),
        (plain, ["--std", "1", "0", "1"], "--std is (1.0, 0.0, 1.0); allowed are numbers above"),
        (plain, ["--image", "none.png"], "none.png: does not exist"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    write: Callable[[nn.Module, Path], None],
    options: list[str],
    part: str,
    small: nn.Module,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "foreign.onnx"
    write(small, file)
    there = sorted(tmp_path.iterdir())
    capsys.readouterr()
    assert main(["adopt", str(file), *words, *options]) == 2
    said = capsys.readouterr()
    assert part in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert sorted(tmp_path.iterdir()) == there


def test_an_output_is_chosen_by_name(small: nn.Module, words: list[str], tmp_path: Path) -> None:
    two_outputs(small, tmp_path / "foreign.onnx")
    words = [*words, "--output-name", "logits"]
    assert main(["adopt", str(tmp_path / "foreign.onnx"), *words]) == 0
    document = json.loads((tmp_path / "new" / "export.json").read_text())
    assert document["outputs"][0]["shape"] == [1, 3, 12, 16]
    assert document["adopted"]["input"]["mean"] == list(MEAN)
