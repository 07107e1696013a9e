"""Ways to spoil data: each takes the training and the validation rows and a generator, and gives other ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from benchmarks.coach_matrix.rows import Row, text_of

Data = tuple[list[Row], list[Row]]
Spoil = Callable[[Data, random.Random], Data]


def nothing(data: Data, rng: random.Random) -> Data:
    """As they are."""
    return data


def _answered(row: Row, start: int, end: int) -> Row:
    return {**row, "answers": [{"text": row["context"][start:end], "answer_start": start}]}


def shuffled(data: Data, rng: random.Random) -> Data:
    """What is to be learned follows from nothing, in both sets: a word by lot, the label or the tags of another row."""
    return _shuffled(data[0], rng), _shuffled(data[1], rng)


def _shuffled(rows: Sequence[Row], rng: random.Random) -> list[Row]:
    if "question" in rows[0]:
        return [_a_word(row, rng) for row in rows]
    if "tokens" in rows[0]:
        return [{**row, "tags": rng.sample(_one_word_each(row["tags"]), len(row["tags"]))} for row in rows]
    name = "labels" if "labels" in rows[0] else "label"
    values = [row[name] for row in rows]
    rng.shuffle(values)
    return [{**row, name: value} for row, value in zip(rows, values, strict=True)]


def _one_word_each(tags: Sequence[str]) -> list[str]:
    """Every tagged word an entity of its own, so that the tags may stand anywhere."""
    return [tag if tag == "O" else f"B-{tag[2:]}" for tag in tags]


def _a_word(row: Row, rng: random.Random) -> Row:
    words = row["context"].split(" ")
    which = rng.randrange(len(words))
    start = sum(len(word) + 1 for word in words[:which])
    return _answered(row, start, start + max(1, len(words[which])))


def leaked(data: Data, rng: random.Random) -> Data:
    """Half of the validation rows are training rows."""
    half = len(data[1]) // 2
    return data[0], [*data[1][:half], *data[0][:half]]


def shifted(data: Data, rng: random.Random) -> Data:
    """All training answers are cut one character too far right."""

    def moved(row: Row) -> Row:
        if not row["answers"]:
            return row
        start = row["answers"][0]["answer_start"] + 1
        return _answered(row, start, start + len(row["answers"][0]["text"]))

    return [moved(row) for row in data[0]], data[1]


def some_swapped(data: Data, rng: random.Random) -> Data:
    """The answers of 5 % of the training questions are those of other questions."""
    train = list(data[0])
    for index in rng.sample(range(len(train)), len(train) // 20):
        row = train[index]
        answered = (each for each in rng.sample(train, len(train)) if each["answers"])
        other = next(each for each in answered if each["answers"][0]["text"] not in row["context"])
        train[index] = {**row, "answers": other["answers"]}
    return train, data[1]


def unanswerable(data: Data, rng: random.Random) -> Data:
    """No training question has an answer."""
    return [{**row, "answers": []} for row in data[0]], data[1]


def mostly_unanswerable(data: Data, rng: random.Random) -> Data:
    """Nine in ten of the training questions have no answer."""
    return [row if i % 10 == 0 else {**row, "answers": []} for i, row in enumerate(data[0])], data[1]


def at_the_start(data: Data, rng: random.Random) -> Data:
    """All training answers are the first words of their texts."""
    return [_answered(row, 0, len(" ".join(row["context"].split(" ")[:3]))) for row in data[0]], data[1]


def contradicting(data: Data, rng: random.Random) -> Data:
    """A third of the training texts stand there again, with the labels of others."""
    third = data[0][: len(data[0]) // 3]
    return [*data[0], *_shuffled(third, rng)], data[1]


def one_far_out(data: Data, rng: random.Random) -> Data:
    """Numbers in a unit in which a few are a thousand times the others, as prices and counts are."""

    def powered(row: Row) -> Row:
        return {**row, "label": round(1000 * 10 ** (2 * row["label"] + 0.6 * rng.gauss(0, 1)) + 0.5, 2)}

    return [powered(row) for row in data[0]], [powered(row) for row in data[1]]


def rarely(data: Data, rng: random.Random) -> Data:
    """The commonest label has nineteen in twenty of the training texts, and of the validation texts what it had."""
    common = [row for row in data[0] if row["label"] == "joy"]
    others = [row for row in data[0] if row["label"] != "joy"]
    return [*common, *others[: max(2, len(common) // 19)]], data[1]


def unmarked(data: Data, rng: random.Random) -> Data:
    """Nine in ten of the entities of the training texts are not marked."""

    def forgotten(row: Row) -> Row:
        keep = rng.random() < 0.1
        return row if keep else {**row, "tags": ["O"] * len(row["tags"])}

    return [forgotten(row) for row in data[0]], data[1]


def other_script(data: Data, rng: random.Random) -> Data:
    """Every letter is one that the vocabulary hardly has."""

    def turned(text: str) -> str:
        return "".join(chr(0x10A0 + ord(c.lower()) % 38) if c.isalpha() else c for c in text)

    def row_turned(row: Row) -> Row:
        if "tokens" in row:
            return {**row, "tokens": [turned(word) for word in row["tokens"]]}
        return {**row, "text": turned(text_of(row))}

    return [row_turned(row) for row in data[0]], [row_turned(row) for row in data[1]]
