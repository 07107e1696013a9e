"""Self-attention over packed sequences: one function, its backend chosen here and nowhere else."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from distiltune.model.dropout import keep_factors


def packed_attention(
    query_key_value: Tensor, cu_seqlens: Tensor, lengths: tuple[int, ...], n_heads: int, dropout: float
) -> Tensor:
    """Scaled dot-product attention restarted at every sequence (Vaswani et al. 2017, eq. 1).

    Args:
        query_key_value: ``(total_tokens, 3 * hidden)``, the projections side by side.
        cu_seqlens: ``(n_sequences + 1,)`` boundaries of the sequences.
        lengths: the same boundaries as lengths on the host.
        n_heads: number of heads; ``hidden`` is divisible by it.
        dropout: probability with which an attention weight is dropped; 0 outside training.

    Returns:
        ``(total_tokens, hidden)``. No token sees one of another sequence.

    """
    if query_key_value.requires_grad:
        out: Tensor = _PackedAttention.apply(query_key_value, lengths, n_heads, dropout)  # type: ignore[no-untyped-call]
        return out
    return _inference_attention(query_key_value, lengths, n_heads, dropout)


def _heads(flat: Tensor, start: int, length: int, n_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value of one sequence, each a view ``(n_heads, length, head_size)``."""
    block = flat[start : start + length].view(length, 3, n_heads, -1).permute(1, 2, 0, 3)
    return block[0], block[1], block[2]


def _inference_attention(query_key_value: Tensor, lengths: tuple[int, ...], n_heads: int, dropout: float) -> Tensor:
    """Sequence by sequence through PyTorch's fused kernel, which keeps no attention weights."""
    hidden = query_key_value.shape[1] // 3
    out = query_key_value.new_empty(query_key_value.shape[0], hidden)
    start = 0
    for length in lengths:
        query, key, value = _heads(query_key_value, start, length, n_heads)
        mixed = F.scaled_dot_product_attention(query[None], key[None], value[None], dropout_p=dropout)
        out[start : start + length].view(length, n_heads, -1).copy_(mixed[0].transpose(0, 1))
        start += length
    return out


class _PackedAttention(torch.autograd.Function):
    """Attention with dropout on its weights, written out so that each sequence is a handful of products.

    PyTorch's fused CPU kernel has no dropout; its plain one materialises copies that this one avoids.
    """

    @staticmethod
    def forward(ctx: Any, query_key_value: Tensor, lengths: tuple[int, ...], n_heads: int, dropout: float) -> Tensor:
        hidden = query_key_value.shape[1] // 3
        scale = 1.0 / math.sqrt(hidden // n_heads)
        out = query_key_value.new_empty(query_key_value.shape[0], hidden)
        weights: list[Tensor] = []
        kept: list[Tensor] = []
        start = 0
        for length in lengths:
            query, key, value = _heads(query_key_value, start, length, n_heads)
            scores = query.new_empty(n_heads, length, length)
            torch.baddbmm(scores, query, key.transpose(1, 2), beta=0.0, alpha=scale, out=scores)
            probabilities = torch.softmax(scores, dim=-1, out=scores)
            weights.append(probabilities)
            if dropout > 0.0:
                mask = keep_factors(probabilities.shape, dropout, probabilities.device)
                kept.append(mask)
                probabilities = probabilities * mask
            target = out[start : start + length].view(length, n_heads, -1).transpose(0, 1)
            target.copy_(torch.bmm(probabilities, value))
            start += length
        ctx.save_for_backward(query_key_value, *weights, *kept)
        ctx.lengths, ctx.n_heads, ctx.scale = lengths, n_heads, scale
        return out

    @staticmethod
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None, None, None]:
        query_key_value, *saved = ctx.saved_tensors
        lengths, n_heads, scale = ctx.lengths, ctx.n_heads, ctx.scale
        weights, kept = saved[: len(lengths)], saved[len(lengths) :]
        grad = torch.empty_like(query_key_value)
        start = 0
        for i, length in enumerate(lengths):
            query, key, value = _heads(query_key_value, start, length, n_heads)
            grad_query, grad_key, grad_value = _heads(grad, start, length, n_heads)
            grad_mixed = grad_out[start : start + length].view(length, n_heads, -1).transpose(0, 1)
            probabilities = weights[i]
            dropped = probabilities * kept[i] if kept else probabilities
            grad_value.copy_(torch.bmm(dropped.transpose(1, 2), grad_mixed))
            grad_weights = torch.bmm(grad_mixed, value.transpose(1, 2))
            if kept:
                grad_weights.mul_(kept[i])
            grad_scores = torch._softmax_backward_data(grad_weights, probabilities, -1, probabilities.dtype)
            grad_query.copy_(torch.bmm(grad_scores, key).mul_(scale))
            grad_key.copy_(torch.bmm(grad_scores.transpose(1, 2), query).mul_(scale))
            start += length
        return grad, None, None, None
