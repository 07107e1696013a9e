"""The fingerprint of some code changes with whatever that code is made of, and with nothing else."""

from __future__ import annotations

import functools
import importlib
import os
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distiltune.system import code_fingerprint as module
from distiltune.system.code_fingerprint import code_fingerprint, module_of

FILES = {
    "__init__.py": "",
    "make.py": "from . import helper\nfrom .parts import (\n    one,  # not two (yet)\n    two as second,\n)\n",
    "helper.py": "def help():\n    from odd_package.late import x\n",
    "late.py": "import numpy as np, odd_package.plain as p\nx = 1\n",
    "plain.py": "from odd_package.parts.deep \\\n    import y\n",
    "parts/__init__.py": "one = two = 1\n",
    "parts/deep.py": "from .. import with_types\ny = 1\n",
    "with_types.py": "if TYPE_CHECKING:\n    from .types_only import T\n",
    "types_only.py": "T = int\n",
    "apart.py": "from .make import nothing\n",
}


class Package:
    """A package that is there once per test, whose files can be changed as if before this process began."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "odd_package"
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        an_hour_ago = time.time() - 3_600
        os.utime(path, (an_hour_ago, an_hour_ago))
        forget()

    def fingerprint(self) -> str:
        return code_fingerprint(["odd_package.make"])


def forget() -> None:
    module._read.cache_clear()
    module._source_of.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    made = Package(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("odd_package")
    yield made
    del sys.modules["odd_package"]
    forget()


@pytest.mark.parametrize("name", [name for name in FILES if name != "apart.py"])
def test_it_changes_with_whatever_the_code_imports(package: Package, name: str) -> None:
    before = package.fingerprint()
    assert len(before) == 64
    package.write(name, FILES[name] + "# changed\n")
    assert package.fingerprint() not in (before, "")
    package.write(name, FILES[name])
    assert package.fingerprint() == before


def test_it_does_not_change_with_anything_else(package: Package) -> None:
    before = package.fingerprint()
    package.write("apart.py", "changed = True\n")
    package.write("new.py", "")
    assert package.fingerprint() == before
    importlib.import_module("odd_package.apart")
    assert package.fingerprint() == before


def test_a_module_that_lies_elsewhere_is_found_where_it_was_imported_from(package: Package, tmp_path: Path) -> None:
    """As a task does that is not yet in the package."""
    before = package.fingerprint()
    elsewhere = types.ModuleType("odd_package.late")
    elsewhere.__file__ = str(tmp_path / "elsewhere.py")
    package.write("../elsewhere.py", "x = 3\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "odd_package.late", elsewhere)
        assert package.fingerprint() not in (before, "")


def test_what_is_only_mentioned_is_passed_over(package: Package) -> None:
    package.write("helper.py", '"""\nfrom odd_package.gone import x\nimport of something\n"""\n')
    assert len(package.fingerprint()) == 64


def test_of_code_that_is_not_known_there_is_none(package: Package) -> None:
    assert code_fingerprint(["odd_package.absent"]) == ""
    assert code_fingerprint(["builtins"]) == ""
    assert code_fingerprint([""]) == ""
    assert code_fingerprint(["__main__"]) == "", "which may import what lies beside it"
    path = package.folder / "late.py"
    path.write_text("x = 2\n")
    os.utime(path, (time.time() + 1, time.time() + 1))
    forget()
    assert package.fingerprint() == "", "the one that is running may be the one of before"


def test_every_maker_of_ours_has_one_and_it_is_quick() -> None:
    """20 files are read in 2 ms, which this machine may not be idle enough to show: so the files are counted."""
    makers = ("tasks.question_answering.question_data", "tasks.text_classification.features", "distillation.teacher")
    for name in (f"distiltune.{each}" for each in makers):
        forget()
        assert len(code_fingerprint([name])) == 64
        assert module._read.cache_info().currsize < 75  # the readers of questions are 70 files


def test_features_are_made_of_the_code_that_makes_features() -> None:
    code_fingerprint(["distiltune.tasks.question_answering.question_data"])
    forget()
    read: list[str] = []
    original = module._source_of

    @functools.cache
    def note(name: str) -> Path | None:
        read.append(name)
        return original(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_source_of", note)
        code_fingerprint(["distiltune.tasks.question_answering.question_data"])
    forget()
    assert {"distiltune.tasks.question_answering.features", "distiltune.data.tokens"} <= set(read)
    assert "distiltune.training.loop" not in read


def some_function() -> None: ...


class Some:
    def method(self) -> None: ...


@pytest.mark.parametrize(
    "function", [some_function, lambda: None, Some().method, functools.partial(functools.partial(some_function))]
)
def test_the_module_of_a_function(function: Callable[[], None]) -> None:
    assert module_of(function) == __name__
