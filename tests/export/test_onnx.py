"""ONNX: the same answers as torch, whatever the length; nothing is written that was not checked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from distiltune.errors import DataError, ModelError
from distiltune.runs.evaluate import evaluate
from distiltune.tasks.question_answering.answerer import Answerer
from tests.helpers import batch_of, people, write_squad
from tests.hub_stand_in import HubStandIn

onnx = pytest.importorskip("onnx", reason="needs the extra `export`")
pytest.importorskip("onnxscript", reason="needs the extra `export`")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `export`")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from distiltune.export import onnx as export_module  # noqa: E402
from distiltune.export.onnx import export_onnx  # noqa: E402
from distiltune.export.push import check_card, model_files  # noqa: E402
from distiltune.export.quantise import _with_small_embeddings  # noqa: E402
from distiltune.inference.onnx_model import ONNX_FILE, OnnxModel, _groups  # noqa: E402


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_squad(tmp_path_factory.mktemp("onnx-data") / "people.json", people().examples))


@pytest.fixture(scope="session")
def exported(people_model: Path, data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx") / "exported"
    result = export_onnx(people_model, folder, data=(data,), threads=1)
    assert result.comparison.n_equal == result.comparison.n_examples == 32
    assert result.comparison.max_logit_difference < 1e-4
    assert (result.precision, result.directory) == ("float32", folder)
    return folder


def spoil(file: Path, scale: float) -> None:
    """Make a graph say something else: its biggest weights times ``scale``."""
    graph = onnx.load(str(file))
    weights = max(graph.graph.initializer, key=lambda each: len(each.raw_data))
    weights.raw_data = (np.frombuffer(weights.raw_data, dtype=np.float32) * np.float32(scale)).tobytes()
    onnx.save(graph, str(file))


def test_the_folder_holds_all_that_is_needed(exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} == {
        *("model.onnx", "config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"),
        *("example.py", "README.md"),
    }
    config = json.loads((exported / "config.json").read_text())
    assert config["distiltune_onnx"]["precision"] == "float32"
    assert config["distiltune_onnx"]["checked"]["n_examples"] == 32
    assert config["distiltune"]["max_length"] == 64


def test_the_folder_can_be_pushed_as_it_is(exported: Path) -> None:
    check_card(exported / "README.md")
    sent = {path.name for path in model_files(exported)}
    assert {"model.onnx", "example.py", "config.json", "tokenizer.json"} <= sent


def test_the_answerer_runs_it_as_it_runs_torch(exported: Path, people_model: Path) -> None:
    first, second = Answerer(people_model, threads=1), Answerer(exported, threads=1)
    assert second.windows == first.windows
    assert any("ONNX" in note for note in second.notes)
    text = " ".join(each.context for each in people().examples[::4])
    for asked in people().examples[::3]:
        one, other = first(asked.question, text, n_best=3), second(asked.question, text, n_best=3)
        assert [(c.start, c.end) for c in one.candidates] == [(c.start, c.end) for c in other.candidates]
        assert [c.confidence for c in one.candidates] == pytest.approx(
            [c.confidence for c in other.candidates], abs=1e-4
        )


def test_a_fork_has_a_session_of_its_own(exported: Path) -> None:
    """Of its parent's it has no threads, and would wait for them."""
    model = OnnxModel(exported / ONNX_FILE, torch.device("cpu"))
    before, of_parent = model(batch_of([[2, 7, 3]])), model._session
    model._process -= 1
    assert torch.equal(model(batch_of([[2, 7, 3]])), before)
    assert model._session is not of_parent


def test_evaluate_takes_it(exported: Path, people_model: Path, data: str) -> None:
    one, other = evaluate(people_model, data, threads=1), evaluate(exported, data, threads=1)
    assert one.metrics == pytest.approx(other.metrics, abs=1e-3)


@pytest.mark.parametrize("lengths", [[1], [64], [3, 3, 3], [64, 1, 30, 30, 2, 17], list(range(1, 65))])
def test_any_batch_of_any_lengths(exported: Path, people_model: Path, lengths: list[int]) -> None:
    rng = np.random.default_rng(0)
    batch = batch_of([rng.integers(5, 40, length).tolist() for length in lengths])
    with torch.inference_mode():
        expected = Answerer(people_model, threads=1).loaded.model(batch)
    found = OnnxModel(exported / ONNX_FILE, torch.device("cpu"))(batch)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_sequences_are_padded_with_their_like() -> None:
    lengths = [100, 5, 90, 79, 6, 64, 5]
    groups = [group.tolist() for group in _groups(lengths)]
    assert groups == [[0, 2], [3, 5], [4, 1, 6]]


