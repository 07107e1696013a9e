"""Self-attention over packed sequences: one function, its backend chosen here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from distiltune.data.packing import token_positions
from distiltune.model.dropout import keep_mask, keep_scale
from distiltune.model.products import product
from distiltune.system.device import works_at_once

_HALF = (torch.bfloat16, torch.float16)


def can_drop(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether attention weights are dropped there: PyTorch's flash attention for different lengths has no dropout."""
    return works_at_once(device) or dtype not in _HALF


def packed_attention(
    query_key_value: Tensor,
    cu_seqlens: Tensor,
    lengths: tuple[int, ...],
    max_length: int,
    n_heads: int,
    dropout: float,
) -> Tensor:
    """Scaled dot-product attention restarted at every sequence (Vaswani et al. 2017, eq. 1).

    Args:
        query_key_value: ``(total_tokens, 3 * hidden)``, the projections side by side.
        cu_seqlens: ``(n_sequences + 1,)`` boundaries of the sequences.
        lengths: the same boundaries as lengths on the host.
        max_length: the longest of them, or a bound.
        n_heads: number of heads; ``hidden`` is divisible by it.
        dropout: probability with which an attention weight is dropped, where that ``can_drop``; 0 outside training.

    Returns:
        ``(total_tokens, hidden)`` in the type of the input. No token sees one of another sequence.

    """
    if query_key_value.device.type != "cpu":
        if not can_drop(query_key_value.device, query_key_value.dtype):
            if _flash_takes(query_key_value.shape[1] // (3 * n_heads)):
                return _flash_attention(query_key_value, cu_seqlens, max_length, n_heads)
            dropout = 0.0  # as everywhere in this precision
        return padded_attention(query_key_value, cu_seqlens, max_length, n_heads, dropout)
    if query_key_value.requires_grad:
        whole = query_key_value.float() if query_key_value.dtype in _HALF else query_key_value
        mixed: Tensor = _PackedAttention.apply(whole, lengths, n_heads, dropout)  # type: ignore[no-untyped-call]
        return mixed.to(query_key_value.dtype)
    return _inference_attention(query_key_value, lengths, n_heads, dropout)


def _flash_takes(head_size: int) -> bool:
    """Whether PyTorch's flash attention has kernels for heads of that width."""
    return head_size % 8 == 0 and head_size <= 256


def _flash_attention(query_key_value: Tensor, cu_seqlens: Tensor, max_length: int, n_heads: int) -> Tensor:
    """FlashAttention-2 (Dao 2023) over sequences of different lengths; no attention weights are kept or dropped."""
    from torch.nn.attention.varlen import varlen_attn

    n_tokens, width = query_key_value.shape
    query, key, value = query_key_value.view(n_tokens, 3, n_heads, width // (3 * n_heads)).unbind(1)
    mixed = varlen_attn(query, key, value, cu_seqlens, cu_seqlens, max_length, max_length)
    assert isinstance(mixed, Tensor)  # a pair only where more is asked for
    return mixed.reshape(n_tokens, width // 3)


def padded_attention(
    query_key_value: Tensor, cu_seqlens: Tensor, max_length: int, n_heads: int, dropout: float
) -> Tensor:
    """Attention over a padded copy, in plain differentiable operations: the exact way on a GPU, the reference on a CPU.

    Its shapes depend on ``max_length`` and not on the lengths, so that it can be recorded and replayed.
    """
    n_tokens, width = query_key_value.shape
    n_sequences = cu_seqlens.shape[0] - 1
    sequence, within = token_positions(cu_seqlens, n_tokens)
    padded = query_key_value.new_zeros(n_sequences, max_length, width).index_put((sequence, within), query_key_value)
    query, key, value = padded.view(n_sequences, max_length, 3, n_heads, -1).permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    behind = torch.arange(max_length, device=cu_seqlens.device) >= cu_seqlens.diff()[:, None]
    # Finite, since a sequence of no tokens would otherwise have weights that are not numbers.
    scores = scores.masked_fill(behind[:, None, None, :], torch.finfo(scores.dtype).min)
    weights = F.dropout(scores.softmax(dim=-1), dropout)
    mixed: Tensor = (weights @ value).transpose(1, 2).reshape(n_sequences, max_length, width // 3)
    return mixed[sequence, within]


def _heads(flat: Tensor, start: int, length: int, n_parts: int, n_heads: int) -> tuple[Tensor, ...]:
    """``n_parts`` blocks of one sequence's columns, each a view ``(n_heads, length, head_size)``."""
    return flat[start : start + length].view(length, n_parts, n_heads, -1).permute(1, 2, 0, 3).unbind(0)


def _inference_attention(query_key_value: Tensor, lengths: tuple[int, ...], n_heads: int, dropout: float) -> Tensor:
    """Sequence by sequence through PyTorch's fused kernel, which keeps no attention weights.

    In bfloat16 that kernel is slower than in float32, so the products are written out there: 1.6 to 2.3 times as quick.
    """
    attend = _bfloat16_attention if query_key_value.dtype == torch.bfloat16 else _fused_attention
    hidden = query_key_value.shape[1] // 3
    out = query_key_value.new_empty(query_key_value.shape[0], hidden)
    start = 0
    for length in lengths:
        query, key, value = _heads(query_key_value, start, length, 3, n_heads)
        mixed = attend(query, key, value, dropout)
        out[start : start + length].view(length, n_heads, -1).copy_(mixed.transpose(0, 1))
        start += length
    return out


def _fused_attention(query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
    mixed: Tensor = F.scaled_dot_product_attention(query[None], key[None], value[None], dropout_p=dropout)
    return mixed[0]


def _bfloat16_attention(query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
    scores = (query / math.sqrt(query.shape[-1])) @ key.transpose(1, 2)
    mixed: Tensor = F.dropout(scores.softmax(dim=-1), dropout) @ value
    return mixed


class _PackedAttention(torch.autograd.Function):
    """Attention with dropout on its weights, written out so that each sequence is a handful of products.

    PyTorch's fused CPU kernel has no dropout; its plain one materialises copies that this one avoids. The weights of
    all sequences lie in one buffer, and one byte says whether a weight was kept: many pieces of ever different sizes
    would fragment the heap. The factors 1/√head_size and 1/(1 - dropout) are applied to the small tensors.
    """

    @staticmethod
    def forward(ctx: Any, query_key_value: Tensor, lengths: tuple[int, ...], n_heads: int, dropout: float) -> Tensor:
        hidden = query_key_value.shape[1] // 3
        scale = 1.0 / math.sqrt(hidden // n_heads)
        scaled_query = query_key_value[:, :hidden] * scale
        out = query_key_value.new_empty(query_key_value.shape[0], hidden)
        weights = query_key_value.new_empty(n_heads * sum(length * length for length in lengths))
        kept = keep_mask(weights.shape, dropout) if dropout > 0.0 else None
        for start, length, part in _parts(lengths, n_heads):
            shape = n_heads, length, length
            (query,) = _heads(scaled_query, start, length, 1, n_heads)
            _, key, value = _heads(query_key_value, start, length, 3, n_heads)
            probabilities = weights[part].view(shape)
            product(query, key.transpose(1, 2), probabilities)
            torch.softmax(probabilities, dim=-1, out=probabilities)
            if kept is not None:
                probabilities = probabilities * kept[part].view(shape)
            (mixed,) = _heads(out, start, length, 1, n_heads)
            product(probabilities, value, mixed)
        ctx.save_for_backward(query_key_value, weights, kept)
        ctx.lengths, ctx.n_heads, ctx.scale, ctx.keep_scale = lengths, n_heads, scale, keep_scale(dropout)
        return out.mul_(ctx.keep_scale) if kept is not None else out

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None, None, None]:
        query_key_value, weights, kept = ctx.saved_tensors
        lengths, n_heads = ctx.lengths, ctx.n_heads
        hidden = query_key_value.shape[1] // 3
        grad = torch.empty_like(query_key_value)
        for start, length, part in _parts(lengths, n_heads):
            shape = n_heads, length, length
            query, key, value = _heads(query_key_value, start, length, 3, n_heads)
            grad_query, grad_key, grad_value = _heads(grad, start, length, 3, n_heads)
            (grad_mixed,) = _heads(grad_out, start, length, 1, n_heads)
            probabilities = weights[part].view(shape)
            dropped = probabilities if kept is None else probabilities * kept[part].view(shape)
            product(dropped.transpose(1, 2), grad_mixed, grad_value)
            grad_weights = product(grad_mixed, value.transpose(1, 2), torch.empty_like(probabilities))
            if kept is not None:
                grad_weights.mul_(kept[part].view(shape))
            grad_scores = torch._softmax_backward_data(grad_weights, probabilities, -1, probabilities.dtype)
            product(grad_scores, key, grad_query)
            product(grad_scores.transpose(1, 2), query, grad_key)
        if kept is not None:
            grad.mul_(ctx.keep_scale)
        grad[:, : 2 * hidden].mul_(ctx.scale)
        return grad, None, None, None


def _parts(lengths: tuple[int, ...], n_heads: int) -> Iterator[tuple[int, int, slice]]:
    """For each sequence its first token, its length, and its part of a buffer of all attention weights."""
    start = first = 0
    for length in lengths:
        n_weights = n_heads * length * length
        if length:
            yield start, length, slice(first, first + n_weights)
        start += length
        first += n_weights
