"""Arguments of a run, and how rows become a batch."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers as peer
import torch
from PIL import Image
from sentence_transformers.cross_encoder.data_collator import (
    CrossEncoderDataCollator as PeerCollator,
)
from transformers import HfArgumentParser

from mmrerank.cross_encoder.data_collator import CrossEncoderDataCollator
from mmrerank.cross_encoder.training_args import (
    BatchSamplers,
    CrossEncoderTrainingArguments,
    MultiDatasetBatchSamplers,
)
from mmrerank.errors import InputError
from mmrerank.training.samplers import DefaultBatchSampler


def arguments(tmp_path: Path, **changed: Any) -> Any:
    return CrossEncoderTrainingArguments(output_dir=str(tmp_path), use_cpu=True, **changed)


def test_arguments_and_their_defaults_are_those_of_the_peer(tmp_path: Path):
    theirs = peer.CrossEncoderTrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    own = {"packed": True}
    assert arguments(tmp_path).to_dict() == {**theirs.to_dict(), **own}
    fields = [field.name for field in dataclasses.fields(CrossEncoderTrainingArguments)]
    names = [name for name in fields if name not in own]
    assert names == [field.name for field in dataclasses.fields(peer.CrossEncoderTrainingArguments)]


def test_samplers_may_be_given_by_name(tmp_path: Path):
    args = arguments(
        tmp_path, batch_sampler="no_duplicates", multi_dataset_batch_sampler="round_robin"
    )
    assert args.batch_sampler is BatchSamplers.NO_DUPLICATES
    assert args.multi_dataset_batch_sampler is MultiDatasetBatchSamplers.ROUND_ROBIN


@pytest.mark.parametrize("name", ["batch_sampler", "multi_dataset_batch_sampler"])
def test_unknown_sampler_is_refused_with_those_there_are(name: str, tmp_path: Path):
    with pytest.raises(InputError, match=f"{name}='none': allowed are"):
        arguments(tmp_path, **{name: "none"})


def test_sampler_classes_are_left_out_of_the_plain_values(tmp_path: Path):
    args = arguments(tmp_path, batch_sampler=DefaultBatchSampler)
    assert "batch_sampler" not in args.to_dict()
    assert "multi_dataset_batch_sampler" in args.to_dict()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Judge:", "Judge:"),
        ('{"first": "Judge:"}', {"first": "Judge:"}),
        ("{query}: judge", "{query}: judge"),
        ("42", "42"),
        (None, None),
    ],
)
def test_prompts_are_a_text_or_a_dict_as_json(given: Any, expected: Any, tmp_path: Path):
    assert arguments(tmp_path, prompts=given).prompts == expected


@pytest.mark.parametrize("name", ["learning_rate_mapping", "router_mapping"])
@pytest.mark.parametrize("value", ["{broken", "[1]", 3])
def test_mapping_must_be_a_dict_or_one_as_json(name: str, value: Any, tmp_path: Path):
    with pytest.raises(InputError, match=f"{name}=.* must be a dict"):
        arguments(tmp_path, **{name: value})


def test_mapping_is_read_from_json_and_none_is_empty(tmp_path: Path):
    args = arguments(tmp_path, learning_rate_mapping='{"head": 0.1}', router_mapping=None)
    assert args.learning_rate_mapping == {"head": 0.1}
    assert args.router_mapping == {}


def test_warmup_ratio_becomes_warmup_steps(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    args = arguments(tmp_path, warmup_ratio=0.1)
    assert (args.warmup_steps, args.warmup_ratio) == (0.1, None)
    assert "warmup_ratio is deprecated" in caplog.text


def test_command_line_of_transformers_reads_the_arguments(tmp_path: Path):
    kind: Any = CrossEncoderTrainingArguments
    parser = HfArgumentParser(kind)
    line = ["--output_dir", str(tmp_path), "--use_cpu", "--batch_sampler", "no_duplicates"]
    (args,) = parser.parse_args_into_dataclasses(line)
    assert args.batch_sampler is BatchSamplers.NO_DUPLICATES


# ------------------------------------------------------------ collator


def collate(rows: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    unused: Any = None
    return CrossEncoderDataCollator(unused, **options)(rows)


@pytest.mark.parametrize("name", ["label", "labels", "score", "scores"])
@pytest.mark.parametrize("values", [[1, 0], [0.25, 1.0], [[1.0, 0.0], [0.5]]])
def test_labels_are_what_they_are_in_the_peer(name: str, values: list[Any]):
    rows = [{"query": "q", "document": "d", name: value} for value in values]
    unused: Any = None
    ours, theirs = collate(rows), PeerCollator(unused)(rows)
    assert list(ours) == list(theirs)
    assert ours["query"] == ["q", "q"]
    for our_label, their_label in zip(ours["label"], theirs["label"], strict=True):
        assert torch.equal(our_label, their_label)
        assert our_label.dtype == their_label.dtype


def test_columns_keep_their_order_and_the_first_label_column_counts():
    batch = collate([{"score": 3.0, "b": "x", "label": 1, "a": "y"}])
    assert list(batch) == ["label", "score", "b", "a"]
    assert batch["label"].tolist() == [1]


def test_media_dicts_and_other_objects_are_handed_on_untouched():
    picture, sound = Image.new("RGB", (2, 2)), {"array": np.zeros(3), "sampling_rate": 16_000}
    thing = object()
    batch = collate([{"q": picture, "d": sound, "e": thing, "f": ["x", picture]}])
    assert batch["q"][0] is picture
    assert batch["d"][0] is sound
    assert batch["e"][0] is thing
    assert batch["f"][0][1] is picture


def test_prompt_and_task_of_the_dataset_are_put_in_the_batch():
    rows = [{"q": "x", "dataset_name": "first"}]
    prompts = {"first": "Judge:", "second": "Find:"}
    batch = collate(rows, prompts=prompts, router_mapping={"first": "rerank"})
    assert batch == {"dataset_name": "first", "prompt": "Judge:", "task": "rerank", "q": ["x"]}


def test_one_prompt_counts_for_all_datasets():
    assert collate([{"q": "x"}], prompts="Judge:")["prompt"] == "Judge:"


def test_prompts_by_dataset_without_datasets_change_nothing():
    assert "prompt" not in collate([{"q": "x"}], prompts={"first": "Judge:"})


@pytest.mark.parametrize("name", ["prompts", "router_mapping"])
def test_texts_by_column_are_refused(name: str):
    with pytest.raises(InputError, match="cannot be per-column"):
        collate([{"q": "x"}], **{name: {"first": {"q": "Judge:"}}})
