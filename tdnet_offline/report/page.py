"""HTML pages: one self-contained file each, with plotly's figures in the colours of the theme."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from tdnet.version import __version__
from tdnet_offline.writers.atomic_files import replacing

_HERE = Path(__file__).parent


def write_page(path: Path, template: Path, **values: object) -> None:
    """Write a page with its style, plotly, and the script that draws the figures.

    Args:
        path: the HTML file.
        template: jinja2 template that extends ``base.html``; it may import ``macros.html``.
        values: values of the template, `title` and `subtitle` among them.

    Raises:
        OSError: it cannot be written; an existing file stays as it was.
    """
    plotly, script = get_plotlyjs(), _text("page.js")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, _HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["embedded"] = _embedded
    page = environment.get_template(template.name).render(
        policy=_policy(plotly, script),
        style=Markup(_text("page.css")),
        plotly=Markup(plotly),
        script=Markup(script),
        version=__version__,
        **values,
    )
    with replacing(path) as temporary:
        # File names from a source may contain surrogates, which UTF-8 cannot encode.
        temporary.write_text(page, encoding="utf-8", errors="replace")


def data_url(data: bytes, media_type: str) -> str:
    """Return an address that contains the data itself."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _embedded(figure: go.Figure) -> Markup:
    """Return the JSON of a figure; no name in it can close the script element."""
    return Markup(figure.to_json().replace("<", "\\u003c"))


def _policy(*scripts: str) -> str:
    """Allow the scripts of the page, embedded pictures, and videos of its folder only."""
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        "default-src 'none'; img-src data:; media-src data: 'self'; style-src 'unsafe-inline'; "
        f"script-src {allowed}"
    )
