"""Damaged and hostile inputs, drawn from valid ones: bytes, JSON values, tables. The same seed gives the same input."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable
from typing import Any

ODD_TEXTS = (
    *(
        "",
        " ",
        "\t\n",
        "\x00",
        "\x1b[31m",
        "\ud800",
        "a\udfffb",
        "\u200b",
        "\ufeff",
        "\u2028",
        "é",
        "e\u0301",
        "ﬁ",
        "ß",
        "İ",
    ),
    *(
        "👩‍👩‍👧",
        "한글",
        "中文",
        "ـــ",
        "NaN",
        "null",
        "-1",
        "1e400",
        "0x10",
        "[CLS]",
        "[SEP] [SEP]",
        "../x",
        "/etc/passwd",
        "a" * 300,
    ),
    *('"', "'", ",", ";", "\r", "\r\n", "\\", "{}", "[]", "##", "\x7f\x80", "\U0010ffff", "word " * 80),
)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 7, 10**6, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.5, -0.0, 1e308),
    *(
        float("nan"),
        float("inf"),
        -float("inf"),
        [],
        {},
        [[]],
        [None],
        {"text": "x"},
        {"text": ["a"], "answer_start": [0]},
    ),
    *({"text": [], "answer_start": [1]}, [{"text": "ada", "answer_start": 0}], [1, 2], ["ada"], {"Regex": "(a+)+$"}),
)
ODD_BYTES = (
    *(
        b"\x00",
        b"\xff",
        b"\xfe\xff",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\x1f\x8b",
        b"\r",
        b"\n",
        b"\r\n",
        b'"',
        b'""',
        b"\\u",
    ),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b";",
        b"\t",
        b"null",
        b"NaN",
        b"1e999",
        b"-1",
        b"\\ud800",
        b"\xed\xa0\x80",
        b"\xc3",
    ),
    *(
        b"[" * 2_000,
        b'{"a":' * 2_000,
        b"9" * 5_000,
        b"PAR1",
        b"\x89HDF",
        b"PK\x03\x04",
        b"\x80\x02c",
        b"\xff" * 8,
        b"\x7f" * 8,
    ),
)


def odd_value(draw: random.Random) -> Any:
    """A value that a file may hold where another was meant."""
    if draw.random() < 0.4:
        return draw.choice(ODD_TEXTS)
    if draw.random() < 0.05:
        value: Any = draw.choice(ODD_VALUES)
        for _ in range(draw.choice((3, 50, 300, 900, 2_000))):
            value = [value] if draw.random() < 0.5 else {"a": value}
        return value
    return draw.choice(ODD_VALUES)


def mutate_bytes(data: bytes, draw: random.Random) -> bytes:
    """A few changes of single bits, bytes and stretches."""
    out = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        place = draw.randrange(len(out) + 1)
        kind = draw.randrange(8)
        if kind == 0 and out:
            place = draw.randrange(len(out))
            out[place] ^= 1 << draw.randrange(8)
        elif kind == 1 and out:
            out[draw.randrange(len(out))] = draw.randrange(256)
        elif kind == 2:
            out[place:place] = draw.choice(ODD_BYTES)
        elif kind == 3:
            odd = draw.choice(ODD_BYTES)
            out[place : place + len(odd)] = odd
        elif kind == 4:
            del out[place : place + draw.choice((1, 2, 4, 16, 200))]
        elif kind == 5:
            del out[place:]
        elif kind == 6:
            stretch = out[place : place + draw.choice((1, 4, 30, 200))]
            out[place:place] = stretch * draw.choice((1, 2, 50))
        else:
            out[place:place] = draw.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
    return bytes(out)


def _copy(value: Any) -> Any:
    """A copy, or the value itself where it is nested too deep for one."""
    try:
        return copy.deepcopy(value)
    except RecursionError:
        return value


def mutate_value(value: Any, draw: random.Random) -> Any:
    """A JSON value with a few of its parts replaced, removed, repeated or renamed."""
    value = copy.deepcopy(value)
    for _ in range(draw.choice((1, 1, 2, 4))):
        places = list(_places(value))
        if not places:
            return odd_value(draw)
        parent, key = draw.choice(places)
        kind = draw.randrange(6)
        if kind <= 2:
            parent[key] = odd_value(draw)
        elif kind == 3:
            del parent[key]
        elif kind == 4 and isinstance(parent, list):
            parent.insert(draw.randrange(len(parent) + 1), _copy(parent[key]))
        elif isinstance(parent, dict):
            parent[draw.choice(ODD_TEXTS)] = parent[key]
        else:
            parent.append(odd_value(draw))
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        keys = range(len(item)) if isinstance(item, list) else list(item) if isinstance(item, dict) else ()
        for key in keys:
            found.append((item, key))
            waiting.append(item[key])
        if len(found) > 5_000:
            break
    return found


def dumps(value: Any, draw: random.Random) -> bytes:
    """JSON text in one of the ways that files have it: spaced, escaped, in UTF-16, with a byte order mark."""
    try:
        text = json.dumps(value, ensure_ascii=draw.random() < 0.5, indent=draw.choice((None, None, 1)))
    except (RecursionError, ValueError):
        return b"[" * draw.randrange(5_000)
    encoding = draw.choice(
        ("utf-8", "utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "utf-16-le")
    )
    return text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


def mutate_json(data: bytes, draw: random.Random) -> bytes:
    """A JSON document changed by value, by byte, or both."""
    if draw.random() < 0.3:
        return mutate_bytes(data, draw)
    changed = dumps(mutate_value(json.loads(data), draw), draw)
    return mutate_bytes(changed, draw) if draw.random() < 0.1 else changed


def mutate_lines(data: bytes, draw: random.Random) -> bytes:
    """JSON lines: one line changed by value, or bytes."""
    if draw.random() < 0.4:
        return mutate_bytes(data, draw)
    lines = data.splitlines()
    number = draw.randrange(len(lines))
    try:
        lines[number] = json.dumps(mutate_value(json.loads(lines[number]), draw)).encode("utf-8", "surrogatepass")
    except (RecursionError, ValueError):
        lines[number] = b"[" * 3_000
    return draw.choice((b"\n", b"\n", b"\r\n", b"\r", b"\n\n")).join(lines)


def mutate_gzip(inner: Callable[[bytes, random.Random], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """The gzipped form: of changed contents, changed itself, several members, or one that unpacks to very much."""

    def mutate(packed: bytes, draw: random.Random) -> bytes:
        kind = draw.random()
        data = gzip.decompress(packed)
        if kind < 0.5:
            return gzip.compress(inner(data, draw), 1, mtime=0)
        if kind < 0.6:
            return gzip.compress(data[:20], 1, mtime=0) + gzip.compress(data[20:], 1, mtime=0)
        if kind < 0.605:
            return gzip.compress(draw.choice((b" ", b"[", b"0", b'{"a":')) * 2_000_000, 9, mtime=0)
        return mutate_bytes(packed, draw)

    return mutate


def mutate_safetensors(data: bytes, draw: random.Random) -> bytes:
    """The header changed by value, its length, or bytes anywhere."""
    if draw.random() < 0.4:
        return mutate_bytes(data, draw)
    length = int.from_bytes(data[:8], "little")
    header = mutate_value(json.loads(data[8 : 8 + length]), draw)
    try:
        text = json.dumps(header).encode("utf-8", "surrogatepass")
    except (RecursionError, ValueError):
        text = b"{"
    said = draw.choice((len(text), len(text), len(text), len(text) + 1, 0, 2**63, 2**64 - 1, 10**8))
    return said.to_bytes(8, "little") + text + data[8 + length :]


def random_table(data: bytes, draw: random.Random) -> bytes:
    """A Parquet file: one of many types in each column, or the valid one with changed bytes."""
    if draw.random() < 0.6:
        return mutate_bytes(data, draw)
    if draw.random() < 0.05:
        return _large_table(draw)
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = (
        *(pa.string(), pa.large_string(), pa.binary(), pa.int8(), pa.uint64(), pa.float32(), pa.bool_(), pa.date32()),
        *(pa.timestamp("ns"), pa.timestamp("s", tz="UTC"), pa.list_(pa.string()), pa.null(), pa.decimal128(20, 3)),
        *(pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))]), pa.duration("us")),
    )
    values: tuple[Any, ...] = (None, "ada eats plums", "ada", b"\xff", 0, 3, -1, 1.5, True, [], ["ada"], 2**40)
    columns = {}
    for name in draw.sample(("question", "context", "answer_text", "answer_start", "answers", "id", "title", ""), 5):
        for _ in range(8):
            kind = draw.choice(types)
            try:
                columns[name] = pa.array([draw.choice(values) for _ in range(3)], type=kind)
                break
            except (pa.ArrowException, TypeError, ValueError, OverflowError):
                columns[name] = pa.array(
                    [draw.choice(("ada eats plums .", "what eats ada", "", None)) for _ in range(3)]
                )
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(pa.table(columns), sink, compression=draw.choice(("none", "snappy", "gzip", "zstd")))
    except (pa.ArrowException, ValueError):
        return data
    return bytes(sink.getvalue())


def _large_table(draw: random.Random) -> bytes:
    """A Parquet file of few bytes that holds very much: one text in every row, nulls, lists of either."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n_rows = draw.choice((10, 1_000, 100_000, 3_000_000))
    text = draw.choice(("a", "é ", "ada eats plums. ")) * draw.choice((1, 1_000, 100_000))
    values = pa.DictionaryArray.from_arrays(pa.array([0]).take(pa.array([0] * n_rows)), pa.array([text]))
    values = draw.choice((values, pa.nulls(n_rows, pa.string())))
    if draw.random() < 0.3:
        values = pa.ListArray.from_arrays(pa.array([*range(0, n_rows, max(1, n_rows // 7)), n_rows]), values)
    table = pa.table(dict.fromkeys(("context", "question", "answer_text", "id"), values))
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression=draw.choice(("none", "zstd", "gzip")),
        use_dictionary=draw.random() < 0.8 or n_rows * len(text) > 10**7,
        data_page_version=draw.choice(("1.0", "2.0")),
    )
    return bytes(sink.getvalue())


_PARTS = (
    *("BertNormalizer", "Replace", "Prepend", "Precompiled", "Strip", "NFKD", "Sequence", "BertPreTokenizer", "Split"),
    *("FixedLength", "Metaspace", "ByteLevel", "Punctuation", "WordPiece", "Unigram", "BPE", "WordLevel", "CTC"),
)
_NUMBERS = (0, 1, -1, 100, 2**16, 2**40, 2**64, None, True, 1.5)


def mutate_tokenizer(data: bytes, draw: random.Random) -> bytes:
    """A ``tokenizer.json`` changed as any JSON is, or one of other parts."""
    if draw.random() < 0.5:
        return mutate_json(data, draw)
    parts = json.loads(data)
    place = draw.choice(("normalizer", "pre_tokenizer", "decoder", "post_processor", "model"))
    if place == "model":
        name = draw.choice(("type", "max_input_chars_per_word", "unk_token", "continuing_subword_prefix"))
        parts["model"][name] = draw.choice((*_PARTS, *_NUMBERS, "a" * 100_000))
    else:
        made = [_part(draw) for _ in range(draw.choice((1, 1, 2, 40)))]
        listed = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers"}.get(place, f"{place}s")
        parts[place] = made[0] if len(made) == 1 else {"type": "Sequence", listed: made}
    return json.dumps(parts).encode()


def _part(draw: random.Random) -> dict[str, Any]:
    text = draw.choice(("", "a", "##", "a" * 10_000))
    return {
        "type": draw.choice(_PARTS),
        "pattern": draw.choice(({"String": text}, {"Regex": "(a+)+$"}, text)),
        "content": draw.choice(("", "a", "a" * 10_000)),
        "prepend": text,
        "prefix": text,
        "length": draw.choice(_NUMBERS),
        "lowercase": True,
        "clean_text": True,
        "handle_chinese_chars": draw.random() < 0.5,
        "strip_accents": draw.choice((None, True, "x")),
        "behavior": "Isolated",
        "invert": False,
        "cleanup": True,
        "strip_left": True,
        "strip_right": True,
        "normalizers": draw.choice(([], [[]], [{"type": "NFKD"}] * 50)),
        "pretokenizers": [],
        "decoders": [],
    }


_NAMES_OF_A_RUN = (
    *("recipe.toml", "log.jsonl", "checkpoints", "model", "report.html", "answers.jsonl", "rejected.jsonl", ".lock"),
    *(".recipe.toml.new", ".model.new", "curves.svg", "predictions.json", "notes.txt", ".profile", "..x", "a b"),
)


def random_links(data: bytes, draw: random.Random) -> bytes:
    """What lies in a run directory: name, kind, and what a link leads to, as JSON."""
    kinds = ("file", "folder", "link", "link", "link-inside", "loop", "nowhere")
    entries = [
        [name, draw.choice(kinds), draw.choice(("mine", "folder", ".ssh", "."))]
        for name in draw.sample(_NAMES_OF_A_RUN, draw.choice((1, 2, 5)))
    ]
    return json.dumps({"entries": entries, "run": draw.random() < 0.7, "overwrite": draw.random() < 0.8}).encode()
