from __future__ import annotations

from typing import Any

import pytest
import torch

from distiltune.data.packing import PackedBatch, fill_up
from distiltune.errors import ModelError
from distiltune.model.config import EncoderConfig
from distiltune.model.encoder import Encoder, TaskModel, count_parameters, initialise, model_device
from distiltune.model.hf_keys import to_hf
from distiltune.tasks.question_answering.head import span_loss
from distiltune.training.optimiser import Adam
from tests.helpers import TINY, batch_of, tiny_qa_model
from tests.model.reference import (
    NO_DROPOUT,
    assert_all_close,
    gradients_by_hf_name,
    is_free,
    random_batch,
    reference_logits,
    reference_loss,
    rules_of,
    same_model,
)
from tests.model.tiny_models import tiny_model

SHAPES: dict[str, dict[str, Any]] = {
    "usual": {},
    "one layer, one head": {"n_layers": 1, "n_heads": 1, "dim": 8, "hidden_dim": 8},
    "relu, narrow inside": {"activation": "relu", "n_layers": 2, "n_heads": 4, "dim": 32, "hidden_dim": 16},
    "deep, odd sizes": {"n_layers": 4, "n_heads": 3, "dim": 21, "hidden_dim": 35, "vocab_size": 101},
    "sinusoidal positions": {"sinusoidal_pos_embds": True},
}
LENGTHS = (7, 1, 48, 3, 12)


@pytest.fixture(params=list(SHAPES))
def reference(request: pytest.FixtureRequest) -> Any:
    return tiny_model(**{**NO_DROPOUT, **SHAPES[request.param]})


def test_logits_are_the_references(reference: Any) -> None:
    batch = random_batch(LENGTHS)
    with torch.no_grad():
        ours, theirs = same_model(reference)(batch), reference_logits(reference, batch)
    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))


def test_loss_and_every_gradient_are_the_references(reference: Any) -> None:
    model, batch = same_model(reference).train(), random_batch(LENGTHS)
    ours = span_loss(model(batch), batch).loss / batch.n_features
    theirs = reference_loss(reference.train(), batch)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)

    ours.backward()  # type: ignore[no-untyped-call]
    theirs.backward()  # type: ignore[no-untyped-call]
    expected = {name: parameter.grad for name, parameter in reference.named_parameters()}
    if reference.config.sinusoidal_pos_embds:
        # There they are fixed at first, but a model that is read from a file is trained like any other.
        expected.setdefault("distilbert.embeddings.position_embeddings.weight", None)
    present = {name: grad for name, grad in expected.items() if grad is not None}
    found = gradients_by_hf_name(model, rules_of(reference))
    assert found.keys() == expected.keys()
    assert_all_close({name: found[name] for name in present}, present, 1e-5)


