"""Rows → examples: words with tags, or a text with spans marked in it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from distiltune.data.column_files import SUFFIXES, column_file
from distiltune.data.column_names import mapped_columns
from distiltune.data.file_form import AS_USUAL, FileForm
from distiltune.data.files import format_suffix, table_class_names
from distiltune.data.hub import Split
from distiltune.data.kept_reading import Keeping
from distiltune.data.literals import listed
from distiltune.data.plain_rows import ACCEPTED, ANSWER, ANSWERS, DIFFERING, PARTIAL
from distiltune.data.reading import Reading, ToRead, Use, need_gold, read_sources
from distiltune.data.row_findings import RowFinding
from distiltune.data.rows import BadRow, Row, told_in_full
from distiltune.data.stored import Growing
from distiltune.data.streams import reading as reading_file
from distiltune.data.tag_schemes import Scheme, read_scheme, spellings
from distiltune.data.values import (
    MAX_TEXT_CHARACTERS,
    Problem,
    generated_id,
    gold_ignored,
    id_problem,
    id_text,
    is_encodable,
    rejected,
    sample_weight,
    shown,
    text_problem,
    weights_told,
)
from distiltune.data.words import markable_spans
from distiltune.errors import DataError
from distiltune.progress import counted
from distiltune.tasks.token_classification.columns import TokenColumns
from distiltune.tasks.token_classification.drafts import Draft, DraftFile
from distiltune.tasks.token_classification.examples import TOKEN_FORM, Entity, TokenExample, TokenSet
from distiltune.tasks.token_classification.list_columns import settled
from distiltune.tasks.token_classification.sentence_cells import TOLD as TOLD_OF_SENTENCES
from distiltune.tasks.token_classification.sentence_cells import tags_in, words_in
from distiltune.tasks.token_classification.settings import Overlapping
from distiltune.tasks.token_classification.spans import Notes, mark_text
from distiltune.tasks.token_classification.tags import entities_of, iob2
from distiltune.tasks.token_classification.word_rows import as_sentences

_GOLD = ("tags", "ner_tags", "spans", "tag")
"""Fields whose columns a prediction does not need."""
_TO_TRAIN = ("sample_weight",)
"""Those that only a training needs."""

_ROWS_LOOKED_AT = 100
_LISTS_IN_CELLS = "Lists written into cells as text are read as lists."
_SPANS_OF_TOKENS = (
    "The spans are beside tokens and no text: whether their ends are the last token or one past it is not said; "
    "give a tag for each token."
)
_NUMBER = re.compile("[0-9]{1,6}")
_NO_TAG = (-100, "-100")
"""What stands in the place of a tag where a model's loss is to pass it over."""
_SPECIAL = frozenset({"[CLS]", "[SEP]", "[PAD]", "<s>", "</s>", "<pad>"})
"""Tokens that a tokenizer puts around a text, which are no words."""
_SPECIAL_TOLD = "Tokens that a model's tokenizer adds, as [CLS], whose tag is -100, are left out."
_EMPTY_MARKS = ("label", "labels", "entities", "annotations")
"""The columns of other tools that say by an empty list or object that nothing is marked."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the data leaves open.

    Attributes:
        tag_names: the names of tags that are numbers, from 0.
        overlapping: which counts of spans that overlap.

    """

    tag_names: tuple[str, ...] = ()
    overlapping: Overlapping = "outermost"


