"""Teach a reranker words that it has never met: python -m examples.finetune_text"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from datasets import Dataset

from mmrerank import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
from mmrerank.cross_encoder.evaluation import CrossEncoderRerankingEvaluator
from mmrerank.cross_encoder.losses import BinaryCrossEntropyLoss

MEANINGS = {"vuno": "red", "vadue": "green", "vatre": "blue", "voqua": "yellow"}
SHAPES, HELD_OUT_SHAPES = ["circle", "square", "triangle"], ["star", "ring"]


def main(argv: Sequence[str] | None = None) -> tuple[float, float]:
    """Fine-tune, save, and print the nDCG@10 of held-out queries before and after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny-omni", help="folder or hub id")
    parser.add_argument("--out", default="my-reranker", help="folder of the trained model")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--learning-rate", type=float, default=1e-3)  # 2e-5 for a real model
    options = parser.parse_args(argv)

    # Label 1 for what answers the query, 0 for what does not.
    rows = [
        {"query": f"a {word} {s}", "document": f"a {c} {s}", "label": float(c == meaning)}
        for word, meaning in MEANINGS.items()
        for c in MEANINGS.values()
        for s in SHAPES
    ]
    held_out = [
        {
            "query": f"a {word} {s}",
            "positive": [f"a {meaning} {s}"],
            "negative": [f"a {c} {s}" for c in MEANINGS.values() if c != meaning],
        }
        for word, meaning in MEANINGS.items()
        for s in HELD_OUT_SHAPES
    ]
    model = CrossEncoder(options.model)
    evaluator = CrossEncoderRerankingEvaluator(held_out)
    before = evaluator(model)["ndcg@10"]
    arguments = CrossEncoderTrainingArguments(
        output_dir=options.out,
        max_steps=options.steps,
        per_device_train_batch_size=16,
        learning_rate=options.learning_rate,
        use_cpu=model.device.type == "cpu",
        save_strategy="no",
        report_to="none",
    )
    loss = BinaryCrossEntropyLoss(model)
    CrossEncoderTrainer(model, arguments, Dataset.from_list(rows), loss=loss).train()
    model.save_pretrained(options.out)
    after = evaluator(model)["ndcg@10"]
    print(f"nDCG@10 of held-out queries: {before:.3f} before, {after:.3f} after")
    return before, after


if __name__ == "__main__":
    main()
