"""The program of docs/converting-labels.md, on an export with polygons and masks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.labelled import picture
from support.media import write_image

from tdnet_offline.command import main
from tdnet_offline.datasets import open_dataset

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "converting-labels.md").read_text(encoding="utf-8")


def test_coco(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools", reason="needs pycocotools: use `make test`")
    program, layout = (
        re.search(pattern, PAGE, re.DOTALL)
        for pattern in (r"```python\n(.*?)```", r"```yaml\n(# COCO.*?)```")
    )
    assert program
    assert layout
    (tmp_path / "coco_to_folder.py").write_text(program[1], encoding="utf-8")
    annotations = [
        # The left half as a polygon, in it a mask of the first two columns, column by column.
        {"category_id": 7, "segmentation": [[0, 0, 4, 0, 4, 6, 0, 6]], "area": 24},
        {"category_id": 3, "segmentation": {"counts": [0, 12, 36], "size": [6, 8]}, "area": 12},
    ]
    export = {
        "images": [{"id": 1, "file_name": "images/a.jpg", "height": 6, "width": 8}],
        "categories": [{"id": i, "name": n} for i, n in ((0, "all"), (3, "hose"), (7, "path"))],
        "annotations": [
            {"id": number, "image_id": 1, "iscrowd": 0, **one}
            for number, one in enumerate(annotations, start=1)
        ],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(export), encoding="utf-8")
    folder = tmp_path / "garden"
    folder.mkdir()
    words = [sys.executable, str(tmp_path / "coco_to_folder.py"), "../annotations.json", "."]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    export["images"] += [{"id": 2, "file_name": "more/a.png", "height": 6, "width": 8}]
    (tmp_path / "annotations.json").write_text(json.dumps(export), encoding="utf-8")
    refused = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert refused.stderr == "several images are named a: rename them and export again\n"
    write_image(folder / "frames/a.jpg", picture(1))
    (folder / "layout.yaml").write_text(layout[1], encoding="utf-8")
    dataset = open_dataset(f"folder:{folder}")
    names = {entry.id: entry.name for entry in dataset.class_map.classes}
    assert names == {0: "hose", 1: "path"}
    assert dataset.class_map.name == "garden"
    row = [0, 0, 1, 1, 255, 255, 255, 255]
    np.testing.assert_array_equal(dataset.videos[0].labels(0), np.tile(row, (6, 1)))
    assert main(["check", f"folder:{folder}", "--length", "1"]) == 0
