"""Clips of the Qwen3-VL-Reranker family: frames and pixels as qwen-vl-utils would choose them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from qwen_vl_utils.vision_process import smart_nframes, smart_resize

from mmrerank import CrossEncoder, Video
from mmrerank.media import sample_frame_indices
from mmrerank.specs import find_processor
from mmrerank.types import Document, Pair, Text
from tests import checkpoints

FRAME_PX = {"min_pixels": 128 * 32 * 32, "max_pixels": 768 * 32 * 32}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> CrossEncoder:
    folder = tmp_path_factory.mktemp("hub") / "Qwen3-VL-Reranker-2B"
    return CrossEncoder(str(checkpoints.build_qwen3_vl_plain(folder)), device="cpu")


@pytest.mark.parametrize("seconds", [2.0, 3.7, 5.5, 20.0, 200.0])
def test_as_many_frames_as_the_vendors_rule(seconds: float) -> None:
    budget = find_processor("qwen3-vl-reranker").budget.decode
    total = round(seconds * 25)
    theirs = smart_nframes({"fps": 1, "max_frames": 64}, total_frames=total, video_fps=25.0)
    assert len(sample_frame_indices(total, 25.0, total / 25.0, budget)) == theirs


@pytest.mark.parametrize(("height", "width"), [(64, 64), (240, 426), (720, 1280), (1100, 900)])
def test_each_frame_gets_the_pixels_of_the_vendors_rule(
    model: CrossEncoder, height: int, width: int
) -> None:
    frames = np.zeros((4, height, width, 3), dtype=np.uint8)
    metadata = {"fps": 1.0, "frames_indices": [0, 1, 2, 3], "total_num_frames": 4}
    document = Document((Video(frames, metadata=metadata),))
    _, features = model.pipeline.encode([Pair(0, Document((Text("q"),)), document)])
    (feature,) = features.values()
    wanted = smart_resize(height, width, factor=32, **FRAME_PX)
    assert feature.tensors["video_grid_thw"].tolist() == [[2, wanted[0] // 16, wanted[1] // 16]]


def test_saved_model_keeps_frames_and_pixels(model: CrossEncoder, tmp_path: Path) -> None:
    """For frames above the least size; that one the saved form cannot say of each frame."""
    model.save_pretrained(tmp_path / "saved")
    again = CrossEncoder(str(tmp_path / "saved"), device="cpu")
    clip = np.random.default_rng(0).integers(0, 255, (60, 320, 448, 3), dtype=np.uint8)
    pair = ("a query", {"array": clip, "video_metadata": {"fps": 10.0, "total_num_frames": 60}})
    assert np.abs(again.predict([pair]) - model.predict([pair])).max() <= 1e-5
