"""The BGE rerankers made of language models, by the steps of FlagEmbedding's inference code.

Source: FlagEmbedding, inference/reranker/decoder_only/{base,layerwise,lightweight}.py and the two
modeling files beside them. Scores are those of normalize=False.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import rms_norm, scaled_dot_product_attention, silu
from transformers import Gemma2Config, Gemma2Model

from ._causal import ids_of, last_logits, tokenizer_of

__all__ = ["PROMPT", "PROMPT_LIGHTWEIGHT", "prompt_ids", "score_gemma", "score_gemma2"]
__all__ += ["score_minicpm"]

PROMPT = (
    "Given a query A and a passage B, determine whether the passage contains an answer to the "
    "query by providing a prediction of either 'Yes' or 'No'."
)
PROMPT_LIGHTWEIGHT = "Predict whether passage B contains an answer to query A."


def prompt_ids(
    folder: Path, query: str, document: str, prompt: str, *, max_length: int = 512
) -> list[int]:
    """Five pieces, each tokenised by itself; the passage is cut to make query and passage fit."""
    separator, task = ids_of(folder, "\n"), ids_of(folder, prompt)
    own = ids_of(folder, f"A: {query}")[: max_length * 3 // 4]
    passage = ids_of(folder, f"B: {document}")[:max_length]
    front = [tokenizer_of(folder).bos_token_id, *own]
    behind = [*separator, *passage]
    room = max_length + len(separator) + len(task)
    behind = behind[: max(room - len(front), 0)]
    return [*front, *behind, *separator, *task]


def score_gemma(folder: Path, query: str, document: str, instruction: str | None = None) -> float:
    """The logit of `Yes`."""
    ids = prompt_ids(folder, query, document, instruction or PROMPT)
    return float(last_logits(folder, ids)[ids_of(folder, "Yes")[0]])


def score_minicpm(
    folder: Path,
    query: str,
    document: str,
    instruction: str | None = None,
    *,
    layer: int,
) -> float:
    """The normed state behind `layer` layers through the row of that layer."""
    ids = prompt_ids(folder, query, document, instruction or PROMPT)
    config, weights = _config(str(folder)), _weights(str(folder))
    row = weights[f"lm_head.{layer - config['start_layer']}.linear_head.weight"]
    return float(_minicpm_state(config, weights, ids, layer) @ row[0])


def score_gemma2(
    folder: Path,
    query: str,
    document: str,
    instruction: str | None = None,
    *,
    layer: int,
) -> float:
    """The normed state behind `layer` layers through the first row, softly capped.

    The vendor counts rows by the place of a layer among those asked for: with one layer the first.
    """
    ids = prompt_ids(folder, query, document, instruction or PROMPT_LIGHTWEIGHT)
    config, weights, model = _config(str(folder)), _weights(str(folder)), _gemma2(str(folder))
    with torch.inference_mode():
        output = model(torch.tensor([ids]), output_hidden_states=True)
        behind = output.hidden_states[layer][0, -1]
        # transformers norms the last of them itself
        state = behind if layer == config["num_hidden_layers"] else model.norm(behind)
    logit = float(state @ weights["lm_head.0.linear_head.weight"][0])
    cap = config["final_logit_softcapping"]
    return float(torch.tanh(torch.tensor(logit / cap)) * cap)


def _minicpm_state(
    config: dict[str, Any], weights: dict[str, Tensor], ids: list[int], num_layers: int
) -> Tensor:
    """MiniCPM's forward pass with torch alone: Llama, with multipliers at three places."""
    width, heads = config["hidden_size"], config["num_attention_heads"]
    share = config["scale_depth"] / config["num_hidden_layers"] ** 0.5
    hidden = weights["model.embed_tokens.weight"][ids] * config["scale_emb"]

    def norm(states: Tensor, name: str) -> Tensor:
        weight = weights[f"model.{name}.weight"]
        return rms_norm(states, (width,), weight, config["rms_norm_eps"])

    for layer in range(num_layers):
        name = f"layers.{layer}"
        normed = norm(hidden, f"{name}.input_layernorm")
        query, key, value = (
            (normed @ weights[f"model.{name}.self_attn.{kind}_proj.weight"].T)
            .view(len(ids), heads, -1)
            .transpose(0, 1)
            for kind in "qkv"
        )
        query, key = (_rotated(states, config["rope_theta"]) for states in (query, key))
        mixed = scaled_dot_product_attention(query, key, value, is_causal=True)
        mixed = mixed.transpose(0, 1).reshape(len(ids), width)
        hidden = hidden + mixed @ weights[f"model.{name}.self_attn.o_proj.weight"].T * share
        normed = norm(hidden, f"{name}.post_attention_layernorm")
        gate, up, down = (
            weights[f"model.{name}.mlp.{kind}_proj.weight"].T for kind in ("gate", "up", "down")
        )
        hidden = hidden + (silu(normed @ gate) * (normed @ up)) @ down * share
    return norm(hidden, "norm")[-1]


def _rotated(states: Tensor, theta: float) -> Tensor:
    """states: (heads, tokens, head_dim), positions from 0 on."""
    half = states.shape[-1] // 2
    speeds = theta ** (-torch.arange(half).float() / half)
    angles = torch.outer(torch.arange(states.shape[1]).float(), speeds)
    first, second = states[..., :half], states[..., half:]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


@lru_cache(maxsize=8)
def _config(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    return found


@lru_cache(maxsize=8)
def _weights(folder: str) -> dict[str, Tensor]:
    return load_file(Path(folder) / "model.safetensors")


@lru_cache(maxsize=8)
def _gemma2(folder: str) -> Gemma2Model:
    """All layers of the checkpoint, in transformers' class."""
    said = _config(folder)
    names = {field for field in Gemma2Config().to_dict() if field in said} - {"model_type"}
    model = Gemma2Model(Gemma2Config(**{name: said[name] for name in names - {"architectures"}}))
    own = {
        name.removeprefix("model."): tensor
        for name, tensor in _weights(folder).items()
        if name.startswith("model.")
    }
    model.load_state_dict(own)
    return model.eval()
