"""Examples → features: ``[CLS] text [SEP] question choice [SEP]`` for each choice; those of a question are a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tokenizers import Tokenizer

from distiltune.data.cache import Arrays
from distiltune.data.row_findings import RowFinding, RowFindings
from distiltune.data.tokens import SpecialTokens, distinct, tokenise
from distiltune.data.windows import SequencePart, lay_out
from distiltune.tasks.dataset import TaskData, cached_arrays, labelled
from distiltune.tasks.multiple_choice.examples import ChoiceExample, ChoiceSet
from distiltune.tasks.text_classification.features import longest_first

ChoiceData = TaskData[ChoiceExample]

_N_SPECIAL_TOKENS = 3  # [CLS] text [SEP] choice [SEP]


def featurise(read: ChoiceSet, tokenizer: Tokenizer, max_length: int, *, cached: bool = True) -> ChoiceData:
    """The examples with their features, labelled 1 where the choice is right; those of a question weigh 1 together.

    Args:
        read: the questions.
        tokenizer: the model's.
        max_length: most tokens in a feature; of a longer one the longer part is cut (told as a finding).
        cached: whether the features are kept on disk for the next time.

    """
    examples = read.examples
    texts = [part for each in examples for part in (each.first, *map(each.second, range(len(each.choices))), "\0")]
    arrays, notes = cached_arrays(
        "multiple-choice",
        texts,
        tokenizer,
        {"max_length": max_length},
        lambda: make_arrays(examples, tokenizer, max_length),
        cached=cached,
    )
    question_of = arrays["example_of"]
    n_choices = np.bincount(question_of, minlength=len(examples))
    right = np.array([number == each.gold for each in examples for number in range(len(each.choices))])
    features = labelled(arrays, right.astype(np.int32)[:, None], 1.0 / n_choices[question_of])
    findings = RowFindings(read.findings.n_rows, list(read.findings.items))
    for index in arrays["cut"].tolist():
        message = f"The text and a choice are longer than {max_length} tokens; what is beyond is cut off."
        findings.add(RowFinding("noted", "text_cut", examples[index].where, examples[index].id, message))
    grouped = replace(features, group_of=question_of)
    return TaskData(examples, grouped, findings, read.fingerprint, read.sources, notes)


def make_arrays(examples: Sequence[ChoiceExample], tokenizer: Tokenizer, max_length: int) -> Arrays:
    """The features' tokens, boundaries and questions, and which questions were cut."""
    special = SpecialTokens.of(tokenizer)
    question_of = np.repeat(np.arange(len(examples)), [len(each.choices) for each in examples])
    firsts, first_of = distinct([each.first for each in examples])
    first = tokenise(tokenizer, firsts)
    second = tokenise(tokenizer, [each.second(number) for each in examples for number in range(len(each.choices))])
    which = first_of[question_of]
    lengths, own_lengths = np.diff(first.offsets)[which], np.diff(second.offsets)
    kept, own_kept = longest_first(lengths, own_lengths, np.full(len(which), max_length - _N_SPECIAL_TOKENS))
    token_ids, offsets = lay_out(
        special,
        (
            SequencePart(first.ids, first.offsets[which], kept),
            SequencePart(second.ids, second.offsets[:-1], own_kept),
        ),
    )
    cut = np.unique(question_of[(kept < lengths) | (own_kept < own_lengths)])
    return {"token_ids": token_ids, "offsets": offsets, "example_of": question_of, "cut": cut}
