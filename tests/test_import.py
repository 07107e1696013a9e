"""What importing costs: `import distiltune` waits for no heavy library and takes no network."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tools.supply.constraints import closure, normal

from tests.helpers import TINY, people, write_squad, write_tiny_model

ROOT = Path(__file__).parents[1]

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


@pytest.mark.parametrize("module", ["distiltune", "distiltune.errors", "distiltune.recipe.recipe", "distiltune.cli"])
def test_importing_does_not_import_torch(module: str) -> None:
    code = f"import sys, {module}\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    assert run(code) == "[]"


def test_a_training_does_not_wait_for_what_draws_its_curves() -> None:
    names = ("matplotlib", "transformers")
    code = f"import sys, distiltune.runs.fine_tune\nprint([name for name in {names!r} if name in sys.modules])"
    assert run(code) == "[]"


ASKING = """
import sys
from distiltune import cli
sys.argv = ["distiltune", "ask", "starter-qa", "--text", "Ada built the pier.", "Who built it?", "--threads", "1"]
try:
    cli.main()
except SystemExit:
    pass
print("|".join(sys.modules))
"""

NOT_TO_ASK = (
    *("matplotlib", "pyarrow", "huggingface_hub", "transformers", "onnxruntime", "sklearn", "scipy", "pandas"),
    *("torch._dynamo", "torch._inductor", "sympy", "fastapi", "IPython"),
)
"""What takes long to import and has nothing to do with an answer."""

MOST_MODULES_TO_ASK = {"distiltune": 230, "numpy": 120, "rich": 65, "pydantic": 55}
"""Counted in 2026-11: 218, 100, 54, 42."""

MOST_OTHERS_TO_ASK = 430
"""Of neither these nor PyTorch, whose number is its own affair: 366."""


def test_an_answer_waits_for_no_more_modules_than_it_needs() -> None:
    loaded = run(ASKING).splitlines()[-1].split("|")
    assert [name for name in NOT_TO_ASK if name in loaded] == []
    counts = Counter(name.partition(".")[0] for name in loaded)
    assert {name: counts[name] for name, most in MOST_MODULES_TO_ASK.items() if counts[name] > most} == {}
    others = sum(counts.values()) - counts["torch"] - sum(counts[name] for name in MOST_MODULES_TO_ASK)
    assert others <= MOST_OTHERS_TO_ASK


def test_every_public_name_can_be_imported_without_a_network() -> None:
    code = "import distiltune\nprint([name for name in distiltune.__all__ if not hasattr(distiltune, name)])"
    assert run(code) == "[]"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    import distiltune

    with pytest.raises(AttributeError, match="no attribute 'fine_tone'"):
        _ = distiltune.fine_tone
    assert set(distiltune.__all__) <= set(dir(distiltune))


def test_the_estimators_wait_for_scikit_learn_and_say_what_is_missing() -> None:
    code = """
import sys, distiltune
print("sklearn" in sys.modules, "DistilBertTagger" in dir(distiltune))
sys.modules["sklearn"] = None
from distiltune import *
try:
    distiltune.DistilBertClassifier
except DistiltuneError as error:
    print(type(error).__name__, error.what, "[sklearn]" in error.fix)
"""
    assert run(code).splitlines() == [
        "False True",
        "InstallationError DistilBertClassifier needs scikit-learn. True",
    ]


SERVING = {
    "distiltune.labelling.service",
    *(f"distiltune.serving.{name}" for name in ("asking", "gate", "listening", "metrics", "server", "site", "texts")),
    *(f"distiltune.tasks.{name}_classification.service" for name in ("text", "token")),
    *(f"distiltune.tasks.question_answering.serve.{name}" for name in ("forms", "service", "served_folder")),
}
"""The modules that cannot be imported without an extra: `serve`, all of them, and the command asks for it first."""

WITHOUT_EXTRAS = """
import importlib, pkgutil, sys
for name in BLOCKED:
    sys.modules[name] = None
import distiltune
failed = {}
for module in pkgutil.walk_packages(distiltune.__path__, "distiltune."):
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        failed[module.name] = error.name
run = distiltune.fine_tune(output="run", model="tiny", train="train.json", validation="train.json",
                           max_length=48, stride=8, epochs=1, batch_size=8, threads=1)
import json
compiler = "torch._dynamo" in sys.modules  # takes a second or two to import
print(json.dumps([failed, run.best.train["loss"], sorted(path.name for path in run.model.iterdir()), compiler]))
"""


def modules_of_extras() -> dict[str, str]:
    """Each top module that an extra brings and the package itself does not need, and the extra that brings it."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    needed = closure("distiltune", ())
    extra_of = {normal(Requirement(line).name): extra for extra, lines in extras.items() for line in lines}
    return {
        module: extra_of[normal(name)]
        for module, names in packages_distributions().items()
        for name in names
        if normal(name) in extra_of and normal(name) not in {"distiltune", *needed}
    }


def test_everything_is_imported_and_a_model_trained_without_any_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = modules_of_extras()
    known = people()
    config = replace(TINY, vocab_size=known.tokenizer.get_vocab_size(), max_position_embeddings=64)
    write_tiny_model(tmp_path / "tiny", known.tokenizer, config)
    write_squad(tmp_path / "train.json", known.examples[:16])
    monkeypatch.chdir(tmp_path)
    failed, loss, files, compiler = json.loads(run(f"BLOCKED = {sorted(blocked)!r}\n{WITHOUT_EXTRAS}").splitlines()[-1])
    assert {module: blocked.get(name.partition(".")[0], name) for module, name in failed.items()} == {
        **dict.fromkeys(SERVING, "serve"),
        "distiltune.python.estimators": "sklearn",
    }
    assert loss > 0
    assert "model.safetensors" in files
    assert not compiler
