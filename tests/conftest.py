"""What holds for every test: one thread, no deadline for a busy machine, and a cache of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.helpers import train_on_people
from tests.whole import runs_something_whole

torch.set_num_threads(1)
settings.register_profile("distiltune", deadline=None)
settings.load_profile("distiltune")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs something whole, which `make test-quick` leaves out."""
    for item in items:
        if runs_something_whole(item.path):
            item.add_marker("whole")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or fills the user's cache of features; those of one process share one."""
    directory = tmp_path_factory.getbasetemp() / "distiltune-cache"
    monkeypatch.setenv("DISTILTUNE_CACHE", str(directory))
    return directory


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A test that trains with all threads leaves one to the next."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def people_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned the 32 questions about people by heart; not to be written into."""
    return train_on_people(tmp_path_factory.mktemp("people"))
