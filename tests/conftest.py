"""What holds for every test: one thread, and a cache of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or fills the user's cache of features; those of one process share one."""
    directory = tmp_path_factory.getbasetemp() / "distiltune-cache"
    monkeypatch.setenv("DISTILTUNE_CACHE", str(directory))
    return directory
