"""Plain texts, which have no labels, as the tasks that learn from them read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distiltune.distillation.text import Texts, part_texts, read_texts
from distiltune.settings.engine import EngineSettings


@dataclass(frozen=True, slots=True)
class TextSettings:
    """Which texts a task goes by that has no labels, and how they are read; the recipe says what each means."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    validation_share: float
    sample_seed: int
    max_length: int
    stride: int
    evaluation_tokens: int
    encoding: str
    columns: str

    @staticmethod
    def of(settings: EngineSettings) -> TextSettings:
        """Those of a recipe."""
        return TextSettings(
            train=settings.train,
            validation=settings.validation,
            validation_share=settings.validation_share,
            sample_seed=settings.sample_seed,
            max_length=settings.max_length,
            stride=settings.stride,
            evaluation_tokens=settings.evaluation_tokens,
            encoding=settings.encoding,
            columns=settings.columns,
        )

    def read(self, sources: Sequence[str]) -> Texts:
        """Read others by the same settings; raises what `read_texts` does."""
        return read_texts(sources, self.encoding, self.columns)

    def open(self) -> tuple[Texts, Texts, Texts | None]:
        """All texts of the training data, those that are trained on, and those to evaluate on, if there are any.

        Raises:
            RecipeError: if ``columns`` names anything but the text.
            DataError: if a text cannot be read, or there is only one and some are to be set aside.

        """
        texts = self.read(self.train)
        if self.validation:
            return texts, texts, self.read(self.validation)
        if self.validation_share > 0:
            return texts, *part_texts(texts, self.validation_share, self.sample_seed)
        return texts, texts, None