def read_marked(
    sources: Sequence[str | Path],
    split: Split,
    columns: TokenColumns,
    max_rejected_share: float,
    use: Use = "training",
    choices: Choices = Choices(),
    form: FileForm = AS_USUAL,
) -> TokenSet:
    """Read the texts of one split from all sources, in order, as `read_sources` does.

    Where no row of a file is marked at all, every example's ``gold`` is None; where some are, others are rejected. For
    a prediction the ``gold`` of each row without marks that can be used is None, and any number of rows may be
    rejected. What the tags of a file mean is decided from all of them.

    Raises:
        DataError: if a source cannot be read, more rows than allowed are unusable, or none has gold to evaluate with;
            if two columns of a file may be meant.
        HubError: if a data set on the hub cannot be fetched.

    """
    unneeded = (*(_GOLD if use == "prediction" else ()), *(_TO_TRAIN if use != "training" else ()))
    mapped = mapped_columns(columns, without=unneeded)
    reading = Reading[TokenExample](form=form, mapped=mapped, grown=Growing(TOKEN_FORM))
    reading.used.update(columns.all if use == "training" else ())
    read = read_sources(
        ToRead(
            sources,
            split,
            f"data/token_classification/{split}.jsonl",
            {"tokens": columns.tokens},
            max_rejected_share if use != "prediction" else 1.0,
        ),
        reading,
        lambda path: _read_file(path, columns, reading, use, choices),
        Keeping({"split": split, "use": use, **_as_values(columns, choices, form)}, form=TOKEN_FORM),
    )
    if use != "evaluation":
        return read
    return need_gold(read, lambda example: example.gold is not None, " or ".join(map(repr, columns.marks)))


def _as_values(columns: TokenColumns, choices: Choices, form: FileForm) -> dict[str, object]:
    """What reading depends on, for the cache."""
    return {"columns": asdict(columns), "choices": asdict(choices), "form": asdict(form)}


def _read_file(path: Path, columns: TokenColumns, reading: Reading[TokenExample], use: Use, choices: Choices) -> None:
    if format_suffix(path) in SUFFIXES:
        _settle_columns(path, columns, reading, use)
    file = DraftFile()
    rows = reading.rows(path)
    before = list(itertools.islice(rows, _ROWS_LOOKED_AT))
    if format_suffix(path) not in SUFFIXES:
        columns = _settle_lists(path, before, columns, reading)
    names = {column: table_class_names(path, column) for column in (columns.tags, columns.ner_tags)}
    rows = itertools.chain(before, rows)
    for row in as_sentences(rows, path, columns, reading.used.update if reading.used else None):
        reading.findings.count_row()
        if isinstance(row, BadRow):
            reading.findings.add(rejected("row_unreadable", row.where, None, f"The row {row.reason}"))
            continue
        reading.columns_seen = reading.columns_seen or tuple(map(str, row.value))
        file.told.update({row.decision: None} if row.told else {})
        if reading.used:
            reading.used.update({ANSWER} if row.value.get(ANSWER) == ACCEPTED else ())
            reading.used.update(name for name in _EMPTY_MARKS if _is_empty(row.value.get(name)))
        draft = _draft_of(row, columns, names, reading, use, choices)
        if isinstance(draft, RowFinding):
            reading.findings.add(draft)
        else:
            file.add(draft)
    for sentence in told_in_full(file.told):
        _decide(reading, path, "form_read", sentence)
    if file.is_weighed:
        _decide(reading, path, *weights_told(columns.sample_weight))
    if format_suffix(path) in SUFFIXES:
        reading.flat.pop(path, None)  # what is read of its columns the layout has told
        if file.joined:
            reading.findings.add(RowFinding("noted", "sentences_not_parted", str(path), "", file.joined))
    _add_examples(path, file, reading, use)


def _settle_columns(path: Path, columns: TokenColumns, reading: Reading[TokenExample], use: Use) -> None:
    """Say which columns of a file in columns are read; raise `DataError` where two fit and none was named."""
    with reading_file(path, reading.form.encoding):
        found = column_file(path, reading.form.encoding)
    layout = found.layout
    named = (columns.tokens != TokenColumns().tokens, columns.tags != TokenColumns().tags)
    lacks_words = not layout.tokens and not named[0]
    lacks_tags = bool(layout.problem) and not layout.tags and not named[1] and use != "prediction"
    if lacks_words or lacks_tags:
        raise DataError(layout.problem, where=str(path), fix=layout.fix)
    if layout.told and not all(named):
        _decide(reading, path, "columns_read", layout.told)
    for kind, message in found.notes:
        _decide(reading, path, kind, message)


