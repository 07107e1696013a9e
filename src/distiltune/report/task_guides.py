"""What the card and the page say that depends on the task: words on its metrics, use and limits.

A task that is not in the table gets a card all the same, with general words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from distiltune.report.run_summary import RunSummary

Unit = Literal["count", "percent", "share", "nats", "score"]


@dataclass(frozen=True, slots=True)
class MetricLabel:
    """A metric in words: what it is called, its unit, and a remark where that is not enough."""

    title: str
    unit: Unit = "score"
    remark: str = ""


@dataclass(frozen=True, slots=True)
class UsageExample:
    """A way to use the model, as a heading, a sentence, and code in a language that Markdown knows."""

    title: str
    text: str
    language: str
    code: str


@dataclass(frozen=True, slots=True)
class TaskGuide:
    """The words for one task.

    Attributes:
        sentence: what the model does, as the end of "It …".
        pipeline_tag: the hub's name of the task, "" if it is not one of the hub's.
        tags: the card's tags beside ``distilbert`` and ``distiltune``.
        metrics: the metrics by name, in the order in which they are shown.
        headlines: the metrics that stand at the top of the page and in the card's metadata.
        usage: the ways to use the model.
        limits: sentences on what not to expect.

    """

    sentence: str
    pipeline_tag: str
    tags: tuple[str, ...]
    metrics: Mapping[str, MetricLabel]
    headlines: tuple[str, ...]
    usage: tuple[UsageExample, ...]
    limits: tuple[str, ...]

    def label(self, metric: str) -> MetricLabel:
        """The metric in words; one that the guide does not know gets its name, made readable."""
        words = metric.replace("_", " ")
        return self.metrics.get(metric) or MetricLabel(words[:1].upper() + words[1:])


def guide_for(summary: RunSummary) -> TaskGuide:
    """The words for the run's task."""
    make = _GUIDES.get(summary.task, _general_guide)
    return make(summary)


_QUESTION_METRICS = {
    "exact_match": MetricLabel("Exact match", "percent", "official SQuAD scoring"),
    "f1": MetricLabel("F1", "percent", "official SQuAD scoring"),
    "n": MetricLabel("Questions", "count"),
    "n_answerable": MetricLabel("Questions with an answer", "count"),
    "n_unanswerable": MetricLabel("Questions without an answer", "count"),
    "answerable_exact_match": MetricLabel("Exact match, questions with an answer", "percent"),
    "answerable_f1": MetricLabel("F1, questions with an answer", "percent"),
    "unanswerable_exact_match": MetricLabel(
        "Exact match, questions without an answer", "percent", "share of them that were given no answer"
    ),
    "best_exact_match": MetricLabel("Best exact match", "percent", "at the best threshold for no answer"),
    "best_exact_match_threshold": MetricLabel("Threshold of the best exact match", "score", "in nats"),
    "best_f1": MetricLabel("Best F1", "percent", "at the best threshold for no answer"),
    "best_f1_threshold": MetricLabel("Threshold of the best F1", "score", "in nats"),
    "loss": MetricLabel("Loss", "nats", "nats a window"),
    "start_accuracy": MetricLabel("Start accuracy", "share", "share of windows"),
    "end_accuracy": MetricLabel("End accuracy", "share", "share of windows"),
}

_ASK = """\
distiltune ask --model . --document lease.txt "Who signs the lease?"
"""

_ANSWERER = """\
from distiltune import Answerer

answerer = Answerer(".")
reply = answerer("Who signs the lease?", "The lease is signed by the tenant and the owner.")
print(reply.text)
"""

_TRANSFORMERS = """\
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

model = AutoModelForQuestionAnswering.from_pretrained(".").eval()
tokenizer = AutoTokenizer.from_pretrained(".")
question = "Who signs the lease?"
context = "The lease is signed by the tenant and the owner."

inputs = tokenizer(
    question, context, truncation="only_second", max_length={max_window_tokens}, return_tensors="pt"
)
with torch.inference_mode():
    output = model(**inputs)
scores = output.start_logits[0, :, None] + output.end_logits[0, None, :]  # of every span of tokens
in_context = torch.tensor([part == 1 for part in inputs.sequence_ids(0)])
allowed = in_context[:, None] & in_context[None, :]
allowed &= torch.ones_like(allowed).triu().tril({max_answer_tokens} - 1)  # forwards, and not too long
start, end = divmod(int(scores.where(allowed, -torch.inf).argmax()), len(scores))
print(context[inputs.token_to_chars(0, start).start : inputs.token_to_chars(0, end).end])
"""


def _question_answering_guide(summary: RunSummary) -> TaskGuide:
    max_answer_tokens = summary.max_answer_tokens or 30
    code = _TRANSFORMERS.format(max_window_tokens=summary.max_window_tokens, max_answer_tokens=max_answer_tokens)
    return TaskGuide(
        sentence="answers a question from a text by marking the part of the text that answers it",
        pipeline_tag="question-answering",
        tags=("question-answering",),
        metrics=_QUESTION_METRICS,
        headlines=("exact_match", "f1"),
        usage=(
            UsageExample("On the command line", "In the model's directory:", "bash", _ASK),
            UsageExample("In Python", "Texts of any length, read window by window:", "python", _ANSWERER),
            UsageExample(
                "With transformers",
                f"For texts that fit into one window of {summary.max_window_tokens} tokens; "
                "the answer is read out of the logits, and there always is one:",
                "python",
                code,
            ),
        ),
        limits=(
            "Every answer is a part of the given text. The model knows nothing beyond it, does not count or "
            "reckon, and does not put an answer together from several places.",
            _limit_on_refusal(summary),
            f"Texts are read in windows of at most {summary.max_window_tokens} tokens; what can only be "
            "understood from farther apart is lost.",
            f"As evaluated, answers have at most {max_answer_tokens} tokens.",
        ),
    )


def _limit_on_refusal(summary: RunSummary) -> str:
    n_unanswerable = summary.final_metrics.get("n_unanswerable")
    if n_unanswerable is None:
        return "How well it notices that a text holds no answer was not measured."
    if n_unanswerable == 0:
        return (
            "All questions that it was evaluated on have an answer in their text. How well it notices that a "
            "text holds none was not measured; expect an answer to every question."
        )
    return "Whether a text holds an answer at all is judged by a threshold, and the judgement is often wrong."


def _general_guide(summary: RunSummary) -> TaskGuide:
    """What can be said of a task that nothing is known about."""
    code = (
        "from transformers import AutoTokenizer, {0}\n\n"
        'model = {0}.from_pretrained(".").eval()\n'
        'tokenizer = AutoTokenizer.from_pretrained(".")\n'
    )
    # The name goes into a piece of code, so it must be a name and nothing else.
    architecture = summary.architecture if summary.architecture.isidentifier() else "AutoModel"
    return TaskGuide(
        sentence=f"was fine-tuned for {summary.task.replace('-', ' ')}",
        pipeline_tag="",
        tags=(summary.task,),
        metrics={"loss": MetricLabel("Loss", "nats", "nats a window")},
        headlines=(),
        usage=(UsageExample("With transformers", "In the model's directory:", "python", code.format(architecture)),),
        limits=(),
    )


_GUIDES: dict[str, Callable[[RunSummary], TaskGuide]] = {"question-answering": _question_answering_guide}
