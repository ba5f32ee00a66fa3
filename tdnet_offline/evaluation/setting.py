"""What is evaluated, on what: written down, and checked beforehand."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from tdnet._util.regular_files import sha256
from tdnet.backends.onnx.description import DESCRIPTION_NAME
from tdnet.checkpoints.weights import packaged_weights
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.segmenter import StreamingSegmenter
from tdnet_offline import provenance
from tdnet_offline.damage import Damage
from tdnet_offline.datasets.video import Dataset
from tdnet_offline.evaluation.result import Setting

PACKAGED = "packaged"


def check_same_classes(one: ClassMap, other: ClassMap) -> None:
    """Check that labels mean the same in two class maps, such as a network's and a data set's.

    Raises:
        InputError: an id is of different classes, or only one of the two has it.
    """
    names = [{entry.id: entry.name for entry in classes.classes} for classes in (one, other)]
    for class_id in sorted(names[0].keys() | names[1].keys()):
        first, second = (known.get(class_id, "no class") for known in names)
        if first != second:
            raise InputError(
                f"label {class_id} is {first!r} in class map {one.name!r}, but {second!r} in "
                f"class map {other.name!r}; give --class-map with the data set's ids and names, "
                "weights for its classes, or one source at a time"
            )


def describe_setting(
    dataset: Dataset,
    segmenter: StreamingSegmenter,
    mode: str,
    weights: str,
    processes: int,
    *,
    memory: str,
    damage: Damage,
    seed: int,
) -> Setting:
    """Write down what is evaluated, on what.

    Args:
        dataset: the videos.
        segmenter: the network.
        mode: ``every-frame`` or ``paced``.
        weights: file of the network's weights, or folder of its exported graphs; empty for the
            packaged ones.
        processes: how many share the work.
        memory: ``full``, ``none`` or ``foreign``.
        damage: of the camera images.
        seed: of the damage.
    """
    given = Path(weights) / DESCRIPTION_NAME if Path(weights).is_dir() else weights
    path = given if weights else packaged_weights(segmenter.variant.name)
    return Setting(
        source=source_name(dataset),
        split=dataset.split,
        mode=mode,
        variant=segmenter.variant.name,
        weights=Path(weights).name if weights else PACKAGED,
        weights_sha256=sha256(Path(path)) if path else "",
        input_size=segmenter.input_size,
        device=str(segmenter.device),
        precision=segmenter.precision,
        class_names={entry.id: entry.name for entry in dataset.class_map.classes},
        class_colors={entry.id: entry.color for entry in dataset.class_map.classes},
        hardware=provenance.hardware(),
        versions=provenance.versions(),
        git_commit=provenance.git_commit(),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        processes=processes,
        runtime=segmenter.runtime,
        memory=memory,
        damage=str(damage),
        seed=seed,
    )


def source_name(dataset: Dataset) -> str:
    """Name a data set as the user did."""
    if dataset.name == "bag":
        return dataset.root
    return f"{dataset.name}:{dataset.root}" if dataset.root else dataset.name