def _settle_lists(
    path: Path, rows: Sequence[Row | BadRow], columns: TokenColumns, reading: Reading[TokenExample]
) -> TokenColumns:
    """The columns of rows that have lists, which are told where they are not those by default."""
    names = {column: table_class_names(path, column) for column in (columns.tags, columns.ner_tags)}
    found, told = settled([row.value for row in rows if isinstance(row, Row)], columns, path, names)
    if told:
        _decide(reading, path, "columns_read", told)
        reading.used.update({found.tokens, found.tags} if reading.used else ())
    return found


def _decide(reading: Reading[TokenExample], path: Path, kind: str, message: str) -> None:
    reading.findings.add(RowFinding("decided", kind, str(path), "", message))


def _add_examples(path: Path, file: DraftFile, reading: Reading[TokenExample], use: Use) -> None:
    """Add the examples of a file, whose tags are understood together."""
    scheme = read_scheme(file.tags)
    if scheme.told:
        _decide(reading, path, "tags_read", scheme.told)
    takes_bare = file.is_marked and use != "prediction"
    if takes_bare and file.n_bare:
        rows = counted(file.n_bare, "row")
        message = f"In {rows} without spans, accepted or submitted by somebody, nothing is marked."
        _decide(reading, path, "accepted_unmarked", message)
    labels: set[str] = set()
    drafts = file.rows.done()
    for draft in drafts:
        gold = () if takes_bare and draft.is_bare else _understood(draft, scheme)
        if isinstance(gold, Problem) and use == "prediction":
            reading.findings.add(gold_ignored(gold.kind, draft.where, draft.row_id, gold.message))
            gold = None
        elif takes_bare and gold is None:
            gold = Problem("tags_missing", "There are no tags or spans.")
        if isinstance(gold, Problem):
            reading.findings.add(rejected(gold.kind, draft.where, draft.row_id, gold.message))
            continue
        wanted = id_text(draft.row_id) or generated_id(draft.text)
        example_id = reading.unique_id(draft.row_id, wanted, draft.where)
        weight = 1.0 if draft.weight is None else draft.weight
        reading.add(TokenExample(example_id, draft.text, draft.words, gold, draft.where, weight))
        labels |= {entity.label for entity in gold or ()}
        for outcome, kind, message in draft.notes:
            if outcome != "decided":
                reading.findings.add(RowFinding(outcome, kind, draft.where, example_id, message))
    for group in spellings(labels):
        listed = ", ".join(map(repr, group))
        message = f"The labels {listed} differ in case or unseen signs alone and are kept apart."
        _decide(reading, path, "labels_spelt_alike", message)
    if len(drafts) and not file.is_marked:
        message = "No row has tags or spans: there is nothing to compare with."
        reading.findings.add(RowFinding("noted", "nothing_marked", str(path), "", message))


def _understood(draft: Draft, scheme: Scheme) -> tuple[Entity, ...] | Problem | None:
    """The entities of a row; None if it has neither tags nor spans."""
    if draft.tags is None:
        return draft.gold
    unknown = next((tag for tag in draft.tags if tag not in scheme.meaning), None)
    if unknown is not None:
        word = draft.text[slice(*draft.words[draft.tags.index(unknown)])]
        message = f"The tag {shown(unknown)} of {shown(word)} can mean more than one thing or nothing: {scheme.fix}."
        return Problem("tag_of_no_scheme", message)
    return tuple(entities_of([scheme.meaning[tag] for tag in draft.tags]))


