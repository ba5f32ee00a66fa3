"""Evaluation of the published labels with the metrics of `tdnet evaluate`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Generic, TypeVar

from tdnet import ClassMap, SegmenterSettings
from tdnet._util.regular_files import sha256
from tdnet.checkpoints.weights import packaged_weights
from tdnet_offline import provenance
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.result import PACKAGED, Evaluation, FrameRecord, Setting
from tdnet_offline.evaluation.scorer import Scorer
from tdnet_offline.frames import Frame
from tools.demo.measures import FrameTotals
from tools.demo.recorder import LABELS
from tools.demo.recording import Recording
from tools.demo.session import NodeUnderTest, Session
from tools.demo.sources import Source

# The class ids of the synthetic street, and of ground truth in any bag.
GROUND_TRUTH_CLASS_MAP = "cityscapes"
MODE = "node"

T = TypeVar("T")


def evaluate_recording(
    source: Source,
    node: NodeUnderTest,
    session: Session,
    recorded: Recording,
    totals: FrameTotals,
    on_frame: Callable[[], None],
) -> Evaluation:
    """Score the recorded labels against the bag's label topic, and from frame to frame.

    Args:
        source: The played source.
        node: The node that segmented it.
        session: The run.
        recorded: The recorded topics of the node.
        totals: Frame counts of the run.
        on_frame: Called after every scored frame.
    """
    started = time.monotonic()
    class_map = recorded.class_map()
    bag = source.bag
    places = {message.stamp_ns: place for place, message in enumerate(session.sent)}
    statuses = {status.stamp_ns: status for status in recorded.statuses()}
    frames = _InOrder(_stamped(bag.frames()), places)
    labelled = bag.ground_truth() if _has_ground_truth_ids(class_map) else iter(())
    ground_truths = _InOrder(labelled, places)
    scorer = Scorer(class_map)
    scorer.start(bag.topic, totals.dropped, totals.refused)
    for stamp, given in recorded.images(LABELS):
        place, status = places.get(stamp), statuses.get(stamp)
        if place is None or status is None:
            continue
        # The node decodes more encodings than the offline reader; score the labels anyway.
        frame = frames.at(place)
        name = frame.name if frame else f"{place:06d}_{stamp}"
        ground_truth = ground_truths.at(place)
        if ground_truth is not None and ground_truth.shape != given.shape:
            ground_truth = None
        record = FrameRecord(
            video=bag.topic,
            index=place,
            name=name,
            stamp_ns=stamp,
            path=status.path,
            memory_frames=status.memory_frames,
            reset_reason=status.reset_reason or None,
            stages_ms={**status.stages, "total": status.total_ms},
        )
        scorer.add(record, given, ground_truth, frame.image if frame else None)
        on_frame()
    return scorer.evaluation(
        _setting(source, node, session, class_map), time.monotonic() - started
    )


class _InOrder(Generic[T]):
    """Find items by the position of their frame; positions must ascend.

    Args:
        items: stamp and item, in the order in which they were recorded.
        places: of the frames, by stamp.
    """

    def __init__(self, items: Iterator[tuple[int, T]], places: Mapping[int, int]) -> None:
        self._items = ((places[stamp], item) for stamp, item in items if stamp in places)
        self._next = next(self._items, None)

    def at(self, place: int) -> T | None:
        """Return the item of a frame; None if it has none."""
        while self._next is not None and self._next[0] < place:
            self._next = next(self._items, None)
        return self._next[1] if self._next is not None and self._next[0] == place else None


def _stamped(frames: Iterator[Frame]) -> Iterator[tuple[int, Frame]]:
    for frame in frames:
        if frame.stamp_ns is not None:
            yield frame.stamp_ns, frame


def iou_by_id(evaluation: Evaluation) -> dict[int, float]:
    """Return the IoU of each class by id; empty without ground truth."""
    ids = sorted(evaluation.setting.class_names)
    scores = metrics.class_iou(metrics.total_confusion(evaluation)).tolist()
    return {i: iou for i, iou in zip(ids, scores, strict=True) if not math.isnan(iou)}


def _has_ground_truth_ids(class_map: ClassMap) -> bool:
    """Return whether the class map has the ids and names of the ground truth."""
    expected = ClassMap.load(GROUND_TRUTH_CLASS_MAP)
    names = [[(entry.id, entry.name) for entry in m.classes] for m in (class_map, expected)]
    return names[0] == names[1]


def _setting(
    source: Source, node: NodeUnderTest, session: Session, class_map: ClassMap
) -> Setting:
    model = session.model
    variant = model.get("variant", node.variant)
    weights = node.weights or packaged_weights(variant)
    height, width = (int(side) for side in model.get("input size", "0 x 0").split(" x "))
    return Setting(
        source=source.title,
        split="",
        mode=MODE,
        variant=variant,
        weights=Path(node.weights).name if node.weights else PACKAGED,
        weights_sha256=sha256(Path(weights)) if weights else "",
        input_size=(height, width),
        device=model.get("device", ""),
        precision=model.get("precision", ""),
        class_names={entry.id: entry.name for entry in class_map.classes},
        class_colors={entry.id: entry.color for entry in class_map.classes},
        hardware=provenance.hardware(),
        versions=provenance.versions(),
        git_commit=provenance.git_commit(),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        processes=1,
        runtime=model.get("runtime", SegmenterSettings.runtime),
    )
