"""Features of choices: exactly what the tokenizer makes of the pairs."""

from __future__ import annotations

import numpy as np
import pytest

from distiltune.data.packing import required
from distiltune.data.row_findings import RowFindings
from distiltune.tasks.multiple_choice.examples import ChoiceExample, ChoiceSet
from distiltune.tasks.multiple_choice.features import featurise
from tests.helpers import word_pieces

WORDS = ("where", "do", "fish", "live", "in", "water", "trees", "sand", "they", "swim")
ASKED = (
    ChoiceExample("a", "", "where do fish live", ("in water", "in trees", "in sand"), 0),
    ChoiceExample("b", "fish swim they swim they swim", "where", ("water", "in sand in sand"), None),
)


def test_they_are_the_tokenizers_pairs() -> None:
    tokenizer = word_pieces(WORDS)
    data = featurise(ChoiceSet(ASKED, RowFindings(), "", ()), tokenizer, 10, cached=False)
    tokenizer.enable_truncation(10, strategy="longest_first")
    pairs = [(each.first, each.second(i)) for each in ASKED for i in range(len(each.choices))]
    wanted = [tokenizer.encode(*pair).ids for pair in pairs]
    rows = np.split(data.features.token_ids, data.features.offsets[1:-1])
    assert [row.tolist() for row in rows] == wanted
    assert data.features.labels[:, 0].tolist() == [1, 0, 0, 0, 0]
    assert required(data.features.group_of, "groups").tolist() == [0, 0, 0, 1, 1]
    assert data.features.weight(np.arange(5)) == pytest.approx(2.0)
    assert [(each.kind, each.row_id) for each in data.findings.items] == [("text_cut", "b")]
