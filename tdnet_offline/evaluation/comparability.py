"""Whether the numbers of evaluations can be compared."""

from __future__ import annotations

from collections.abc import Sequence

from tdnet_offline.evaluation.result import Setting


def comparison_warning(settings: Sequence[Setting]) -> str:
    """Return why differences between evaluations are not those of what was evaluated.

    Args:
        settings: of the evaluations, at least one.

    Returns:
        One sentence on different sources or classes; empty if all have the same.
    """
    sources = dict.fromkeys(f"{item.source} {item.split}".rstrip() for item in settings)
    classes = {tuple(sorted(item.class_names.items())) for item in settings}
    different = [
        f"of different sources ({', '.join(sources)})" if len(sources) > 1 else "",
        "of different classes" if len(classes) > 1 else "",
    ]
    reasons = " and ".join(reason for reason in different if reason)
    if not reasons:
        return ""
    return f"The evaluations are {reasons}: do not compare their scores."
