"""A checkpoint like the ettin rerankers: an encoder, Pooling, Dense, LayerNorm, Dense to scores."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from sentence_transformers import CrossEncoder as Peer
from sentence_transformers.base.modules.dense import Dense
from sentence_transformers.base.modules.transformer import Transformer
from sentence_transformers.sentence_transformer.modules.layer_norm import LayerNorm
from sentence_transformers.sentence_transformer.modules.pooling import Pooling
from transformers import AutoModel, AutoTokenizer

from tests import checkpoints

__all__ = ["build_chain"]


def build_chain(folder: Path, *, seed: int = 0, pooling_mode: str = "cls") -> Path:
    """Written by sentence-transformers' own save_pretrained, with lively random weights."""
    with tempfile.TemporaryDirectory() as scratch:
        classifier = checkpoints.build_modernbert(Path(scratch) / "classifier", seed=seed)
        encoder = Path(scratch) / "encoder"
        AutoModel.from_pretrained(classifier).save_pretrained(encoder)
        AutoTokenizer.from_pretrained(classifier).save_pretrained(encoder)
        transformer = Transformer(str(encoder), transformer_task="feature-extraction")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        modules = [
            transformer,
            Pooling(32, pooling_mode=pooling_mode, include_prompt=True),
            Dense(32, 24, bias=False, activation_function=torch.nn.GELU()),
            LayerNorm(24),
            Dense(
                24,
                1,
                bias=True,
                activation_function=torch.nn.Identity(),
                module_output_name="scores",
            ),
        ]
        for module in modules[1:]:
            for parameter in module.parameters():
                torch.nn.init.normal_(parameter)
    model = Peer(modules=modules, device="cpu", activation_fn=torch.nn.Identity())
    model.save_pretrained(str(folder), create_model_card=False)
    return folder
