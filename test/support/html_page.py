"""Reads headings, tables and references of an HTML file."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

Rows = list[list[str]]

_VOID = {"meta", "input", "img", "br", "link"}


class HtmlPage(HTMLParser):
    """A parsed page.

    Attributes:
        text: all that is read, scripts and styles aside, each piece with blanks squeezed.
        tables: rows of cell texts, by the heading above; cells of a row are a list of texts.
        tags: how often each is there.
        addresses: values of `src`, `href` and the like.
        figures: JSON of the data blocks, in order.
        scripts: texts of those that are executed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.tables: dict[str, Rows] = {}
        self.tags: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.figures: list[dict[str, Any]] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self._heading = ""
        self._data_block = False
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags[tag] += 1
        for name in ("src", "href", "srcset", "data", "action"):
            if name in found:
                self.addresses.append(found[name] or "")
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "script":
            self._data_block = found.get("type") == "application/json"
        if tag in ("h1", "h2"):
            self._heading = ""
        if tag == "tr":
            self.tables.setdefault(self._heading, []).append([])
        if tag in ("td", "th"):
            self.tables[self._heading][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            if self._data_block:
                self.figures.append(json.loads(data))
            else:
                self.scripts.append(data)
            return
        words = " ".join(data.split())
        if "style" in self._open or not words:
            return
        self.text += f"{words}\n"
        if self._open[-1] in ("h1", "h2"):
            self._heading += words
        if "td" in self._open or "th" in self._open:
            cells = self.tables[self._heading][-1]
            cells[-1] = f"{cells[-1]} {words}".strip()


def tile(page: HtmlPage, name: str) -> str:
    """Return the number above a name at the head of the page."""
    found = re.search(rf"^(.+)\n{re.escape(name)}\n", page.text, re.MULTILINE)
    assert found, f"{name} is not in {page.text[:400]}"
    return found[1]
