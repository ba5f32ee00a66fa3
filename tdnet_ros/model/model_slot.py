"""The model in use, and the one that replaces it between two frames."""

from __future__ import annotations

from tdnet.settings import SegmenterSettings
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.model.model_loading import (
    FileStates,
    LoadedModel,
    ModelLoader,
    ModelLoadError,
    build_model,
    release_once_unused,
)
from tdnet_ros.parameters import NodeSettings


class ModelSlot:
    """Replaces the model when the parameters of a configured node change.

    A change has three steps, as ROS sets parameters: `load` the model in the background,
    `prepare` it when the change is checked, `adopt` it once the change has been made.
    """

    def __init__(self, loader: ModelLoader) -> None:
        self.active: ActiveModel | None = None
        self._loader = loader
        self._files: FileStates = ()
        self._loaded: LoadedModel | None = None
        self._load_error: ModelLoadError | None = None
        self._next: ActiveModel | None = None

    def configure(self, settings: NodeSettings) -> ActiveModel:
        """Use the first model: the one that `load_first` loaded, or else one built now.

        Raises:
            TdnetError: the model cannot be built, or the settings do not fit it.
        """
        if self._load_error is not None:
            raise self._load_error
        wanted, loaded = settings.segmenter, self._loaded
        if loaded is None or loaded.settings != wanted:
            loaded = build_model(wanted)
        self.active = ActiveModel.create(loaded.segmenter, wanted, settings)
        self._files, self._loaded = loaded.files, None
        return self.active

    async def load_first(self, settings: SegmenterSettings) -> None:
        """Load the model for `configure`, which raises the error if this fails."""
        try:
            self._loaded = await self._loader.load(settings)
        except ModelLoadError as error:
            self._load_error = error

    def free(self) -> None:
        """Release every model."""
        self.active = self._loaded = self._load_error = self._next = None

    async def load(self, settings: NodeSettings) -> None:
        """Load the model of the settings beside the one in use, while frames go on.

        If the model in use was built from the same settings, nothing is loaded, unless one of its
        files was replaced since.

        Raises:
            ModelLoadError: the model cannot be built.
        """
        if self.active is None:
            return
        same = self.active.built_from == settings.segmenter
        self._loaded = await self._loader.load(settings.segmenter, self._files if same else None)

    def prepare(self, settings: NodeSettings) -> None:
        """Combine the settings with their model, for when they are in force.

        A model that `load` has not loaded is built now.

        Raises:
            TdnetError: the model cannot be built, or the settings do not fit it.
        """
        if self.active is None:
            return
        wanted, loaded = settings.segmenter, self._loaded
        if loaded is not None and loaded.settings == wanted:
            self._next = ActiveModel.create(loaded.segmenter, wanted, settings)
        elif wanted in (self.active.settings.segmenter, self.active.built_from):
            self._next = self.active.adapted(settings)
        else:
            self._next = ActiveModel.create(build_model(wanted).segmenter, wanted, settings)

    def adopt(self, settings: NodeSettings) -> ActiveModel | None:
        """Use the model prepared for the settings, which are in force now; None: no model."""
        if self.active is None:
            return None
        prepared, self._next = self._next, None
        if prepared is not None and prepared.settings == settings:
            self._replace(prepared)
        return self.active

    def forget(self) -> None:
        """Release models that were loaded or prepared, but are not in use."""
        for left in (self._loaded, self._next):
            if left is not None and (
                self.active is None or left.segmenter is not self.active.segmenter
            ):
                release_once_unused(left.segmenter)
        self._loaded = self._load_error = self._next = None

    async def load_elsewhere(self, settings: SegmenterSettings) -> ActiveModel | None:
        """Load the model in use again with other settings, such as another device, and use it.

        Return None if another one was adopted meanwhile.

        Raises:
            ModelLoadError: the model cannot be built.
        """
        before = self.active
        loaded = await self._loader.load(settings)
        now = self.active
        if loaded is None or before is None or now is None:
            return None
        if now.segmenter is not before.segmenter:
            return None
        self._loaded = loaded
        self._replace(ActiveModel.create(loaded.segmenter, loaded.settings, now.settings))
        return self.active

    def _replace(self, model: ActiveModel) -> None:
        old = self.active
        self.active = model
        if self._loaded is not None and self._loaded.segmenter is model.segmenter:
            self._files = self._loaded.files
            self._loaded = None
        if old is not None and old.segmenter is not model.segmenter:
            release_once_unused(old.segmenter)