def _draft_of(
    row: Row,
    columns: TokenColumns,
    names: Mapping[str, Sequence[str]],
    reading: Reading[TokenExample],
    use: Use,
    choices: Choices,
) -> Draft | RowFinding:
    row_id = row.value.get(columns.id)
    unmarked = {name: cell for name, cell in row.value.items() if name not in columns.marks}
    answer = row.value.get(ANSWER)
    is_unwanted = isinstance(answer, str) and answer in ANSWERS and not id_problem(row_id)
    if is_unwanted and use != "prediction":
        return RowFinding("left_out", f"answer_{answer}", row.where, id_text(row_id), ANSWERS[str(answer)])
    made = id_problem(row_id) or _marked(unmarked if is_unwanted else row.value, columns, names, choices)
    if isinstance(made, Problem) and use == "prediction":
        without = id_problem(row_id) or _marked(unmarked, columns, names, choices)
        if not isinstance(without, Problem):
            reading.findings.add(gold_ignored(made.kind, row.where, row_id, made.message))
            made = without
    weight = sample_weight(row.value, columns.sample_weight) if use == "training" else None
    if isinstance(weight, Problem) and not isinstance(made, Problem):
        made = weight
    if isinstance(made, Problem):
        return rejected(made.kind, row.where, row_id, made.message)
    assert not isinstance(weight, Problem)
    return replace(made, row_id=row_id, where=row.where, weight=weight, is_accepted=answer == ACCEPTED)


def _marked(
    value: Mapping[str, object], columns: TokenColumns, names: Mapping[str, Sequence[str]], choices: Choices
) -> Draft | Problem:
    """The text of a row with its words and, if there are some, tags or entities."""
    tokens, spans = value.get(columns.tokens), value.get(columns.spans)
    column = columns.tags if value.get(columns.tags) is not None else columns.ner_tags
    tags = value.get(column)
    if tokens is None and spans is None and tags is not None:
        tokens = value.get(columns.text)  # a sentence in a cell
    if tokens is None:
        if spans is None and any(_is_empty(value.get(name)) for name in _EMPTY_MARKS):
            spans = []
        return _of_text(value.get(columns.text), spans, choices.overlapping)
    if tags is None and spans is not None:
        if isinstance(value.get(columns.text), str):
            return _of_text(value[columns.text], spans, choices.overlapping)
        if spans != []:
            return Problem("spans_of_tokens", _SPANS_OF_TOKENS)
    words, tags = listed(tokens), listed(tags)
    told = _LISTS_IN_CELLS if isinstance(tokens, str) else ""
    if isinstance(words, str) and words.strip():
        words, told = words_in(words), TOLD_OF_SENTENCES
    if isinstance(tags, str) and isinstance(words, list):
        tags, told = tags_in(tags, len(words)), TOLD_OF_SENTENCES
    return _of_tokens(words, tags, names[column] or choices.tag_names, told)


def _is_empty(cell: object) -> bool:
    """Whether it is an empty list or object, also where that is written into a cell."""
    return cell in ([], {}) or (isinstance(cell, str) and cell.strip() in ("[]", "{}"))


def _of_tokens(tokens: object, tags: object, names: Sequence[str], told: str) -> Draft | Problem:
    """Words and, if there are tags, these; ``told`` is how they were got, if that is to be said."""
    if not isinstance(tokens, list) or not tokens:
        return Problem("tokens_not_a_list", f"The tokens are {shown(tokens)}, not a list of words.")
    if problem := _problem_of_words(tokens):
        return problem
    if isinstance(tags, list) and len(tags) == len(tokens) and any(tag in _NO_TAG for tag in tags):
        if problem := _problem_without_tag(tokens, tags):
            return problem
        kept = [place for place, tag in enumerate(tags) if tag not in _NO_TAG]
        tokens, tags, told = [tokens[place] for place in kept], [tags[place] for place in kept], _SPECIAL_TOLD
    ends = list(itertools.accumulate(map(len, tokens), lambda end, length: end + 1 + length))
    words = tuple((end - len(token), end) for token, end in zip(tokens, ends, strict=True))
    notes: Notes = (("decided", "form_read", told),) if told else ()
    draft = Draft(None, "", " ".join(tokens), words, notes=notes)
    if tags is None:
        return draft
    if not isinstance(tags, list) or len(tags) != len(tokens):
        n = len(tags) if isinstance(tags, list) else "no list of"
        parted = " (the sentence is parted at blanks)" if told == TOLD_OF_SENTENCES else ""
        return Problem("tags_do_not_match", f"There are {len(tokens)} tokens and {n} tags{parted}.")
    if all(type(tag) is str for tag in tags):  # as in all large files: each different tag once
        of = {tag: _tag(tag, names) for tag in set(tags)}
        written = [of[tag] for tag in tags]
    else:
        written = [_tag(tag, names) for tag in tags]
    problem = next((tag for tag in written if isinstance(tag, Problem)), None)
    return problem or replace(draft, tags=tuple(map(str, written)))


