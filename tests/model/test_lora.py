from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load
from torch import nn

from distiltune.model.lora import TARGETS, Adapted, LoraSettings, adapt, merged, peft_files
from distiltune.model.products import linear
from distiltune.tasks.question_answering.head import span_loss
from distiltune.tasks.question_answering.task import HEAD_RULES
from tests.helpers import batch_of, random_features, tiny_qa_model, weights_of

ALL = LoraSettings(3, alpha=6.0, targets=TARGETS)
USUAL = LoraSettings(4)


def with_adapters(settings: LoraSettings) -> nn.Module:
    """A model whose adapters are trained: none of their numbers is 0."""
    model = tiny_qa_model()
    torch.manual_seed(5)
    adapt(model, settings)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".up"):
                parameter.normal_(std=0.1)
    return model


def test_a_model_begins_as_it_was() -> None:
    plain, adapted = tiny_qa_model(), tiny_qa_model()
    adapt(adapted, ALL)
    batch = batch_of([[5, 6, 7], [8, 9, 10, 11]])
    torch.testing.assert_close(adapted(batch), plain(batch))
    before = weights_of(plain)
    assert all(torch.equal(value, before[name]) for name, value in weights_of(adapted).items() if name in before)


@pytest.mark.parametrize("settings", [ALL, USUAL, LoraSettings(1, targets=("k_lin",))], ids=["all", "usual", "one"])
def test_merged_it_says_the_same(settings: LoraSettings) -> None:
    adapted = with_adapters(settings)
    plain = tiny_qa_model()
    without = merged(adapted.state_dict(), settings)
    before = weights_of(plain)
    changed = {name for name, value in without.items() if not torch.equal(value, before[name])}
    plain.load_state_dict(without, strict=True)
    batch = random_features(6).batch(np.arange(6))
    torch.testing.assert_close(plain(batch), adapted(batch), rtol=1e-4, atol=1e-5)
    assert len(changed) == 2 * {ALL: 4}.get(settings, 1)


def test_by_hand() -> None:
    layer = nn.Linear(4, 6)
    adapted = Adapted(layer, (0, 2), 3, LoraSettings(2, alpha=3.0))
    with torch.no_grad():
        adapted.up.normal_()
    values = torch.randn(5, 4)
    expected = linear(values, layer.weight, layer.bias).clone()
    expected[:, 0:2] += 1.5 * values @ adapted.down[0].T @ adapted.up[0].T
    expected[:, 4:6] += 1.5 * values @ adapted.down[1].T @ adapted.up[1].T
    torch.testing.assert_close(adapted(values), expected)


def test_only_adapters_and_the_head_learn() -> None:
    model = with_adapters(USUAL)
    features = random_features(8)
    span_loss(model(features.batch(np.arange(8))), features.batch(np.arange(8))).loss.backward()  # type: ignore[no-untyped-call]
    moved = {name for name, each in model.named_parameters() if each.grad is not None}
    assert moved == {name for name, _ in model.named_parameters() if name.endswith((".up", ".down")) or "head" in name}


def test_the_files_are_named_as_peft_names_them() -> None:
    model = with_adapters(USUAL)
    files = peft_files(model.state_dict(), USUAL, HEAD_RULES, "DistilBertForQuestionAnswering", "base")
    config = json.loads(files["adapter_config.json"])
    assert config["task_type"] == "QUESTION_ANS"
    assert config["modules_to_save"] == ["qa_outputs"]
    assert config["target_modules"] == ["q_lin", "v_lin"]
    tensors = load(files["adapter_model.safetensors"])
    first = "base_model.model.distilbert.transformer.layer.0.attention.v_lin.lora_"
    assert tensors[f"{first}A.weight"].shape == (4, 16)
    assert tensors[f"{first}B.weight"].shape == (16, 4)
    assert len(tensors) == 2 * 2 * 2 + 2
    assert torch.equal(tensors["base_model.model.qa_outputs.weight"], model.state_dict()["head.output.weight"])


def test_peft_reads_them(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="peft is not installed")
    from transformers import AutoModelForQuestionAnswering

    from distiltune.model.save import ModelToWrite, write_model_directory
    from tests.helpers import TINY, word_pieces

    plain, adapted = tiny_qa_model(), with_adapters(ALL)
    to_write = ModelToWrite(
        TINY, weights_of(plain), word_pieces([]), HEAD_RULES, ("DistilBertForQuestionAnswering",), {}
    )
    write_model_directory(tmp_path / "base", to_write)
    (tmp_path / "adapter").mkdir()
    files = peft_files(adapted.state_dict(), ALL, HEAD_RULES, "DistilBertForQuestionAnswering", str(tmp_path / "base"))
    for name, content in files.items():
        (tmp_path / "adapter" / name).write_bytes(content)
    base = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "base")
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    tokens = [5, 6, 7, 8, 9]
    out = theirs(input_ids=torch.tensor([tokens]))
    expected = adapted.eval()(batch_of([tokens]))
    torch.testing.assert_close(torch.stack([out.start_logits[0], out.end_logits[0]], 1), expected, rtol=1e-4, atol=1e-5)