def test_in_double_precision_the_gradients_agree_to_ten_digits(reference: Any) -> None:
    """What float32 cannot tell from rounding shows here; the loss is a plain sum with random weights."""
    reference.double()
    model, batch = same_model(reference).double().train(), random_batch(LENGTHS)
    factors = torch.randn(batch.n_tokens, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (model(batch) * factors).sum().backward()
    (reference_logits(reference.train(), batch) * factors).sum().backward()  # type: ignore[no-untyped-call]
    theirs = {name: p.grad for name, p in reference.named_parameters() if p.grad is not None}
    found = gradients_by_hf_name(model, rules_of(reference))
    assert_all_close({name: found[name] for name in theirs}, theirs, 1e-10)


def test_twenty_steps_of_adam_stay_beside_the_reference() -> None:
    reference = tiny_model(**NO_DROPOUT).train()
    model = same_model(reference).train()
    ours = Adam(model, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.0)
    theirs = torch.optim.Adam(reference.parameters(), lr=1e-3, eps=1e-8)
    ours.learning_rate = 1e-3
    before = {name: value.detach().clone() for name, value in reference.named_parameters()}
    for step in range(20):
        batch = random_batch((6, 9, 13), seed=step % 4)
        our_loss = span_loss(model(batch), batch).loss / batch.n_features
        their_loss = reference_loss(reference, batch)
        torch.testing.assert_close(our_loss, their_loss, rtol=1e-4, atol=0)
        for model_of_it, loss, optimiser in ((model, our_loss, ours), (reference, their_loss, theirs)):
            model_of_it.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    found = to_hf(dict(model.named_parameters()), rules_of(reference))
    for name, expected in reference.named_parameters():
        if not is_free(name, reference.config.n_layers):  # else Adam makes whole steps of mere rounding
            assert float((found[name] - expected).detach().abs().max()) < 1e-4, name
            assert float((expected - before[name]).detach().abs().max()) > 5e-3, f"{name} was not trained"


def split(batch: PackedBatch, values: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.split(values, list(batch.lengths)))


@pytest.mark.parametrize("training", [False, True])
def test_features_in_one_batch_do_not_see_each_other(training: bool) -> None:
    model = tiny_qa_model().train(training)
    sequences = [[2, 5, 6, 3], [2, 3], [2, 7, 8, 9, 3]]
    changed = [[2, 5, 6, 3], [2, 99], [2, 7, 8, 9, 3]]
    with torch.set_grad_enabled(training):
        before, after = (split(batch, model(batch).detach()) for batch in map(batch_of, (sequences, changed)))
        alone = [model(batch_of([sequence])).detach() for sequence in sequences]
    assert not torch.allclose(before[1], after[1], atol=1e-2)
    for i in (0, 2):
        torch.testing.assert_close(before[i], after[i], rtol=0, atol=1e-6)
    for together, by_itself in zip(before, alone, strict=True):
        torch.testing.assert_close(together, by_itself, rtol=1e-5, atol=1e-5)


def test_a_features_gradient_is_the_same_in_any_company() -> None:
    model = tiny_qa_model().train()
    sequences, labels = [[2, 5, 6, 3], [2, 7, 8, 9, 3]], [[1, 2], [3, 3]]
    gradients = []
    for batch in (batch_of(sequences, labels), batch_of(sequences[:1], labels[:1])):
        model.zero_grad()
        split(batch, model(batch))[0].square().sum().backward()  # type: ignore[no-untyped-call]
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    for name, expected in gradients[1].items():
        torch.testing.assert_close(gradients[0][name], expected, rtol=1e-5, atol=1e-5)


def test_the_order_of_features_and_of_tokens() -> None:
    model = tiny_qa_model().eval()
    a, b = [2, 5, 6, 3], [2, 7, 3]
    with torch.no_grad():
        forwards, backwards = batch_of([a, b]), batch_of([b, a])
        first, second = split(forwards, model(forwards)), split(backwards, model(backwards))
        turned = model(batch_of([[2, 6, 5, 3]]))
    torch.testing.assert_close(first[0], second[1], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(first[0][[0, 2, 1, 3]], turned, atol=1e-2), "positions must matter"


def test_dropout_acts_in_training_only_and_repeats_with_the_seed() -> None:
    config = EncoderConfig(**{**vars_of(TINY), "dropout": 0.2, "attention_dropout": 0.2})
    model, batch = tiny_qa_model(config, head_dropout=0.2), random_batch((9, 5))
    plain = tiny_qa_model().eval()
    with torch.no_grad():
        assert torch.equal(model.eval()(batch), plain(batch))
    model.train()
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(model(batch).detach())
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2], atol=1e-2)


PLACES = [name for name, module in tiny_qa_model().named_modules() if hasattr(module, "dropout")]


def test_dropout_has_its_places() -> None:
    inside = [f"encoder.layers.{n}.{part}" for n in range(2) for part in ("attention", "feed_forward")]
    assert ["encoder.embeddings", *inside, "head"] == PLACES


@pytest.mark.parametrize("place", PLACES)
def test_dropout_acts_in_each_of_its_places(place: str) -> None:
    model, batch = tiny_qa_model().train(), random_batch((9, 5))
    plain = model(batch).detach()
    part: Any = model.get_submodule(place)
    part.dropout = 0.5
    assert not torch.allclose(model(batch).detach(), plain, atol=1e-2)


