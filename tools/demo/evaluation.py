"""Evaluation of the published labels with the metrics of `tdnet evaluate`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from tdnet import ClassMap, SegmenterSettings
from tdnet_offline import provenance
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.result import PACKAGED, Evaluation, FrameRecord, Setting
from tdnet_offline.evaluation.scorer import Scorer
from tdnet_offline.progress import show_progress
from tdnet_ros.msg import SegmentationStatus
from tools.demo.recorder import LABELS
from tools.demo.recording import Recording, stages_ms
from tools.demo.session import Session
from tools.demo.sources import Source

# The class ids of the synthetic street, and of ground truth in any bag.
GROUND_TRUTH_CLASS_MAP = "cityscapes"
MODE = "node"


def evaluate_recording(
    source: Source,
    session: Session,
    recorded: Recording,
    statuses: Mapping[int, SegmentationStatus],
) -> Evaluation:
    """Score the recorded labels against the bag's label topic, and from frame to frame.

    Args:
        source: The played source.
        session: The run.
        recorded: The recorded topics of the node.
        statuses: Status of each segmented frame, by its stamp.
    """
    started = time.monotonic()
    class_map, bag = recorded.class_map(), source.bag
    places = {message.stamp_ns: place for place, message in enumerate(session.sent)}

    def placed(kind: str, items: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, str, Any]]:
        return ((places[stamp], kind, item) for stamp, item in items if stamp in places)

    scorer = Scorer(class_map)
    counts = session.view.counts
    scorer.start(bag.topic, counts.dropped, counts.refused)
    truth = bag.ground_truth() if _has_ground_truth_ids(class_map) else iter(())
    found = merge(
        placed("frame", bag.frames()),
        placed("labels", recorded.images(LABELS)),
        placed("truth", truth),
        key=itemgetter(0),
    )
    with show_progress("frames evaluated", len(statuses)) as progress:
        for place, group in groupby(found, itemgetter(0)):
            items = {kind: item for _, kind, item in group}
            stamp = session.sent[place].stamp_ns
            if "labels" not in items or stamp not in statuses:
                continue
            labels, ground_truth = items["labels"], items.get("truth")
            if ground_truth is not None and ground_truth.shape != labels.shape:
                ground_truth = None
            # The node decodes more encodings than the offline reader; score the labels anyway.
            frame, status = items.get("frame"), statuses[stamp]
            record = FrameRecord(
                video=bag.topic,
                index=place,
                name=frame.name if frame else f"{place:06d}_{stamp}",
                stamp_ns=stamp,
                path=status.path,
                memory_frames=status.memory_frames,
                reset_reason=status.reset_reason or None,
                stages_ms={**stages_ms(status), "total": status.total_ms},
            )
            scorer.add(record, labels, ground_truth, frame.image if frame else None)
            progress.advance()
    return scorer.evaluation(_setting(source, session, class_map), time.monotonic() - started)


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


def _setting(source: Source, session: Session, class_map: ClassMap) -> Setting:
    model = session.view.model
    height, width = (int(side) for side in model["input size"].split(" x "))
    return Setting(
        source=source.title,
        split="",
        mode=MODE,
        variant=model["variant"],
        weights=Path(session.weights).name if session.weights else PACKAGED,
        weights_sha256=provenance.weights_sha256(session.weights, model["variant"]),
        input_size=(height, width),
        device=model["device"],
        precision=model["precision"],
        class_names={entry.id: entry.name for entry in class_map.classes},
        class_colors={entry.id: entry.color for entry in class_map.classes},
        **provenance.origin(),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        processes=1,
        runtime=model.get("runtime", SegmenterSettings.runtime),
    )
