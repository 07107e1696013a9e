"""What puts a trained model to work: the tasks' own classes, whose errors speak of arguments instead of flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distiltune.python import label as labelling
from distiltune.python.wording import in_python, in_python_class
from distiltune.tasks.multiple_choice import answerer as choosing
from distiltune.tasks.question_answering import answerer as answering
from distiltune.tasks.question_answering import pipeline as pipelines
from distiltune.tasks.question_answering.search import folder as searching
from distiltune.tasks.text_classification import classifier as classifying
from distiltune.tasks.token_classification import marker as marking

if TYPE_CHECKING:
    from distiltune.python.label import Labelling as Labelling
    from distiltune.tasks.multiple_choice.answerer import ChoiceAnswerer as ChoiceAnswerer
    from distiltune.tasks.question_answering.answerer import Answerer as Answerer
    from distiltune.tasks.question_answering.search.folder import Folder as Folder
    from distiltune.tasks.text_classification.classifier import TextClassifier as TextClassifier
    from distiltune.tasks.token_classification.marker import EntityMarker as EntityMarker
else:
    Answerer = in_python_class(answering.Answerer, __name__)
    ChoiceAnswerer = in_python_class(choosing.ChoiceAnswerer, __name__)
    Folder = in_python_class(searching.Folder, __name__)
    Labelling = in_python_class(labelling.Labelling, __name__)
    EntityMarker = in_python_class(marking.EntityMarker, __name__)
    TextClassifier = in_python_class(classifying.TextClassifier, __name__)

pipeline = in_python(pipelines.pipeline)
