"""Where the files that come with the package are."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def config_dir() -> Path:
    """Return the folder of the packaged configuration: class maps, parameters, recipes.

    An installation has it beside the modules (`tdnet/config`), a source tree at its root.
    """
    installed = _PACKAGE / "config"
    return installed if installed.is_dir() else _PACKAGE.parent / "config"
