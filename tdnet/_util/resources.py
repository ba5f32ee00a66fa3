"""Location of the packaged files."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def packaged_weights(variant: str) -> Path | None:
    """Return the path of the weights packaged for a variant; None if there are none."""
    path = _PACKAGE / "pretrained" / f"{variant}.safetensors"
    return path if path.is_file() else None


def config_dir() -> Path:
    """Return the folder of the packaged configuration: class maps, parameters, recipes.

    It is `tdnet/config` in an installation, and `config` in the root of a source tree.
    """
    installed = _PACKAGE / "config"
    return installed if installed.is_dir() else _PACKAGE.parent / "config"
