"""What people write by hand: FastAPI around a transformers model, one request at a time.

``python -m benchmarks.plain_server MODEL PORT``. The endpoint does what the question-answering pipeline did before it
was taken out of transformers: windows of the tokenizer, padded; the best product of start and end probability.
"""

from __future__ import annotations

import sys
import threading

import torch
import transformers
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

MAX_ANSWER_TOKENS = 30


class Asked(BaseModel):
    """A question and a text."""

    question: str
    context: str


def make_app(model_directory: str) -> FastAPI:
    """The application."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_directory)
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(model_directory, dtype=torch.float32).eval()
    turn = threading.Lock()
    app = FastAPI()

    @app.post("/answer")
    def answer(asked: Asked) -> dict[str, object]:
        with turn, torch.inference_mode():
            inputs = tokenizer(
                asked.question,
                asked.context,
                truncation="only_second",
                max_length=384,
                stride=128,
                padding="longest",
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
                return_tensors="pt",
            )
            output = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
            best = (-1.0, 0, 0)
            for window in range(len(inputs["input_ids"])):
                in_text = torch.tensor([part == 1 for part in inputs.sequence_ids(window)])
                starts = output.start_logits[window].masked_fill(~in_text, -1e9).softmax(-1)
                ends = output.end_logits[window].masked_fill(~in_text, -1e9).softmax(-1)
                scores = (starts[:, None] * ends[None, :]).triu().tril(MAX_ANSWER_TOKENS - 1)
                place = int(scores.argmax())
                first, last = divmod(place, len(starts))
                offsets = inputs["offset_mapping"][window]
                best = max(best, (float(scores.flatten()[place]), int(offsets[first][0]), int(offsets[last][1])))
        score, start, end = best
        return {"score": score, "start": start, "end": end, "answer": asked.context[start:end]}

    return app


if __name__ == "__main__":
    uvicorn.run(make_app(sys.argv[1]), port=int(sys.argv[2]), access_log=False, log_level="warning")
