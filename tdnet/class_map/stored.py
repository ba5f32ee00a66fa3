"""The class map that is stored with weights, read without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tdnet._util.regular_files import file_problem
from tdnet.class_map.model import ClassMap
from tdnet.errors import WeightsError

DESCRIPTION_NAME = "export.json"
"""Name of the description in a folder of exported graphs."""
_MAX_FILE_BYTES = 1 << 40
_MAX_TEXT_BYTES = 1 << 26


def stored_class_map(weights: Path) -> ClassMap | None:
    """Return the class map that a weights file or a folder of graphs holds; None: it holds none.

    Raises:
        WeightsError: there is no such file, or it cannot be read.
        ClassMapError: the class map is not valid.
    """
    path = weights / DESCRIPTION_NAME if weights.is_dir() else weights
    if problem := file_problem(path, _MAX_FILE_BYTES):
        raise WeightsError(f"{path}: {problem}; give a weights file or an exported folder")
    try:
        with path.open("rb") as file:
            if weights.is_dir():
                text = yaml.safe_dump(json.loads(file.read(_MAX_TEXT_BYTES))["class_map"])
            else:
                start = file.read(9)
                if start[8:] != b"{":  # not safetensors: files of PyTorch hold tensors only
                    return None
                size = min(int.from_bytes(start[:8], "little"), _MAX_TEXT_BYTES)
                header = json.loads(b"{" + file.read(size - 1))
                text = (header.get("__metadata__") or {}).get("class_map") or ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: no class map can be read from it ({error})") from error
    return ClassMap.from_yaml(text, f"{path} (class_map)") if text else None
