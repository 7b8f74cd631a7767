"""Fine-tuning on pictures and on sounds makes rankings of held-out documents better."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Audio, Dataset, Features, Image, Value
from PIL import Image as PILImage

from mmrerank import CrossEncoder
from mmrerank.cross_encoder.evaluation import CrossEncoderRerankingEvaluator
from mmrerank.cross_encoder.losses import BinaryCrossEntropyLoss
from mmrerank.cross_encoder.trainer import CrossEncoderTrainer
from mmrerank.cross_encoder.training_args import CrossEncoderTrainingArguments
from mmrerank.training.presets import lora_config
from tests.checkpoints import build_qwen3_vl

pytestmark = pytest.mark.slow

Make = Callable[[str, np.random.Generator], Any]

COLOURS = {
    "red": (200, 30, 30),
    "green": (30, 180, 40),
    "blue": (30, 50, 210),
    "yellow": (220, 210, 40),
}
# Words that the embedded model has never met: what it knows of tones already is of no help.
TONES_HZ = {"vuno": 200.0, "vadue": 500.0, "vatre": 1200.0, "voqua": 3000.0}
SIDE_PX = 64
SAMPLING_RATE_HZ = 16_000
NUM_QUERIES, NUM_NEGATIVES = 16, 9
NEEDED_GAIN = 0.10


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def picture(colour: str, rng: np.random.Generator) -> PILImage.Image:
    """A plane of a colour, a little off it, with noise."""
    base = np.array(COLOURS[colour], dtype=float) + rng.integers(-25, 26, 3)
    noise = rng.normal(0, 12, (SIDE_PX, SIDE_PX, 3))
    return PILImage.fromarray(np.clip(base + noise, 0, 255).astype(np.uint8))


def tone(word: str, rng: np.random.Generator) -> dict[str, Any]:
    """Half a second of a pitch, a little off it, with noise."""
    hz = TONES_HZ[word] * rng.uniform(0.92, 1.08)
    num_samples = int(SAMPLING_RATE_HZ * rng.uniform(0.4, 0.6))
    phase = 2 * np.pi * hz * np.arange(num_samples) / SAMPLING_RATE_HZ
    samples = rng.uniform(0.2, 0.7) * np.sin(phase) + rng.normal(0, 0.01, num_samples)
    return {"array": samples.astype(np.float32), "sampling_rate": SAMPLING_RATE_HZ}


def training_rows(
    make: Make, words: Sequence[str], feature: Any, num: int, rng: np.random.Generator
) -> Dataset:
    """Each document twice: with its own word, and with another one."""
    rows: list[Mapping[str, Any]] = []
    for index in range(num):
        shown = words[index % len(words)]
        other = str(rng.choice([word for word in words if word != shown]))
        for asked in (shown, other):
            label = float(asked == shown)
            rows.append({"query": asked, "document": make(shown, rng), "label": label})
    features = Features(query=Value("string"), document=feature, label=Value("float64"))
    return Dataset.from_list(rows, features=features)


def held_out_queries(
    make: Make, words: Sequence[str], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Each query with one document of its own and nine of the other words."""
    queries = []
    for index in range(NUM_QUERIES):
        asked = words[index % len(words)]
        others = [word for word in words if word != asked]
        wrong = [make(others[place % len(others)], rng) for place in range(NUM_NEGATIVES)]
        queries.append({"query": asked, "positive": [make(asked, rng)], "negative": wrong})
    return queries


def gain_of_training(
    model: CrossEncoder,
    data: Dataset,
    held_out: list[dict[str, Any]],
    folder: Path,
    seed: int,
    **arguments: Any,
) -> float:
    """nDCG@10 of held-out queries after a LoRA fine-tune, less that before it."""
    evaluator = CrossEncoderRerankingEvaluator(held_out, at_k=10, write_csv=False)
    before = evaluator(model)["ndcg@10"]
    torch.manual_seed(seed)
    model.add_adapter(lora_config(model, "multimodal-reranker"))
    trainer = CrossEncoderTrainer(
        model=model,
        args=CrossEncoderTrainingArguments(
            output_dir=str(folder),
            prompts=model.prompts.get(model.default_prompt_name or ""),
            per_device_train_batch_size=16,
            warmup_steps=3,
            seed=seed,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **arguments,
        ),
        train_dataset=data,
        loss=BinaryCrossEntropyLoss(model),
    )
    trainer.train()
    return float(evaluator(model)["ndcg@10"] - before)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pictures_are_learnt_by_a_vision_language_model(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    model = CrossEncoder(str(build_qwen3_vl(tmp_path / "vl", seed=seed)), device="cpu")
    data = training_rows(picture, list(COLOURS), Image(), 128, rng)
    held_out = held_out_queries(picture, list(COLOURS), rng)
    more = {"learning_rate": 3e-3, "num_train_epochs": 6}
    assert gain_of_training(model, data, held_out, tmp_path, seed, **more) >= NEEDED_GAIN


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sounds_are_learnt_by_the_embedded_model(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    model = CrossEncoder(device="cpu")
    feature = Audio(sampling_rate=SAMPLING_RATE_HZ)
    data = training_rows(tone, list(TONES_HZ), feature, 64, rng)
    held_out = held_out_queries(tone, list(TONES_HZ), rng)
    more = {"learning_rate": 2e-3, "num_train_epochs": 4}
    assert gain_of_training(model, data, held_out, tmp_path, seed, **more) >= NEEDED_GAIN
