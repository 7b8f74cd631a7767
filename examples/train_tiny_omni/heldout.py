"""Held-out pair accuracy while training: the same rows each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmrerank import CrossEncoder

from .bank import render
from .batches import Row, collate, forward_scores
from .captions import describe
from .tokenizer import token_id
from .world import Kind, Scene, all_scenes, hard_negative

__all__ = ["HeldOut", "draw_held_out", "eval_named"]


def eval_named(kind: Kind, rng: np.random.Generator) -> frozenset[str]:
    """Draw named attributes that make up the held-out combination, and sometimes the third."""
    if kind != "sound":
        third = "background" if kind == "picture" else "motion"
        share = 0.3 if kind == "picture" else 0.6
        return frozenset({"colour", "shape"} | ({third} if rng.random() < share else set()))
    names = ["pitch", "timbre", "count"]
    if rng.random() < 0.5:
        names.remove(str(rng.choice(names)))
    return frozenset(names)


def draw_held_out(kind: Kind, rng: np.random.Generator) -> tuple[Scene, Scene, frozenset[str], str]:
    """Draw a held-out scene, a scene one named attribute away, what is named, and a query."""
    scenes = all_scenes(kind, held_out=True)
    scene = scenes[int(rng.integers(len(scenes)))]
    named = eval_named(kind, rng)
    other = hard_negative(scene, named, rng, allow_held_out=True)
    return scene, other, named, describe(scene, named, rng)


class HeldOut:
    """Fixed pairs of each sort; accuracy is the share scored in the right order."""

    def __init__(self, num_pairs: int = 60, seed: int = 77) -> None:
        rng = np.random.default_rng(seed)
        self.rows: dict[str, list[Row]] = {}
        for kind in ("picture", "clip", "sound"):
            drawn = [draw_held_out(kind, rng) for _ in range(num_pairs)]
            media = [(render(one, rng), render(other, rng)) for one, other, _, _ in drawn]
            self.rows[f"text-{kind}"] = [
                Row(query, (each,), 0.0)
                for (_, _, _, query), both in zip(drawn, media, strict=True)
                for each in both
            ]
            self.rows[f"{kind}-text"] = [
                Row(both[0], (describe(scene, named, rng),), 0.0)
                for (one, other, named, _), both in zip(drawn, media, strict=True)
                for scene in (one, other)
            ]
            self.rows[f"text-text/{kind}"] = [
                Row(query, (describe(scene, named, rng),), 0.0)
                for one, other, named, query in drawn
                for scene in (one, other)
            ]

    @torch.no_grad()
    def __call__(self, model: CrossEncoder, **_: Any) -> dict[str, float]:
        """Return pair accuracy of each sort and their mean; an evaluator of the trainer."""
        tokenizer, result = model.tokenizer, {}
        yes_no = (token_id(tokenizer, "yes"), token_id(tokenizer, "no"))
        for name, rows in self.rows.items():
            with torch.autocast("cpu", dtype=torch.bfloat16):
                parts = [
                    forward_scores(model.transformers_model, collate(part, tokenizer), yes_no)[0]
                    for part in _chunks(rows, 100)
                ]
            scores = torch.cat(parts)
            result[name] = round(float((scores[0::2] > scores[1::2]).float().mean()), 3)
        return {**result, "mean": round(sum(result.values()) / len(result), 4)}


def _chunks(rows: Sequence[Row], size: int) -> list[Sequence[Row]]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]
