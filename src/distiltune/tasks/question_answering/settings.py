"""What of the recipe is question answering's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field

from distiltune.tasks.entry import SETTINGS

if TYPE_CHECKING:
    from distiltune.recipe.recipe import Recipe

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class QuestionAnsweringSettings(BaseModel):
    """The settings; the recipe mixes them in."""

    model_config = SETTINGS

    train_questions: Count = 0
    """The same as `train_examples`; excludes it."""
    validation_questions: Count = 0
    """The same as `validation_examples`; excludes it."""
    max_question_tokens: Count = 0
    """Longest question kept whole, in tokens; 0 means half of what a window leaves beside the stride."""
    max_answer_tokens: Positive = 30
    """Longest answer read out, in tokens."""
    n_best: Positive = 20
    """Candidates kept for each question when answers are read out."""
    null_threshold: float | None = None
    """"No answer" is given where its score exceeds the best answer's by more than this. By default a training takes the
    threshold of the best F1 on its validation data (0 without any unanswerable there) if it trains on unanswerable
    questions, else an answer is always given; elsewhere it is the model's own."""


def question_limit(recipe: Recipe) -> int:
    """Longest question kept whole, in tokens, with the default worked out."""
    return recipe.max_question_tokens or (recipe.max_length - 3 - recipe.stride) // 2


def check(recipe: Recipe) -> None:
    """Check that windows can move on.

    Raises:
        ValueError: if they cannot, naming the settings.

    """
    limit = question_limit(recipe)
    if limit + recipe.stride + 4 > recipe.max_length or limit < 1:
        raise ValueError(
            f"max_length ({recipe.max_length}) must be at least max_question_tokens ({limit}) + "
            f"stride ({recipe.stride}) + 4, or windows cannot move on"
        )
