"""Our model beside the reference with the same weights, and the reference's loss without padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from distiltune.data.packing import PackedBatch
from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import Encoder, TaskModel
from distiltune.model.hf_keys import KeyRule, encoder_rules, from_hf, to_hf
from distiltune.tasks.question_answering.head import SpanHead
from tests.helpers import batch_of, spans_of
from tests.model.tiny_models import HEAD_RULES, state

NO_DROPOUT: dict[str, Any] = {"dropout": 0.0, "attention_dropout": 0.0, "qa_dropout": 0.0}


def rules_of(reference: Any) -> tuple[KeyRule, ...]:
    return (*encoder_rules(reference.config.n_layers), *HEAD_RULES)


def same_model(reference: Any) -> TaskModel:
    """Our model with the weights of a ``DistilBertForQuestionAnswering``, not training."""
    config = EncoderConfig.from_hf(reference.config.to_dict())
    model = TaskModel(Encoder(config), SpanHead(config.hidden_size, reference.config.qa_dropout))
    model.load_state_dict(from_hf(state(reference), rules_of(reference)))
    return model.eval()


def random_batch(
    lengths: Sequence[int], seed: int = 0, n_ids: int = 100, label_of: Sequence[Sequence[int]] | None = None
) -> PackedBatch:
    """Random tokens in features of these lengths, with random labels.

    Token 0, the padding, is left out: the reference never trains its embedding, and a packed batch has none.
    """
    rng = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int, n: int) -> list[int]:
        return torch.randint(low, high, (n,), generator=rng).tolist()

    return batch_of(
        [draw(1, n_ids, length) for length in lengths], label_of or [draw(0, length, 2) for length in lengths]
    )


def reference_logits(reference: Any, batch: PackedBatch) -> Tensor:
    """``(total_tokens, 2)``: every feature through the reference alone, so that nothing is padded."""
    outputs = [
        reference(input_ids=torch.from_numpy(ids)[None], attention_mask=torch.ones(1, len(ids), dtype=torch.int64))
        for ids in spans_of(batch)
    ]
    return torch.cat([torch.stack([output.start_logits[0], output.end_logits[0]], dim=-1) for output in outputs])


def reference_loss(reference: Any, batch: PackedBatch) -> Tensor:
    """The reference's own loss, each feature alone, and the mean over them."""
    losses = [
        reference(input_ids=torch.from_numpy(ids)[None], start_positions=labels[0:1], end_positions=labels[1:2]).loss
        for ids, labels in zip(spans_of(batch), batch.labels, strict=True)
    ]
    return torch.stack(losses).mean()


def gradients_by_hf_name(model: TaskModel, rules: Sequence[KeyRule]) -> dict[str, Tensor]:
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return to_hf({name: grad for name, grad in gradients.items() if grad is not None}, rules)


def assert_all_close(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], relative: float) -> None:
    """Equal names, and every tensor within ``relative`` of the largest number in the reference's.

    A bias is held to its weight where that is larger: the gradients of those that `is_free` names are 0 but for
    rounding, which has no scale of its own.
    """
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        beside = theirs[name.removesuffix("bias") + "weight"] if name.endswith("bias") else expected
        scale = float(torch.maximum(expected.abs().max(), beside.abs().max()))
        assert scale > 0, f"{name} says nothing"
        difference = float((ours[name] - expected).abs().max())
        assert difference <= relative * scale, f"{name}: {difference / scale:.2e} off"


def is_free(name: str, n_layers: int) -> bool:
    """Whether the loss does not depend on a tensor, by its Hugging Face name.

    A softmax does not see what is added to all of its inputs: the bias of the keys, of the last norm, of the head.
    """
    return name.endswith(("k_lin.bias", f"{n_layers - 1}.output_layer_norm.bias", "qa_outputs.bias"))
