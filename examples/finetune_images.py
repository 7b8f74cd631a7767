"""Fine-tune an adapter on pictures: python -m examples.finetune_images --model FOLDER"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset
from PIL import Image, ImageDraw

from mmrerank import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
from mmrerank.training.presets import multimodal_reranker

WORDS = {"a zibu": [10, 10, 54, 54], "a kalo": [10, 54, 54, 10]}  # lines from corner to corner


def draw(word: str, path: Path, chooser: random.Random) -> dict[str, str]:
    """A picture of what the word shall stand for, in any dark colour, as a file."""
    picture = Image.new("RGB", (64, 64), "white")
    colour = (chooser.randrange(160), chooser.randrange(160), chooser.randrange(160))
    ImageDraw.Draw(picture).line(WORDS[word], fill=colour, width=chooser.randrange(6, 12))
    picture.save(path)
    return {"image": str(path)}


def main(argv: Sequence[str] | None = None) -> float:
    """Train, save the adapter, load it and print how many new pictures get the right word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny-omni", help="folder or hub id")
    parser.add_argument("--out", default="my-adapter", help="folder of the adapter")
    parser.add_argument("--pictures", type=int, default=40)
    options = parser.parse_args(argv)

    folder, chooser = Path(options.out, "pictures"), random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    words = [list(WORDS)[number % len(WORDS)] for number in range(options.pictures)]
    shown = [draw(word, folder / f"{n}.png", chooser) for n, word in enumerate(words)]
    new = [draw(word, folder / f"new-{n}.png", chooser) for n, word in enumerate(words)]

    model = CrossEncoder(options.model)
    # LoRA on the language model, yes or no, learning rate, negatives; names here change it.
    preset = multimodal_reranker(model, learning_rate=1e-3, report_to="none", save_strategy="no")
    model.add_adapter(preset.lora)
    rows = [{"query": w, "positive": picture} for w, picture in zip(words, shown, strict=True)]
    on_cpu = model.device.type == "cpu"
    arguments = CrossEncoderTrainingArguments(options.out, use_cpu=on_cpu, **preset.arguments)
    dataset = Dataset.from_list(list(preset.pairs(rows)))
    CrossEncoderTrainer(model, arguments, dataset, loss=preset.loss(model)).train()
    model.save_pretrained(options.out)  # the adapter alone

    trained = CrossEncoder(options.out)  # the model with its adapter
    best = [list(WORDS)[trained.rank(picture, list(WORDS))[0]["corpus_id"]] for picture in new]
    share = sum(found == word for found, word in zip(best, words, strict=True)) / len(words)
    print(f"{share:.0%} of {len(words)} new pictures have the right word first")
    return share


if __name__ == "__main__":
    main()
