"""The groups of parameters that have a prefix: overlay, points, diagnostics, capture."""

from __future__ import annotations

import os
from dataclasses import dataclass

from tdnet.overlay import DEFAULT_ALPHA
from tdnet_ros.parameter_values import row


@dataclass(frozen=True)
class OverlaySettings:
    """How the overlay is drawn."""

    alpha: float = row(
        DEFAULT_ALPHA, "Opacity of the class colours; 0: camera image only.", range=(0.0, 1.0)
    )
    legend: bool = row(True, "Draw the names of the classes present.")
    hidden_classes: tuple[str, ...] = row(
        (),
        "Classes that the overlay does not colour, besides those that the class map hides; labels "
        "keep them.",
        constraint="names of the class map",
        example=("sky",),
    )


@dataclass(frozen=True)
class PointsSettings:
    """Which points are published."""

    classes: tuple[str, ...] = row(
        (),
        "Classes whose points are published; those of other classes have no coordinates; empty: "
        "all.",
        constraint="names of the class map",
        example=("road", "person"),
    )


@dataclass(frozen=True)
class DiagnosticLimits:
    """Limits beyond which a measured value of a camera is a warning or an error; 0: no limit.

    Values below the limits of `MINIMUMS` are beyond them, for all others values above.
    """

    silence_warn: float = row(
        3.0,
        "Seconds without a frame of the camera after which its diagnostic warns; 0: never.",
        range=(0.0, 3600.0),
    )
    silence_error: float = row(
        10.0,
        "Seconds without a frame of the camera after which its diagnostic is an error; 0: never.",
        range=(0.0, 3600.0),
    )
    age_warn: float = row(
        0.5,
        "Seconds from stamp to outputs of a camera (95th percentile) above which its diagnostic "
        "warns; 0: never.",
        range=(0.0, 60.0),
    )
    age_error: float = row(
        2.0,
        "Seconds from stamp to outputs of a camera (95th percentile) above which its diagnostic "
        "is an error; 0: never.",
        range=(0.0, 60.0),
    )
    rate_warn: float = row(
        0.0,
        "Segmented frames a second of a camera below which its diagnostic warns; 0: never.",
        range=(0.0, 1000.0),
    )
    rate_error: float = row(
        0.0,
        "Segmented frames a second of a camera below which its diagnostic is an error; 0: never.",
        range=(0.0, 1000.0),
    )
    dropped_warn: float = row(
        0.9,
        "Share of a camera's frames dropped for newer ones above which its diagnostic warns; "
        "frames dropped by max_rate do not count; 0: never.",
        range=(0.0, 1.0),
    )
    dropped_error: float = row(
        0.0,
        "Share of a camera's frames dropped for newer ones above which its diagnostic is an "
        "error; frames dropped by max_rate do not count; 0: never.",
        range=(0.0, 1.0),
    )
    lost_warn: float = row(
        0.1,
        "Share of a camera's frames lost before they arrived, counted by the middleware or "
        "estimated from the stamps, above which its diagnostic warns; 0: never.",
        range=(0.0, 1.0),
    )


MINIMUMS = frozenset({"rate"})


@dataclass(frozen=True)
class CaptureSettings:
    """Frames that are kept to learn from."""

    folder: str = row(
        "",
        "Folder for captures, the last seconds of a camera as a bag each; empty: none are made.",
        constraint="path of a folder that the node may write to, or empty",
        parse=lambda _, value: os.path.expanduser(value),
    )
    seconds: float = row(5.0, "Most seconds of a camera's frames in a capture.", range=(0.1, 60.0))
    memory: float = row(
        256.0,
        "Most MiB of received frames that each camera keeps for its next capture.",
        range=(1.0, 65536.0),
    )
    quota: float = row(
        1024.0,
        "Most MiB of the files in the folder; a capture beyond it is refused, none is deleted.",
        range=(0.1, 1e6),
    )
    period: float = row(
        30.0,
        "Least seconds from one capture of a camera by a rule to the next.",
        range=(0.0, 86400.0),
    )
    low_confidence: float = row(
        0.0,
        "Rule: capture a frame whose mean confidence, 0 to 1, is lower; 0: off.",
        range=(0.0, 1.0),
    )
    classes: tuple[str, ...] = row(
        (),
        "Rule: capture a frame in which one of these classes appears, absent in the frame before; "
        "empty: off.",
        constraint="names of the class map",
        example=("person",),
    )
    label_change: float = row(
        0.0,
        "Rule: capture a frame in which more than this share of the pixels has another label than "
        "in the frame before; 0: off.",
        range=(0.0, 1.0),
    )

    @property
    def needs_confidence(self) -> bool:
        """Whether a rule looks at the confidence."""
        return bool(self.folder and self.low_confidence)

    @property
    def has_rule(self) -> bool:
        """Whether frames are captured by a rule."""
        return bool(self.folder and (self.low_confidence or self.classes or self.label_change))