def _problem_without_tag(tokens: Sequence[str], tags: Sequence[object]) -> Problem | None:
    """What is wrong with tokens of which some have the number that says that they have no tag."""
    if all(tag in _NO_TAG for tag in tags):
        return Problem("tags_missing", "All tags are -100, which stands for no tag.")
    word = next(
        (token for token, tag in zip(tokens, tags, strict=True) if tag in _NO_TAG and token not in _SPECIAL), ""
    )
    if not word:
        return None
    said = (
        f"The tag of {shown(word)} is -100, which stands for no tag, as pieces of words have it in what a model reads"
    )
    return Problem("tag_of_no_word", f"{said}: give whole words, and a tag for each.")


def _problem_of_words(tokens: list[object]) -> Problem | None:
    """What is wrong with the first word that has something; all are looked at together, which mostly settles it."""
    if all(type(token) is str and token and not token.isspace() for token in tokens):
        text = " ".join(map(str, tokens))
        if len(text) <= MAX_TEXT_CHARACTERS and is_encodable(text):
            return None
    return next(filter(None, (text_problem(token, "token") for token in tokens)), None)


def _tag(tag: object, names: Sequence[str]) -> str | Problem:
    """A tag as text; a number's name where there are names, else the number, which means nothing by itself."""
    number = tag if type(tag) is int else int(tag) if isinstance(tag, str) and _NUMBER.fullmatch(tag) else None
    if number is not None and names:
        if 0 <= number < len(names):
            return names[number]
        return Problem("tag_without_name", f"The tag is {number}, and names are given of 0 to {len(names) - 1}.")
    if type(tag) is int:
        return str(tag)
    if not isinstance(tag, str) or not tag.strip():
        return Problem("tag_not_text", f"The tag is {shown(tag)}, not text.")
    return text_problem(tag, "tag") or tag.strip()


def _of_text(text: object, spans: object, overlapping: Overlapping) -> Draft | Problem:
    """A text cut into words and, if there are spans, entities."""
    problem = text_problem(text, "text")
    if problem is not None:
        return problem
    assert isinstance(text, str)  # text_problem has looked
    if spans is None:
        return Draft(None, "", text, markable_spans(text))
    if spans == DIFFERING:
        return Problem("annotations_differ", "Several annotators marked the text, and differently; keep one of them.")
    if spans == PARTIAL:
        said = "Only one suggestion was judged in the text (Prodigy's ner.teach); all else in it nobody has marked"
        return Problem("marks_partial", f"{said}: make it whole with `prodigy ner.silver-to-gold`.")
    spans = listed(spans)
    if not isinstance(spans, list):
        return Problem("spans_not_a_list", f"The spans are {shown(spans)}, not a list.")
    marked = mark_text(text, spans, overlapping)
    if isinstance(marked, Problem):
        return marked
    return Draft(None, "", text, marked.words, gold=marked.entities, notes=marked.notes)


def gold_tags(example: TokenExample) -> list[str]:
    """The gold tags of an example's words, as IOB2."""
    return iob2(len(example.words), example.gold or ())
