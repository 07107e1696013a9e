"""Small models, batches and data that several tests build on; nothing needs transformers or a network."""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from torch import Tensor

from distiltune.data.feature_set import FeatureSet
from distiltune.data.packing import PackedBatch, cumulative_lengths
from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import Encoder, TaskModel, initialise
from distiltune.model.hf_keys import encoder_rules
from distiltune.model.save import ModelToWrite, write_model_directory
from distiltune.runs.fine_tune import fine_tune
from distiltune.tasks.question_answering.examples import Answer, Example
from distiltune.tasks.question_answering.head import SpanHead

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""Real data and models for tests that want them; a user has none, and those tests then skip, saying so."""

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TINY = EncoderConfig(
    vocab_size=100,
    hidden_size=16,
    n_layers=2,
    n_heads=2,
    intermediate_size=32,
    max_position_embeddings=64,
    dropout=0.0,
    attention_dropout=0.0,
)
"""A shape that takes milliseconds, without dropout."""


@contextlib.contextmanager
def pipe_of(content: bytes, seconds: float = 0.0) -> Iterator[str]:
    """A name such as a shell gives for ``<(command)``, whose command begins to write so much later."""
    if not Path("/dev/fd").is_dir():
        pytest.skip("this system has no names for pipes")
    reader, writer = os.pipe()

    def write() -> None:
        time.sleep(seconds)
        with os.fdopen(writer, "wb") as file:
            file.write(content)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield f"/dev/fd/{reader}"
    finally:
        os.close(reader)
        thread.join(10)


def feature_set(
    sequences: Sequence[Sequence[int]],
    labels: Sequence[Sequence[int]] | None = None,
    example_of: Sequence[int] | None = None,
) -> FeatureSet:
    """A set of these features; if not said, labels are 0 and 0 and each feature is an example of its own."""
    flat = [token for sequence in sequences for token in sequence]
    return FeatureSet(
        token_ids=np.array(flat, dtype=np.int32),
        offsets=cumulative_lengths([len(sequence) for sequence in sequences]),
        labels=np.array([[0, 0]] * len(sequences) if labels is None else labels, dtype=np.int32),
        example_of=np.array(range(len(sequences)) if example_of is None else example_of, dtype=np.int64),
    )


def batch_of(sequences: Sequence[Sequence[int]], labels: Sequence[Sequence[int]] | None = None) -> PackedBatch:
    """One batch of all these features, in order."""
    return feature_set(sequences, labels).batch(np.arange(len(sequences)))


def random_features(n: int, seed: int = 0, shortest: int = 4, longest: int = 12) -> FeatureSet:
    """Features of random tokens and lengths with random labels, for a model of the shape `TINY`."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, n)
    sequences = [rng.integers(5, TINY.vocab_size, length).tolist() for length in lengths]
    return feature_set(sequences, [rng.integers(0, length, 2).tolist() for length in lengths])


def tiny_qa_model(config: EncoderConfig = TINY, *, seed: int = 0, head_dropout: float = 0.0) -> TaskModel:
    """A random model with a span head; weights are large enough to tell tokens apart."""
    torch.manual_seed(seed)
    model = TaskModel(Encoder(config), SpanHead(config.hidden_size, head_dropout))
    initialise(model, 0.3)
    return model


def weights_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of a model's tensors."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def word_pieces(words: Sequence[str]) -> Tokenizer:
    """An uncased BERT tokenizer that knows these pieces, which begin with ``##`` inside a word."""
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys((*SPECIAL_TOKENS, *words)))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def example(context: str, answer: str = "", question: str = "who", name: str = "q") -> Example:
    """A question whose answer is the first place where ``answer`` occurs; unanswerable without one."""
    answers = (Answer(answer, context.index(answer)),) if answer else ()
    return Example(id=name, question=question, context=context, answers=answers)


