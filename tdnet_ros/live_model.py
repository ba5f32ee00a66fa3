"""The model in use, and the one that takes its place between two frames."""

from __future__ import annotations

from dataclasses import replace

from tdnet.settings import SegmenterSettings
from tdnet.streaming import StreamingSegmenter
from tdnet_ros.frame_pipeline import Recipe
from tdnet_ros.model_loading import (
    FileStates,
    LoadedModel,
    ModelLoader,
    file_states,
    give_back_once_unused,
)
from tdnet_ros.settings import NodeSettings


class LiveModel:
    """Keeps the recipe in step with the parameters of a configured node.

    A change comes in three steps, as ROS sets parameters: `load` the model in the background,
    `prepare` the recipe when the change is checked, `adopt` it when the change has been made.

    Args:
        loader: loads models beside the one in use.
    """

    def __init__(self, loader: ModelLoader) -> None:
        self.recipe: Recipe | None = None
        self._loader = loader
        self._files: FileStates = ()
        self._loaded: LoadedModel | None = None
        self._next: Recipe | None = None

    def configure(self, settings: NodeSettings) -> Recipe:
        """Load the first model, at once.

        Raises:
            TdnetError: the model cannot be built, or the settings do not fit it.
        """
        self._files = file_states(settings.segmenter)
        self.recipe = Recipe.create(settings.segmenter.build(), settings)
        return self.recipe

    def free(self) -> None:
        """Let go of every model."""
        self.recipe = self._loaded = self._next = None

    async def load(self, settings: NodeSettings) -> None:
        """Load the model that settings ask for beside the one in use, while frames go on.

        Nothing is loaded where the settings are those of the model in use, unless one of its
        files was replaced by another since.

        Raises:
            ModelLoadError: the model cannot be built.
        """
        if self.recipe is None:
            return
        same = self.recipe.settings.segmenter == settings.segmenter
        if not same or self._files != file_states(settings.segmenter):
            self._loaded = await self._loader.load(settings.segmenter)

    def prepare(self, settings: NodeSettings) -> None:
        """Put together what frames are segmented with once the settings are in force.

        A model that nobody loaded before is built at once.

        Raises:
            TdnetError: the model cannot be built, or the settings do not fit it.
        """
        if self.recipe is None:
            return
        segmenter = self._segmenter_for(settings.segmenter)
        if segmenter is None:
            segmenter = settings.segmenter.build()
        self._next = Recipe.create(segmenter, settings)

    def adopt(self, settings: NodeSettings) -> Recipe | None:
        """Make the settings, which are in force now, those of the recipe; None: no model."""
        if self.recipe is None:
            return None
        if self._next is None or self._next.settings != settings:
            self.prepare(settings)
        assert self._next is not None
        self._replace(self._next)
        return self.recipe

    def forget_loaded(self) -> None:
        """Let go of a loaded model that did not come into use."""
        left = self._loaded
        self._loaded = self._next = None
        if left is not None:
            give_back_once_unused(left.segmenter)

    async def load_again(self, *, device: str) -> LoadedModel:
        """Load the model of the recipe anew, on a device that the settings need not name.

        Raises:
            ModelLoadError: the model cannot be built.
        """
        assert self.recipe is not None
        settings = self.recipe.settings.segmenter
        if device != settings.device:
            # Numbers chosen for one device may be slow or unknown on the other.
            settings = replace(settings, device=device, precision="auto")
        return await self._loader.load(settings)

    def use_instead(self, loaded: LoadedModel) -> Recipe | None:
        """Put another model under the settings in force; None: the node has no model any more."""
        if self.recipe is None:
            return None
        self._replace(Recipe.create(loaded.segmenter, self.recipe.settings))
        return self.recipe

    def _replace(self, recipe: Recipe) -> None:
        old = self.recipe
        self.recipe = recipe
        if self._loaded is not None and self._loaded.segmenter is recipe.segmenter:
            self._files = self._loaded.files
        self._loaded = self._next = None
        if old is not None and old.segmenter is not recipe.segmenter:
            give_back_once_unused(old.segmenter)

    def _segmenter_for(self, settings: SegmenterSettings) -> StreamingSegmenter | None:
        if self._loaded is not None and self._loaded.settings == settings:
            return self._loaded.segmenter
        for recipe in (self._next, self.recipe):
            if recipe is not None and recipe.settings.segmenter == settings:
                return recipe.segmenter
        return None