def vars_of(config: EncoderConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in EncoderConfig.__dataclass_fields__}


def test_weights_begin_as_the_published_models_did() -> None:
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(vocab_size=500, hidden_size=64, n_heads=4, intermediate_size=128))
    initialise(encoder, 0.02)
    for name, parameter in encoder.named_parameters():
        if "norm" in name and name.endswith("weight"):
            assert torch.equal(parameter, torch.ones_like(parameter)), name
        elif name.endswith("bias"):
            assert torch.equal(parameter, torch.zeros_like(parameter)), name
        else:
            assert float(parameter.detach().std()) == pytest.approx(0.02, rel=0.05), name
            assert abs(float(parameter.detach().mean())) < 0.002, name


def test_count_parameters_counts_what_is_frozen_too() -> None:
    with torch.device("meta"):
        encoder = Encoder(EncoderConfig())
    assert count_parameters(encoder) == 66_362_880  # as published for distilbert-base-uncased
    encoder.embeddings.token.weight.requires_grad_(False)
    assert count_parameters(encoder) == 66_362_880


def test_a_model_knows_its_device() -> None:
    assert model_device(tiny_qa_model()) == torch.device("cpu")


class SequenceHead(torch.nn.Linear):
    rows = "sequence"


def test_a_head_that_reads_the_first_token_pays_for_no_other_in_the_last_layer() -> None:
    torch.manual_seed(0)
    batch = batch_of([[5, 6, 7], [8, 9], [10]])
    encoder = Encoder(TINY).eval()
    model = TaskModel(encoder, SequenceHead(TINY.hidden_size, 3))
    everywhere = model.head(encoder(batch))
    rows_done: list[int] = []
    for layer in (encoder.layers[0], encoder.layers[-1]):
        layer.get_submodule("feed_forward").register_forward_hook(lambda _, __, out: rows_done.append(len(out)))
    out = model(batch)
    assert out.shape == (3, 3)
    torch.testing.assert_close(out, everywhere[[0, 3, 5]], atol=1e-6, rtol=0)
    assert rows_done == [6, 3]
    filled = fill_up(batch, 8, 3)
    torch.testing.assert_close(model(filled), out, atol=1e-6, rtol=0)


def with_rows(rows: object) -> torch.nn.Module:
    head = torch.nn.Linear(TINY.hidden_size, 3)
    head.rows = rows  # type: ignore[assignment]
    return head


def test_a_head_says_what_it_gives_a_row_of_and_by_default_that_is_a_token() -> None:
    batch = batch_of([[5, 6, 7], [8, 9], [10]])
    heads = {torch.nn.Linear(TINY.hidden_size, 3): 6, with_rows("token"): 6, with_rows("sequence"): 3}
    for head, n_rows in heads.items():
        assert len(TaskModel(Encoder(TINY).eval(), head)(batch)) == n_rows


@pytest.mark.parametrize("rows", [True, False, None, "first token", "sequences"])
def test_a_head_that_says_something_else_is_refused(rows: object) -> None:
    """Once `reads_first_token = False` counted as True: what is no answer is no answer now."""
    with pytest.raises(ModelError, match="gives a row of"):
        TaskModel(Encoder(TINY), with_rows(rows))


def test_reads_first_token_means_nothing_any_more() -> None:
    head = torch.nn.Linear(TINY.hidden_size, 3)
    head.reads_first_token = False  # type: ignore[assignment]
    assert TaskModel(Encoder(TINY), head).rows == "token"


class PooledHead(torch.nn.Linear):
    rows = "sequence"

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return super().forward(hidden).mean(dim=0, keepdim=True)


def test_a_head_that_makes_another_number_of_rows_is_refused() -> None:
    model = TaskModel(Encoder(TINY), PooledHead(TINY.hidden_size, 3)).eval()
    with pytest.raises(ModelError, match="1 rows for 3 vectors"):
        model(batch_of([[5, 6, 7], [8, 9], [10]]))
