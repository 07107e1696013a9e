"""A folder and its index: what is read anew and what is not, whatever lies in the folder or became of the index."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distiltune.errors import DataError, RecipeError
from distiltune.tasks import document_files
from distiltune.tasks.question_answering.documents import Document
from distiltune.tasks.question_answering.search import refresh as refreshing
from distiltune.tasks.question_answering.search.folder import Folder
from distiltune.tasks.question_answering.search.ranking import fused
from tests.helpers import TINY, people, write_tiny_model

LONG_AGO = time.time() - 86_400
TEXTS = {"a.txt": "ada eats figs .", "b.md": "bob drives a bus .", "below/c.txt": "cem likes jazz ."}


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    for name, text in TEXTS.items():
        write(folder / name, text)
    return folder


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose texts were read."""
    seen: list[str] = []

    def watched(names: list[str], encoding: str = "") -> list[document_files.ReadDocument]:
        seen.extend(Path(name).name for name in names)
        return document_files.read_documents(names, encoding)

    monkeypatch.setattr(refreshing, "read_documents", watched)
    return seen


def test_a_notebook_whose_thread_has_a_loop_reads_documents(docs: Path, index: Path) -> None:
    async def cell() -> int:
        return Folder(docs, search="words", index=index).refresh().n_kept

    assert asyncio.run(cell()) == len(TEXTS)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    config = replace(TINY, vocab_size=people().tokenizer.get_vocab_size())
    folder = tmp_path_factory.mktemp("model")
    return (
        write_tiny_model(folder / "one", people().tokenizer, config),
        write_tiny_model(folder / "two", people().tokenizer, config, seed=1),
    )


def write(path: Path, text: str, at: float = LONG_AGO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (at, at))


def found(folder: Folder, question: str) -> list[str]:
    return [Path(folder.document_of(number)).name for number in folder.ranked([question], 5)[0]]


def noted(folder: Folder) -> str:
    return "\n".join(folder.notes)


def test_only_what_changed_is_read_again(docs: Path, index: Path, read: list[str]) -> None:
    folder = Folder(docs, index=index, search="words")
    assert sorted(read) == ["a.txt", "b.md", "c.txt"]
    assert folder.notes == ("index: 3 documents new, 0 changed, 0 gone, 0 as before",)
    read.clear()
    write(docs / "b.md", "bob fears frogs .", LONG_AGO + 5)
    write(docs / "d.txt", "dee likes chess .")
    (docs / "below" / "c.txt").unlink()
    os.utime(docs / "a.txt", (LONG_AGO + 9, LONG_AGO + 9))  # touched, and the same
    again = Folder(docs, index=index, search="words")
    assert sorted(read) == ["b.md", "d.txt"]
    assert again.notes == ("index: 1 document new, 1 changed, 1 gone, 1 as before",)
    assert found(again, "who fears frogs") == ["b.md"]
    assert found(again, "a bus or jazz") == []
    assert found(again, "who eats figs") == ["a.txt"]
    read.clear()
    assert again.refresh().in_words == ""
    assert read == []


def test_a_change_of_the_same_size_in_the_same_moment_is_seen(docs: Path, index: Path, read: list[str]) -> None:
    now = time.time()
    write(docs / "a.txt", "ada eats figs .", now)
    folder = Folder(docs, index=index)
    read.clear()
    write(docs / "a.txt", "ada eats nuts .", now)
    assert folder.refresh().n_changed == 1
    assert read == ["a.txt"]


