"""Weights in other forms: quantised, GGUF, pickled. Loaded rightly, or refused with what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError
from mmrerank.specs import read_facts
from tests.checkpoints import build_bert, build_qwen3
from tests.cross_encoder._samples import PAIRS, assert_same_scores

_BLOCK = 16  # rows and columns that share a scale
_LARGEST = 448.0  # of float8_e4m3fn


def _quantised(folder: Path, settings: dict[str, Any]) -> Path:
    """A checkpoint whose config.json says so; its weights stay as they are."""
    build_bert(folder)
    _say(folder, settings)
    return folder


def _say(folder: Path, settings: dict[str, Any]) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "quantization_config": settings}), encoding="utf-8")


@pytest.mark.parametrize(
    ("settings", "package"),
    [
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes"),
        ({"quant_method": "awq", "bits": 4}, "gptqmodel"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "optimum"),
        ({"quant_method": "compressed-tensors"}, "compressed-tensors"),
    ],
)
def test_package_that_a_quantised_checkpoint_needs_is_named(
    settings: dict[str, Any], package: str, tmp_path: Path
) -> None:
    folder = _quantised(tmp_path / "m", settings)
    with pytest.raises(CheckpointError, match=rf"pip install (-U )?{package}") as error:
        CrossEncoder(str(folder), device="cpu")
    assert f"quant_method '{settings['quant_method']}'" in str(error.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "'modelopt'"),
        ({"quant_algo": "NVFP4"}, "a method that config.json does not name"),
    ],
)
def test_method_that_transformers_would_skip_is_refused(
    settings: dict[str, Any], told: str, tmp_path: Path
) -> None:
    folder = _quantised(tmp_path / "m", settings)
    with pytest.raises(CheckpointError, match=f"quantised by {told}, which transformers cannot"):
        CrossEncoder(str(folder), device="cpu")


def test_nvfp4_is_refused_with_what_to_use_instead(tmp_path: Path) -> None:
    folder = _quantised(tmp_path / "m", {"quant_method": "nvfp4"})
    with pytest.raises(CheckpointError, match=r"NVFP4.*use the checkpoint that it was quantised"):
        CrossEncoder(str(folder), device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU computes in fp8, not in what it is")
def test_fp8_scores_as_its_numbers_written_out(tmp_path: Path) -> None:
    packed, plain = build_qwen3(tmp_path / "fp8"), build_qwen3(tmp_path / "plain")
    written_out, in_fp8 = {}, {}
    for name, weight in load_file(plain / "model.safetensors").items():
        if not name.endswith("_proj.weight"):
            written_out[name] = in_fp8[name] = weight
            continue
        numbers, scales = _to_fp8(weight)
        in_fp8[name], in_fp8[f"{name}_scale_inv"] = numbers, scales
        written_out[name] = (numbers.float() * _spread(scales)).contiguous()
    save_file(in_fp8, packed / "model.safetensors", metadata={"format": "pt"})
    save_file(written_out, plain / "model.safetensors", metadata={"format": "pt"})
    _say(
        packed,
        {
            "quant_method": "fp8",
            "activation_scheme": "dynamic",
            "weight_block_size": [_BLOCK, _BLOCK],
        },
    )
    scores = [CrossEncoder(str(f), device="cpu").predict(PAIRS) for f in (packed, plain)]
    assert_same_scores(*scores)


def _to_fp8(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers of the same shape, and one scale for each block."""
    blocks = weight.unfold(0, _BLOCK, _BLOCK).unfold(1, _BLOCK, _BLOCK)
    scales = blocks.abs().amax(dim=(-1, -2)) / _LARGEST
    return (weight / _spread(scales)).to(torch.float8_e4m3fn), scales.contiguous()


def _spread(scales: torch.Tensor) -> torch.Tensor:
    return scales.repeat_interleave(_BLOCK, 0).repeat_interleave(_BLOCK, 1)


# ---------------------------------------------------------------- other kinds of file


def test_gguf_folder_is_refused_with_what_to_use(tmp_path: Path) -> None:
    (tmp_path / "model-q4_0.gguf").write_bytes(b"GGUF")
    with pytest.raises(CheckpointError, match=r"GGUF form are those of another runtime.*made from"):
        CrossEncoder(str(tmp_path), device="cpu")


def test_gguf_beside_a_config_is_refused_with_what_to_use(tmp_path: Path) -> None:
    folder = build_bert(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "model-f16.gguf")
    with pytest.raises(CheckpointError, match=r"GGUF form are those of another runtime"):
        CrossEncoder(str(folder), device="cpu")


def test_gguf_repository_is_known_by_its_name_since_its_files_are_not_fetched(
    tmp_path: Path,
) -> None:
    with pytest.raises(CheckpointError, match="GGUF"):
        read_facts("someone/bge-reranker-v2-m3-GGUF", tmp_path)


def test_pickled_weights_are_read_only_when_the_caller_says_so(tmp_path: Path) -> None:
    folder = build_bert(tmp_path / "m")
    expected = CrossEncoder(str(folder), device="cpu").predict(PAIRS)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=re.escape("{'use_safetensors': False}")):
        CrossEncoder(str(folder), device="cpu")
    trusted = CrossEncoder(str(folder), device="cpu", model_kwargs={"use_safetensors": False})
    assert_same_scores(trusted.predict(PAIRS), expected)
