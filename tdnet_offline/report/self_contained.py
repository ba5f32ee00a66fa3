"""What makes a page one file that needs nothing beside it, nor a network."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs


def render(template: Path, **values: object) -> str:
    """Render a page with its style, plotly and the script that draws its figures.

    Args:
        template: HTML with jinja2's marks; it finds `policy`, `style`, `plotly`, `script` and
            `embedded` beside the values.
        values: what the page shows.
    """
    plotly, script = get_plotlyjs(), _text("page.js")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        policy=_policy(plotly, script),
        style=Markup(_text("page.css")),
        plotly=Markup(plotly),
        script=Markup(script),
        embedded=_embedded,
        **values,
    )


def _text(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _embedded(figure: str) -> Markup:
    """JSON that nothing in a user's names can end before its time."""
    return Markup(figure.replace("<", "\\u003c"))


def _policy(*scripts: str) -> str:
    """Allow scripts of the page, embedded pictures and videos of its folder; nothing else."""
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        "default-src 'none'; img-src data:; media-src data: 'self'; style-src 'unsafe-inline'; "
        f"script-src {allowed}"
    )