def test_the_example_runs_without_torch(exported: Path, tmp_path: Path) -> None:
    asked = people().examples[0]
    (tmp_path / "text.txt").write_text(asked.context * 5, encoding="utf-8")
    without = "import sys, runpy\nsys.modules['torch'] = sys.modules['distiltune'] = None\n"
    code = without + "sys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
    done = subprocess.run(
        [sys.executable, "-c", code, str(exported / "example.py"), asked.question, str(tmp_path / "text.txt")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    expected = Answerer(exported, threads=1)(asked.question, asked.context * 5)
    assert done.stdout.startswith(f"{expected.text}  (probability")
    assert len((exported / "example.py").read_text().splitlines()) <= 33


def test_8_bits_are_smaller_and_measured(people_model: Path, data: str, tmp_path: Path, exported: Path) -> None:
    result = export_onnx(people_model, tmp_path / "int8", int8=True, data=(data,), threads=1, accept_loss=True)
    assert result.precision.startswith("int8")
    assert result.size_bytes < 0.8 * (exported / ONNX_FILE).stat().st_size
    checked = json.loads((tmp_path / "int8" / "config.json").read_text())["distiltune_onnx"]["checked"]
    assert checked["score"] == pytest.approx(evaluate(tmp_path / "int8", data, threads=1).metrics["f1"])
    assert checked["score_original"] == pytest.approx(evaluate(people_model, data, threads=1).metrics["f1"])


def test_in_8_bits_an_answer_does_not_depend_on_who_else_asks(people_model: Path, data: str, tmp_path: Path) -> None:
    """The ranges of a dynamic graph's numbers are those of all that is computed together."""
    result = export_onnx(people_model, tmp_path / "int8", int8=True, data=(data,), threads=1, accept_loss=True)
    assert "dynamic" in result.precision
    model = Answerer(tmp_path / "int8", threads=1).loaded.model
    rng = np.random.default_rng(0)
    sequences = [rng.integers(5, 40, length).tolist() for length in (20, 19, 18, 20, 3)]
    apart = torch.cat([model(batch_of([each])) for each in sequences])
    assert torch.equal(model(batch_of(sequences)), apart)


def test_embeddings_in_8_bits_keep_small_rows_beside_large_ones(tmp_path: Path) -> None:
    """One value of 100 in the table must not cost the other rows their digits."""
    table = np.random.default_rng(0).normal(0, 0.01, (50, 16)).astype(np.float32)
    table[7, 3] = 100.0
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 16])
    node = helper.make_node("Gather", ["table", "ids"], ["out"], name="embedding")
    graph = helper.make_graph([node], "g", [ids], [out], [numpy_helper.from_array(table, "table")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "g.onnx")
    with _with_small_embeddings(tmp_path / "g.onnx") as small:
        session = onnxruntime.InferenceSession(str(small))
        (rows,) = session.run(["out"], {"ids": np.arange(50)})
    assert np.all(np.abs(rows - table) <= np.abs(table).max(axis=1, keepdims=True) / 253)


def test_a_graph_that_says_something_else_is_never_written(
    people_model: Path, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: Path
) -> None:
    def wrong(model: object, file: Path, *more: object) -> None:
        file.write_bytes((exported / ONNX_FILE).read_bytes())
        spoil(file, 1.01)

    monkeypatch.setattr(export_module, "write_graph", wrong)
    with pytest.raises(ModelError, match="does not answer as the model does"):
        export_onnx(people_model, tmp_path / "out", data=(data,), threads=1)
    assert not (tmp_path / "out").exists()


def test_8_bits_that_lose_too_much_are_refused_unless_told(
    people_model: Path, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: Path
) -> None:
    def copy(model: object, file: Path, *more: object) -> None:
        file.write_bytes((exported / ONNX_FILE).read_bytes())

    def lossy(graph: Path, output: Path, *features: object, **how: object) -> None:
        output.write_bytes(graph.read_bytes())
        spoil(output, -1.0)

    monkeypatch.setattr(export_module, "write_graph", copy)
    monkeypatch.setattr(export_module, "quantise_dynamic", lossy)
    monkeypatch.setattr(export_module, "quantise_static", lossy)
    with pytest.raises(ModelError, match=r"points of F1.*more than 1"):
        export_onnx(people_model, tmp_path / "out", int8=True, data=(data,), threads=1)
    assert not (tmp_path / "out").exists()
    taken = export_onnx(people_model, tmp_path / "out", int8=True, data=(data,), threads=1, accept_loss=True)
    assert taken.comparison.lost > 1.0
    # Where dynamic loses and static does not, static it is.
    monkeypatch.setattr(export_module, "quantise_static", lambda graph, output, features: copy(None, output))
    assert export_onnx(people_model, tmp_path / "b", int8=True, data=(data,), threads=1).precision == "int8 static"


def test_no_model_is_lost_to_an_export(
    people_model: Path, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: Path
) -> None:
    def copy(model: object, file: Path, *more: object) -> None:
        file.write_bytes((exported / ONNX_FILE).read_bytes())

    monkeypatch.setattr(export_module, "write_graph", copy)
    own = shutil.copytree(people_model, tmp_path / "own")
    other = shutil.copytree(people_model, tmp_path / "other")
    with pytest.raises(ModelError, match="the model itself"):
        export_onnx(own, own, data=(data,), threads=1, overwrite=True)
    with pytest.raises(ModelError, match="holds a model already"):
        export_onnx(own, other, data=(data,), threads=1)
    assert (own / "model.safetensors").is_file()
    assert (other / "model.safetensors").is_file()
    export_onnx(own, other, data=(data,), threads=1, overwrite=True)
    assert (other / ONNX_FILE).is_file()
    assert not (other / "model.safetensors").exists()


def test_an_output_that_cannot_be_written_is_told_before_the_work(
    people_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr(export_module, "load_trained", lambda *arguments: pytest.fail("too late"))
    with pytest.raises(ModelError, match="cannot be written"):
        export_onnx(people_model, tmp_path / "file" / "onnx", threads=1)


def test_no_hub_is_asked_for_what_a_recipe_names(
    people_model: Path, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run may be somebody else's, who would learn of it, and of whose token it was."""
    run = tmp_path / "run"
    shutil.copytree(people_model.parent, run)
    recipe = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(recipe.replace("validation = []", 'validation = ["owner/data"]'))
    assert "owner/data" in (run / "recipe.toml").read_text()
    with HubStandIn() as hub:
        hub.add("dataset", "owner/data", {"validation.json": Path(data).read_bytes()})
        for name, value in {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path), "HF_TOKEN": "hf_secret"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        with pytest.raises(DataError, match="asked only for what you name") as caught:
            export_onnx(run / "model", tmp_path / "out", threads=1)
        assert hub.requests == []
    assert "owner/data" in caught.value.where
    assert "--data" in caught.value.fix


def test_what_cannot_be_exported_says_why(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="in ONNX form already"):
        export_onnx(exported, tmp_path / "out", threads=1)
    (tmp_path / "broken").mkdir()
    for path in exported.iterdir():
        (tmp_path / "broken" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "broken" / ONNX_FILE).write_bytes(b"no graph")
    with pytest.raises(ModelError, match="cannot be read"):
        Answerer(tmp_path / "broken", threads=1)


# Graphs of strangers


def a_graph(
    folder: Path,
    outputs: dict[str, str] | None = None,
    inputs: tuple[str, ...] = ("input_ids", "attention_mask"),
    more: float = 0.0,
) -> Path:
    """Outputs that are each one of the inputs, and ``more``; its name is what its producer likes."""
    shape = ["sequences", "length"]
    given = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in inputs]
    names = {"start_logits": "input_ids", "end_logits": "attention_mask"} if outputs is None else outputs
    added = numpy_helper.from_array(np.array(more, dtype=np.float32), "more")
    nodes = []
    for name, source in names.items():
        nodes.append(helper.make_node("Cast", [source], [f"{name}-cast"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Add", [f"{name}-cast", "more"], [name]))
    scores = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
    graph = helper.make_graph(nodes, "graph", given, scores, [added])
    file = folder / ONNX_FILE
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(file))
    return file


def test_outputs_are_taken_by_their_names(tmp_path: Path) -> None:
    batch = batch_of([[2, 5, 3]])
    here = OnnxModel(a_graph(tmp_path), torch.device("cpu"))(batch)
    turned = {"end_logits": "attention_mask", "hidden": "input_ids", "start_logits": "input_ids"}
    there = OnnxModel(a_graph(tmp_path, turned), torch.device("cpu"))(batch)
    assert here.tolist() == there.tolist() == [[2, 1], [5, 1], [3, 1]]


@pytest.mark.parametrize(
    "inputs", [("input_ids",), ("input_ids", "attention_mask", "token_type_ids"), ("ids", "attention_mask")], ids=str
)
def test_other_inputs_are_refused_by_name(tmp_path: Path, inputs: tuple[str, ...]) -> None:
    file = a_graph(tmp_path, {"start_logits": inputs[0], "end_logits": inputs[0]}, inputs)
    with pytest.raises(ModelError, match=f"takes {inputs[0]}.*and not input_ids and attention_mask"):
        OnnxModel(file, torch.device("cpu"))


@pytest.mark.parametrize("more", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_told(tmp_path: Path, more: float) -> None:
    model = OnnxModel(a_graph(tmp_path, more=more), torch.device("cpu"))
    with pytest.raises(ModelError, match="gives NaN or infinity"):
        model(batch_of([[2, 5, 3]]))


def test_an_output_of_another_form_is_told(tmp_path: Path) -> None:
    model = OnnxModel(a_graph(tmp_path, {"logits": "input_ids"}), torch.device("cpu"))
    with pytest.raises(ModelError, match="gives 2 columns, and 5 for a text before"):  # each token as a column
        model(batch_of([[2, 5, 7, 8, 3], [2, 3]]))
    model.rows = "token"
    with pytest.raises(ModelError, match="gives 'logits' of the shape"):
        model(batch_of([[2, 5, 3]]))