def test_a_damaged_index_is_made_anew_and_it_is_said(docs: Path, index: Path) -> None:
    Folder(docs, index=index).close()
    whole = index.read_bytes()
    index.write_bytes(whole[: len(whole) // 2 // 4096 * 4096])
    folder = Folder(docs, index=index, search="words")
    assert "is damaged" in noted(folder)
    assert "3 documents new" in noted(folder)
    assert found(folder, "figs") == ["a.txt"]
    assert Folder(docs, index=index).notes == ()


def test_a_text_that_was_changed_in_the_index_is_not_answered_from(docs: Path, index: Path) -> None:
    Folder(docs, index=index).close()
    other = sqlite3.connect(index)
    other.execute("UPDATE passages SET text = replace(text, 'figs', 'nuts')")
    other.commit()
    other.close()
    folder = Folder(docs, index=index, search="words")
    chosen = folder.choose(["who eats figs"], 1)
    assert chosen.parts[0][0].text == TEXTS["a.txt"]
    assert "is not what was written" in noted(folder)


def test_an_index_with_a_stranger_s_schema_is_not_used(docs: Path, index: Path) -> None:
    Folder(docs, index=index).close()
    other = sqlite3.connect(index)
    other.execute("CREATE TRIGGER evil AFTER INSERT ON documents BEGIN DELETE FROM passages; END")
    other.commit()
    other.close()
    assert "another version" in noted(Folder(docs, index=index))


@pytest.mark.parametrize("content", [b"not an index", b"SQLite format 3\0" + b"\0" * 100])
def test_no_other_file_is_taken_for_an_index_or_lost(docs: Path, index: Path, content: bytes) -> None:
    index.write_bytes(content)
    with pytest.raises(DataError, match="no index"):
        Folder(docs, index=index)
    assert index.read_bytes() == content


def test_an_index_that_another_process_holds_is_done_without(docs: Path, index: Path) -> None:
    Folder(docs, index=index).close()
    write(docs / "d.txt", "dee likes chess .")
    other = sqlite3.connect(index, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    folder = Folder(docs, index=index, search="words", wait_s=0.05)
    assert "indexed in memory" in noted(folder)
    assert found(folder, "chess") == ["d.txt"]
    other.execute("ROLLBACK")
    other.close()
    assert Folder(docs, index=index).notes == ("index: 1 document new, 0 changed, 0 gone, 3 as before",)


def test_the_texts_in_an_index_are_the_user_s_alone(docs: Path, index: Path) -> None:
    Folder(docs, index=index).close()
    assert index.stat().st_mode & 0o077 == 0


def test_an_index_in_the_cache_goes_when_nobody_asks_for_it(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTILTUNE_CACHE", str(tmp_path / "cache"))
    places = []
    for name in ("a.txt", "b.md"):
        folder = Folder(docs / name)
        folder.close()
        assert folder.place is not None
        places.append(folder.place)
        os.utime(folder.place, (LONG_AGO - 40 * 86_400,) * 2)
    Folder(docs / "a.txt").close()
    assert [place.is_file() for place in places] == [True, False]


def test_a_place_that_cannot_be_written_is_done_without(docs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = Folder(docs, index=tmp_path / "file" / "index.sqlite")
    assert "indexed in memory" in noted(folder)
    assert folder.n_documents == 3


def test_what_cannot_be_read_is_told_and_the_rest_is_answered_from(docs: Path, index: Path, tmp_path: Path) -> None:
    (docs / "binary.txt").write_bytes(b"\x7fELF\x00\x01\xff\xfe" * 100)
    (docs / "empty.txt").write_text("")
    (docs / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "secret.txt").write_text("the secret is plums .")
    (docs / "link.txt").symlink_to(tmp_path / "secret.txt")
    (docs / "up").symlink_to(tmp_path)
    (docs / "round.txt").symlink_to(docs / "round.txt")
    (docs / "inside.txt").symlink_to(docs / "a.txt")
    os.mkfifo(docs / "pipe.txt")
    folder = Folder(docs, index=index, search="words")
    assert found(folder, "secret plums") == []
    assert sorted(found(folder, "figs")) == ["a.txt", "inside.txt"]
    for words in ("binary.txt", "empty.txt: there is no text", "picture.png", "link.txt", "round.txt", "pipe.txt"):
        assert words in noted(folder)
    assert folder.n_documents == 4


def test_a_file_that_can_no_longer_be_read_goes(docs: Path, index: Path) -> None:
    folder = Folder(docs, index=index, search="words")
    (docs / "a.txt").write_bytes(b"\x00\xff" * 50)
    done = folder.refresh()
    assert (done.n_gone, done.n_kept) == (1, 2)
    assert found(folder, "figs") == []
    assert "a.txt" in noted(folder)


def test_a_folder_without_documents_says_so(docs: Path, index: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="holds no document"):
        Folder(tmp_path / "bare")
    (tmp_path / "bare" / "a.txt").write_text(" \n")
    with pytest.raises(DataError, match="None of the documents can be read"):
        Folder(tmp_path / "bare", index=index)


def test_a_file_that_changes_while_it_is_read_is_whole_and_looked_at_again(
    docs: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is indexed is one text of the two, and the next look sees that it was not the last."""

    def restless(names: list[str], encoding: str = "") -> list[document_files.ReadDocument]:
        read = document_files.read_documents(names, encoding)
        for number, name in enumerate(names):
            if name.endswith("a.txt"):
                write(Path(name), f"ada eats figs and {number} {time.time_ns()} .", time.time() + number)
        return read

    monkeypatch.setattr(refreshing, "read_documents", restless)
    folder = Folder(docs, index=index, search="words")
    assert "changes while it is read" in noted(folder)
    monkeypatch.undo()
    assert folder.refresh().n_changed == 1
    assert folder.choose(["figs"], 1).documents[0].text == (docs / "a.txt").read_text()


def test_a_file_that_goes_between_the_listing_and_the_reading(
    docs: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(names: list[str], encoding: str = "") -> list[document_files.ReadDocument]:
        (docs / "a.txt").unlink(missing_ok=True)
        return document_files.read_documents(names, encoding)

    monkeypatch.setattr(refreshing, "read_documents", late)
    folder = Folder(docs, index=index)
    assert folder.n_documents == 2
    assert "not read" in noted(folder)


def test_another_encoding_is_read_anew(docs: Path, index: Path, read: list[str]) -> None:
    Folder(docs, index=index).close()
    read.clear()
    Folder(docs, index=index, encoding="latin-1")
    assert len(read) == 3


def test_what_could_not_be_read_is_not_tried_again_until_it_is_another(
    docs: Path, index: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "binary.txt").write_bytes(b"\x7fELF\x00\x01\xff\xfe" * 100)
    folder = Folder(docs, index=index, search="words")
    said = [note for note in folder.notes if "binary.txt" in note]
    assert len(said) == 1
    read.clear()
    folder.refresh()
    assert read == []
    assert [note for note in folder.notes if "binary.txt" in note] == said
    monkeypatch.setattr(refreshing, "_TRIED_AGAIN_S", -1.0)
    (docs / "binary.txt").chmod(0o600)  # who may read it is another matter now, its time is as it was
    folder.refresh()
    folder.refresh()  # and what is too long ago is tried again
    assert read == ["binary.txt"] * 2
    (docs / "binary.txt").write_text("dee likes chess .")
    assert folder.refresh().n_new == 1
    assert found(folder, "dee chess") == ["binary.txt"]
    assert not [note for note in folder.notes if "binary.txt" in note]


def test_a_file_whose_name_is_no_text_is_indexed_too(docs: Path, index: Path, read: list[str]) -> None:
    odd = docs / os.fsdecode(b"\xff\\00e4.txt")
    write(odd, "dee likes chess .")
    folder = Folder(docs, index=index, search="words")
    assert found(folder, "dee chess") == [odd.name]
    assert folder.document(str(odd)) == Document(str(odd), "dee likes chess .")
    read.clear()
    assert folder.refresh().in_words == ""
    assert read == []
    odd.unlink()
    assert folder.refresh().n_gone == 1


def test_pages_are_kept_with_the_text(docs: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        refreshing,
        "read_documents",
        lambda names, encoding: [document_files.ReadDocument(each, "one . two .", None, (), (0, 6)) for each in names],
    )
    Folder(docs, index=index).close()
    folder = Folder(docs, index=index, search="words")
    assert {each.pages for each in folder.choose(["two"], 2).documents} == {(0, 6)}
    other = sqlite3.connect(index)
    other.execute("UPDATE documents SET pages = '[0, \"6\"]'")
    other.commit()
    other.close()
    assert folder.choose(["two"], 2).documents[0].pages == (0, 6)
    assert "where pages begin" in noted(folder)


def test_sixteen_threads_ask_while_it_is_brought_up_to_date(docs: Path, index: Path) -> None:
    folder = Folder(docs, index=index, search="words")
    likes = [f"ada eats figs {number} ." for number in range(20)]

    def ask(number: int) -> None:
        for _ in range(15):
            (part,) = folder.choose(["who eats figs"], 1).parts[0]
            assert part.text in (TEXTS["a.txt"], *likes)
            whole = folder.document(str(docs / "a.txt"))
            assert whole is not None
            assert whole.text in (TEXTS["a.txt"], *likes)
            assert 3 <= folder.n_documents <= 3 + len(likes)

    with ThreadPoolExecutor(16) as pool:
        asking = [pool.submit(ask, number) for number in range(16)]
        for number, text in enumerate(likes):
            write(docs / "a.txt", text, LONG_AGO + number + 1)
            write(docs / f"new-{number}.txt", "dee likes chess .")
            folder.refresh()
        for each in asking:
            each.result()
    assert folder.choose(["who eats figs"], 1).parts[0][0].text == likes[-1]
    assert "damaged" not in noted(folder)


def test_an_index_damaged_under_many_threads_is_made_anew_once_and_never_seen_half_full(
    docs: Path, index: Path
) -> None:
    folder = Folder(docs, index=index, search="words")
    other = sqlite3.connect(index)
    other.execute("UPDATE passages SET text = replace(text, 'figs', 'nuts')")
    other.commit()
    other.close()
    with ThreadPoolExecutor(16) as pool:
        chosen = list(pool.map(lambda _: folder.choose(["who eats figs"], 1), range(32)))
    assert {each.parts[0][0].text for each in chosen} == {TEXTS["a.txt"]}
    assert {each.n_characters for each in chosen} == {sum(map(len, TEXTS.values()))}
    assert sum("is damaged" in note for note in folder.notes) == 1


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Twenty documents of some passages each."""
    folder = tmp_path / "many"
    for number in range(20):
        write(folder / f"{number:02}.txt", f"The town T{number} lies on the river R{number}. " + "Rain falls. " * 900)
    return folder


def test_large_folders_are_searched_and_small_ones_read_whole(docs: Path, many: Path, index: Path) -> None:
    small = Folder(docs, index=index).choose(["who eats figs", "bus"])
    assert [len(parts) for parts in small.parts] == [3, 3]
    assert small.notes == ((), ())
    folder = Folder(many)
    assert folder.place is not None
    assert folder.place.is_file()
    chosen = folder.choose(["Where is the town T7?", "zzz"])
    assert Path(chosen.documents[0].name).name == "07.txt"
    assert chosen.parts[0][0].text.startswith("The town T7")
    assert chosen.notes[0] == (f"10 of {folder.n_passages:,} passages were read, the likeliest by words.",)
    assert "No passage has a word" in chosen.notes[1][0]
    assert chosen.n_characters == sum(len(path.read_text()) for path in many.iterdir())
    assert chosen.parts[1]
    everything = Folder(many, search="all").choose(["T7"])
    assert len(everything.parts[0]) == 20


def test_words_are_found_in_other_forms_and_scripts(tmp_path: Path, index: Path) -> None:
    write(tmp_path / "t" / "a.txt", "The treasurer signed leases in the café.")
    write(tmp_path / "t" / "b.txt", "租约由财务主管签署。")
    write(tmp_path / "t" / "c.txt", "Nothing of that kind stands here.")
    folder = Folder(tmp_path / "t", index=index, search="words")
    assert found(folder, "Who is signing a LEASE") == ["a.txt"]
    assert found(folder, "cafe") == ["a.txt"]
    assert found(folder, "谁签署租约？") == ["b.txt"]
    assert found(folder, 'AND OR NOT NEAR("x" * ) text:') == []


def test_vectors_of_two_models_are_never_mixed(docs: Path, index: Path, encoders: tuple[Path, Path]) -> None:
    one, two = (Folder(docs, index=index, search="vectors", encoder=each) for each in encoders)
    assert two.ranked([TEXTS["b.md"]], 1) != []
    assert found(two, TEXTS["b.md"])[0] == "b.md"
    kept = sqlite3.connect(index).execute("SELECT count(*), max(length(vector)) FROM vectors").fetchone()
    assert kept == (3, 2 * TINY.hidden_size)
    assert found(one, TEXTS["a.txt"])[0] == "a.txt"


def test_only_new_passages_get_vectors(docs: Path, index: Path, encoders: tuple[Path, Path]) -> None:
    Folder(docs, index=index, search="both", encoder=encoders[0]).close()
    before = dict(sqlite3.connect(index).execute("SELECT passage, vector FROM vectors"))
    write(docs / "d.txt", "dee likes chess .")
    folder = Folder(docs, index=index, search="both", encoder=encoders[0])
    after = dict(sqlite3.connect(index).execute("SELECT passage, vector FROM vectors"))
    assert before.items() <= after.items()
    assert len(after) == 4
    assert np.isfinite(np.frombuffer(after[4], dtype="<f2")).all()
    assert found(folder, "dee likes chess")[0] == "d.txt"


def test_what_a_search_needs_is_said(docs: Path, encoders: tuple[Path, Path]) -> None:
    with pytest.raises(RecipeError, match="which model gives the vectors"):
        Folder(docs, search="both")
    with pytest.raises(RecipeError, match="no search"):
        Folder(docs, search="best")  # type: ignore[arg-type]


def test_ranks_are_fused() -> None:
    assert fused([[1, 2, 3], [3, 1]]) == [1, 3, 2]
    assert fused([[], [5, 4]]) == [5, 4]
    assert fused([[7, 8], [8, 7]]) == [7, 8]
