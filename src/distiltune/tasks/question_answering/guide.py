"""What the model card and the report say of a question-answering model."""

from __future__ import annotations

from collections.abc import Mapping

from distiltune.tasks.guide import MetricLabel, TaskGuide, UsageExample

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
    "untuned_exact_match": MetricLabel(
        "Exact match, threshold not chosen", "percent", "at the threshold 0 for no answer, which nobody chose"
    ),
    "untuned_f1": MetricLabel(
        "F1, threshold not chosen", "percent", "at the threshold 0 for no answer, which nobody chose"
    ),
    "best_exact_match": MetricLabel("Best exact match", "percent", "at the best threshold for no answer"),
    "best_exact_match_threshold": MetricLabel("Threshold of the best exact match", "score", "in nats"),
    "best_f1": MetricLabel("Best F1", "percent", "at the best threshold for no answer"),
    "best_f1_threshold": MetricLabel("Threshold of the best F1", "score", "in nats"),
    "chosen_null_threshold": MetricLabel("Threshold for no answer", "score", "in nats, chosen on the validation data"),
    "refused_null_threshold": MetricLabel(
        "Threshold not taken", "score", "best here, and no better than 0 on held-out questions"
    ),
    "confidence_temperature": MetricLabel("Temperature of the confidence", "score", "1: none is applied"),
    "refused_temperature": MetricLabel(
        "Temperature not taken", "score", "fitted here, and no better than 1 on held-out questions"
    ),
    "calibration_error_before": MetricLabel(
        "Calibration error before", "share", "expected gap between confidence and share right, at temperature 1"
    ),
    "calibration_error": MetricLabel("Calibration error after", "share", "the same at the model's temperature"),
    "calibration_error_held_out": MetricLabel(
        "Calibration error held out", "share", "each half at the temperature fitted on the other"
    ),
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


def question_answering_guide(metrics: Mapping[str, float], max_window_tokens: int, max_answer_tokens: int) -> TaskGuide:
    """The words for a model of this task.

    Args:
        metrics: what it reached on the validation data; may be empty.
        max_window_tokens: longest window that it was trained on.
        max_answer_tokens: longest answer that was read out of it.

    """
    code = _TRANSFORMERS.format(max_window_tokens=max_window_tokens, max_answer_tokens=max_answer_tokens)
    return TaskGuide(
        sentence="answers a question from a text by marking the part of the text that answers it",
        pipeline_tag="question-answering",
        tags=("question-answering",),
        metrics=_QUESTION_METRICS,
        headlines=("exact_match", "f1"),
        decisive="f1",
        example="question",
        exact="exact matches",
        hardest="answers that have nothing in common with the right one",
        usage=(
            UsageExample("On the command line", "In the model's directory:", "bash", _ASK),
            UsageExample("In Python", "Texts of any length, read window by window:", "python", _ANSWERER),
            UsageExample(
                "With transformers",
                f"For texts that fit into one window of {max_window_tokens} tokens; "
                "the answer is read out of the logits, and there always is one:",
                "python",
                code,
            ),
        ),
        limits=(
            "Every answer is a part of the given text. The model knows nothing beyond it, does not count or "
            "reckon, and does not put an answer together from several places.",
            _limit_on_refusal(metrics),
            f"Texts are read in windows of at most {max_window_tokens} tokens; what can only be "
            "understood from farther apart is lost.",
            f"As evaluated, answers have at most {max_answer_tokens} tokens.",
        ),
        decisions=fitted_sentences(metrics),
    )


def _limit_on_refusal(metrics: Mapping[str, float]) -> str:
    n_unanswerable = metrics.get("n_unanswerable")
    if n_unanswerable is None:
        return "How well it notices that a text holds no answer was not measured."
    if n_unanswerable == 0:
        return (
            "All questions that it was evaluated on have an answer in their text. How well it notices that a "
            "text holds none was not measured; expect an answer to every question."
        )
    if "untuned_f1" not in metrics:
        return (
            "Whether a text holds an answer at all is judged by a threshold if it was trained with one, and the "
            "judgement is often wrong."
        )
    chosen = metrics["chosen_null_threshold"]
    return (
        f"Whether a text holds an answer at all is judged by a threshold (by default {chosen:.4f}, that of the best F1 "
        "on the validation data), and the judgement is often wrong. The scores are at that threshold; since it was "
        "chosen on the same questions, they flatter the model a little. At the threshold 0 its F1 was "
        f"{metrics['untuned_f1']:.2f}."
    )


def fitted_sentences(metrics: Mapping[str, float]) -> tuple[str, ...]:
    """What was fitted on the validation data, and whether it was kept."""
    said = []
    if "chosen_null_threshold" in metrics:
        said.append(
            f"threshold for no answer: {metrics['chosen_null_threshold']:.4g}, better than 0 on held-out questions"
        )
    if "refused_null_threshold" in metrics:
        said.append(
            f"threshold for no answer: 0; the best here, {metrics['refused_null_threshold']:.4g}, is no better on "
            "held-out questions (each half tried with the other's)"
        )
    if "calibration_error_held_out" in metrics:
        errors = (
            f"calibration error {metrics['calibration_error_before']:.3f} without, "
            f"{metrics['calibration_error_held_out']:.3f} with it on held-out questions"
        )
        if "refused_temperature" in metrics:
            said.append(
                f"confidence: as it is; a temperature of {metrics['refused_temperature']:.2f} does not help: {errors}"
            )
        else:
            said.append(f"confidence: at a temperature of {metrics['confidence_temperature']:.2f}: {errors}")
    return tuple(said)