def write_squad(path: Path, examples: Sequence[Example]) -> Path:
    """The examples as a SQuAD file, one paragraph for each context."""
    contexts = dict.fromkeys(each.context for each in examples)
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": each.id,
                    "question": each.question,
                    "is_impossible": not each.answers,
                    "answers": [{"text": answer.text, "answer_start": answer.start} for answer in each.answers],
                }
                for each in examples
                if each.context == context
            ],
        }
        for context in contexts
    ]
    document = {"version": "v2.0", "data": [{"title": "made up", "paragraphs": paragraphs}]}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


_PEOPLE = ("ada", "bob", "cem", "dee", "eli", "fay", "gus", "hal")
_THINGS = {
    "eats": ("plums", "bread", "rice", "soup", "figs", "nuts", "beans", "corn"),
    "drives": ("a van", "a bus", "a red car", "a tram", "a truck", "a cab", "a cart", "an old jeep"),
    "likes": ("chess", "golf", "jazz", "tea", "maps", "rain", "owls", "snow"),
    "fears": ("bats", "frogs", "bees", "ice", "fire", "loud bells", "dogs", "cold wind"),
}


@dataclass(frozen=True, slots=True)
class People:
    """32 questions on 8 short texts, and a tokenizer that knows their words."""

    examples: tuple[Example, ...]
    tokenizer: Tokenizer


def people() -> People:
    """Each text says four things of one person; each of its questions asks for one of them."""
    examples = []
    for i, person in enumerate(_PEOPLE):
        context = " ".join(f"{person} {verb} {things[i]} ." for verb, things in _THINGS.items())
        examples += [
            example(context, things[i], f"what {verb} {person}", f"{person}-{verb}") for verb, things in _THINGS.items()
        ]
    words = {word for each in examples for word in f"{each.context} {each.question}".split()}
    return People(tuple(examples), word_pieces(sorted(words)))


def write_tiny_model(directory: Path, tokenizer: Tokenizer, config: EncoderConfig, *, seed: int = 0) -> Path:
    """A model directory with random weights and no head, as one has before fine-tuning."""
    torch.manual_seed(seed)
    model = TaskModel(Encoder(config), SpanHead(config.hidden_size, 0.0))
    initialise(model, 0.1)
    kept = {rule.ours for rule in encoder_rules(config.n_layers)}
    tensors = {name: value for name, value in model.state_dict().items() if name in kept}
    write_model_directory(directory, ModelToWrite(config, tensors, tokenizer))
    return directory


def train_on_people(directory: Path) -> Path:
    """The model directory of a run that has learned the questions about `people` by heart."""
    known = people()
    data = write_squad(directory / "people.json", known.examples)
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size(), hidden_size=32, intermediate_size=64)
    base = write_tiny_model(directory / "base", known.tokenizer, config)
    run = fine_tune(
        base="classic",
        train=str(data),
        validation_share=0.0,
        model=str(base),
        output=directory / "run",
        epochs=60,
        learning_rate=5e-3,
        head_dropout=0.0,
        max_length=64,
        stride=8,
        threads=1,
    )
    return run.model


def read_log(path: Path) -> list[dict[str, object]]:
    """The objects of a ``log.jsonl``."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def packing_threads() -> int:
    """How many threads are packing ahead."""
    return sum(thread.name == "packing" for thread in threading.enumerate())


def spans_of(batch: PackedBatch) -> list[npt.NDArray[np.int64]]:
    """Each feature's tokens, cut out of a batch at its boundaries."""
    bounds = batch.cu_seqlens.tolist()
    tokens = batch.token_ids.numpy()
    return [tokens[first:last] for first, last in itertools.pairwise(bounds)]


def bytes_of_tensors() -> int:
    """Bytes of the storages that some tensor which Python knows of lies in."""
    gc.collect()
    # by their types: isinstance asks some modules' deprecated attributes what they are, which warn, and the tensors of
    # other kinds that an export leaves behind have no memory
    found = [each for each in gc.get_objects() if type(each) in (torch.Tensor, torch.nn.Parameter)]
    storages = [each.untyped_storage() for each in found if each.layout == torch.strided]
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())
