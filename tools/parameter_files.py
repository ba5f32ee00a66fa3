"""Write config/segment.yaml and the table of docs/parameters.md.

Run `python -m tools.parameter_files`. Both derive from the table in `tdnet_ros/parameters.py`;
tests compare them with it.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

from tdnet_ros.parameter_values import ParameterSpec, Value
from tdnet_ros.parameters import PARAMETERS

ROOT = Path(__file__).parents[1]
PARAMETER_FILE = ROOT / "config" / "segment.yaml"
PAGE = ROOT / "docs" / "parameters.md"
_HEAD = """\
# Parameters of segment_node, each with its default: copy the file, change what you need and start
#   ros2 launch tdnet_ros segment.launch.py params_file:=/path/of/your.yaml
# Written by `python -m tools.parameter_files`.
/**:
  ros__parameters:
"""
_TABLE = re.compile(r"\| parameter \|.*?\n(?=\n)", re.DOTALL)
_WIDTH = 99


def parameter_file() -> str:
    """Return the text of config/segment.yaml."""
    return _HEAD + "\n".join(_yaml(spec) for spec in PARAMETERS.values())


def _yaml(spec: ParameterSpec) -> str:
    lines = [*_comment(_meaning(spec)), *_comment(f"Allowed: {spec.allowed}.")]
    # ROS 2 cannot read the type of an empty list: the line is an example.
    value = f"# {spec.name}: {_scalar(list(spec.example))}" if spec.example else ""
    return "\n".join([*lines, f"    {value or f'{spec.name}: {_scalar(spec.default)}'}", ""])


def _meaning(spec: ParameterSpec) -> str:
    own = f" For one of several cameras: NAME.{spec.name}." if spec.per_camera else ""
    return spec.description + own


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent="    # ", subsequent_indent="    # ", break_on_hyphens=False
    )


def _scalar(value: Value | list[int | str]) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return value if isinstance(value, str) and value else json.dumps(value)


def page(text: str) -> str:
    """Return docs/parameters.md with the table as it is now.

    Args:
        text: The page.
    """
    return _TABLE.sub(lambda match: parameter_table(), text)


def parameter_table() -> str:
    """Return the table of docs/parameters.md."""
    rows = [
        f"| `{spec.name}` | {_shown(spec.default)} | {_meaning(spec)} | {spec.allowed} | "
        f"{spec.change.value} |"
        for spec in PARAMETERS.values()
    ]
    columns = ("parameter", "default", "meaning", "allowed", "a change needs")
    return "\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *rows, ""])


def _shown(default: Value) -> str:
    if default in ("", []):
        return "empty"
    return f"`{default}`" if isinstance(default, str) else json.dumps(default)


if __name__ == "__main__":
    PARAMETER_FILE.write_text(parameter_file(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
