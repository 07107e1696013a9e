"""What importing costs: `import distiltune` waits for no heavy library and takes no network."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "tokenizers", "safetensors", "huggingface_hub", "pyarrow", "matplotlib", "transformers")

NO_NETWORK = """
import socket
def refuse(*arguments, **named):
    raise AssertionError("something asks for the network")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
"""


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK + code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["distiltune", "distiltune.errors", "distiltune.recipe", "distiltune.cli"])
def test_importing_does_not_import_torch(module: str) -> None:
    code = f"import sys, {module}\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    assert run(code) == "[]"


def test_a_training_does_not_wait_for_what_draws_its_curves() -> None:
    names = ("matplotlib", "transformers")
    code = f"import sys, distiltune.fine_tuning\nprint([name for name in {names!r} if name in sys.modules])"
    assert run(code) == "[]"


def test_every_public_name_can_be_imported_without_a_network() -> None:
    code = "import distiltune\nprint([name for name in distiltune.__all__ if not hasattr(distiltune, name)])"
    assert run(code) == "[]"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    import distiltune

    with pytest.raises(AttributeError, match="no attribute 'fine_tone'"):
        _ = distiltune.fine_tone
    assert set(distiltune.__all__) <= set(dir(distiltune))
