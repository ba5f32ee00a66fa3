"""The rules: which segmented frames are worth a capture, by numbers that cost little.

To add a rule, write a function and add it to `RULES`; its parameter is a field of
`CaptureSettings`.
"""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tdnet.class_map.model import ClassMap
from tdnet_ros.parameter_groups import CaptureSettings

# Every fourth pixel of every fourth row is looked at.
STRIDE = 4
# Share of the pixels from which a class counts as present; a smaller one may be noise.
LEAST_SHARE = 0.001
# Labels that are compared between captures, rows and columns, and the share of equal ones from
# which two frames show the same. On the drawn street frames of a still, noisy camera agree in 97
# percent, and frames 0.2 s apart on a moving robot in 94 percent or less.
SIGNATURE = (24, 32)
SAME_SHARE = 0.95
SIGNATURES = 256

Labels = npt.NDArray[np.uint8]


class Reason(NamedTuple):
    """Why a capture is made.

    Attributes:
        rule: part of the bag's name.
        text: the numbers behind it.
        subject: the class that a rule found.
    """

    rule: str
    text: str
    subject: str = ""


REQUESTED = Reason("requested", "requested by the service ~/capture")


@dataclass(frozen=True)
class RuleInput:
    """What the rules look at.

    Attributes:
        labels: (h, w) ids of some pixels, 255: unlabelled.
        before: those of the frame before; None: another view, or another size.
        confidence: (h, w) of the same pixels, 0 to 255; None if it was not computed.
    """

    settings: CaptureSettings
    class_map: ClassMap
    labels: Labels
    before: Labels | None
    confidence: Labels | None


def low_confidence(frame: RuleInput) -> Reason | None:
    """Find a frame that the network is unsure of."""
    limit = frame.settings.low_confidence
    if not limit or frame.confidence is None:
        return None
    mean = float(frame.confidence.mean()) / 255
    text = f"mean confidence {mean:.2f}, capture.low_confidence is {limit:g}"
    return Reason("low_confidence", text) if mean < limit else None


def new_class(frame: RuleInput) -> Reason | None:
    """Find a class that was not in the frame before."""
    if frame.before is None:
        return None
    for name in frame.settings.classes:
        id_ = frame.class_map.class_by_name(name).id
        before, now = (float(np.mean(each == id_)) for each in (frame.before, frame.labels))
        if before < LEAST_SHARE <= now:
            return Reason("new_class", f"{name} appeared: {now:.1%} of the pixels", name)
    return None


def label_change(frame: RuleInput) -> Reason | None:
    """Find labels that jump from one frame to the next."""
    limit = frame.settings.label_change
    if not limit or frame.before is None:
        return None
    share = float(np.mean(frame.labels != frame.before))
    text = f"{share:.1%} of the labels changed, capture.label_change is {limit:g}"
    return Reason("label_change", text) if share > limit else None


RULES: tuple[Callable[[RuleInput], Reason | None], ...] = (low_confidence, new_class, label_change)
"""Every rule; the first one that applies names the capture."""


class CaptureRules:
    """Applies the rules to the frames of one camera, in order.

    Attributes:
        last_capture: time of the newest capture, seconds of `time.monotonic`.
    """

    def __init__(self) -> None:
        self.last_capture = -math.inf
        self._labels: Labels | None = None
        self._lock = threading.Lock()
        # By rule and subject.
        self._seen: dict[tuple[str, str], deque[Labels]] = defaultdict(
            lambda: deque(maxlen=SIGNATURES)
        )

    def check(
        self,
        settings: CaptureSettings,
        class_map: ClassMap,
        images: tuple[Labels, Labels | None],
        *,
        continued: bool,
    ) -> Reason | None:
        """Return why a frame is worth a capture; None: it is not.

        Args:
            settings: of the rules.
            class_map: of the labels.
            images: (H, W) labels and confidence of the frame; no confidence: None.
            continued: whether it shows the view of the frame before.
        """
        labels, confidence = (
            # A copy: the images of a frame may share memory with later ones.
            None if image is None else image[::STRIDE, ::STRIDE].copy()
            for image in images
        )
        assert labels is not None
        before, self._labels = self._labels, labels
        if not continued or before is None or before.shape != labels.shape:
            before = None
        frame = RuleInput(settings, class_map, labels, before, confidence)
        found = (rule(frame) for rule in RULES)
        return next((reason for reason in found if reason is not None), None)

    def forget_view(self) -> None:
        """Compare the next frame with none."""
        self._labels = None

    def is_new(self, reason: Reason) -> bool:
        """Return whether no capture for this reason shows the same as the newest frame.

        The labels are compared: brightness and noise of the picture do not matter.
        """
        signature = self._signature()
        with self._lock:
            seen = self._seen[reason.rule, reason.subject]
            return all(np.mean(signature == other) < SAME_SHARE for other in seen)

    def note(self, reason: Reason) -> Callable[[], None]:
        """Note that the newest frame is captured.

        Returns:
            A function that makes it new again, from any thread, if the capture is not written.
        """
        signature = self._signature()
        with self._lock:
            self._seen[reason.rule, reason.subject].append(signature)
        self.last_capture = time.monotonic()
        return partial(self._forget, reason, signature)

    def _forget(self, reason: Reason, signature: Labels) -> None:
        with self._lock:
            seen = self._seen[reason.rule, reason.subject]
            others = [other for other in seen if other is not signature]
            seen.clear()
            seen.extend(others)

    def _signature(self) -> Labels:
        labels = self._labels
        assert labels is not None, "no frame was checked"
        places = (
            np.linspace(0, side - 1, n).astype(int)
            for side, n in zip(labels.shape, SIGNATURE, strict=True)
        )
        return labels[np.ix_(*places)]
