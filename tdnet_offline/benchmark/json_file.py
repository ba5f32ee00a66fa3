"""Benchmarks as JSON files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tdnet_offline.benchmark.result import Benchmark
from tdnet_offline.writers.atomic_files import replacing

FORMAT = "tdnet benchmark"
VERSION = 1


def save_benchmark(benchmark: Benchmark, path: Path) -> None:
    """Write a benchmark, the fields of `Benchmark` by their names.

    Raises:
        OSError: it cannot be written; a file that was there stays as it was.
    """
    document = {"format": FORMAT, "version": VERSION, **asdict(benchmark)}
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, allow_nan=False)
        file.write("\n")
