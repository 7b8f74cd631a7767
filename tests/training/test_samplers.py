"""Samplers give the batches that the peer gives for the same seed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sentence_transformers.base import sampler as peer
from torch.utils.data import ConcatDataset, RandomSampler

from mmrerank.errors import InputError
from mmrerank.training import samplers as ours

LABELS = ["label", "labels", "score", "scores"]


def rows(values: list[int], labels: list[int] | None = None) -> Dataset:
    """A column of texts, in which equal numbers are duplicates, and one that is all different."""
    columns: dict[str, list[Any]] = {
        "query": [f"value {value}" for value in values],
        "document": [f"document {i}" for i in range(len(values))],
        "label": labels if labels is not None else [i % 3 for i in range(len(values))],
    }
    return Dataset.from_dict(columns)


def batches(kind: Any, dataset: Any, *, epoch: int = 0, seed: int = 7, **options: Any) -> Any:
    generator = torch.Generator()
    generator.manual_seed(seed)
    if kind.__name__ == "DefaultBatchSampler":
        dataset = RandomSampler(dataset, generator=generator)
    made = kind(
        dataset,
        **{"batch_size": 4, "drop_last": False, "valid_label_columns": LABELS, **options},
        generator=generator,
        seed=seed,
    )
    made.set_epoch(epoch)
    found = list(made)
    assert len(found) > 0
    return found, len(made)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("epoch", [0, 3])
@pytest.mark.parametrize(
    "name", ["DefaultBatchSampler", "NoDuplicatesBatchSampler", "GroupByLabelBatchSampler"]
)
def test_batches_and_their_number_are_those_of_the_peer(name: str, epoch: int, drop_last: bool):
    dataset = rows([i % 11 for i in range(50)])
    assert batches(getattr(ours, name), dataset, epoch=epoch, drop_last=drop_last) == batches(
        getattr(peer, name), dataset, epoch=epoch, drop_last=drop_last
    )


@given(
    values=st.lists(st.integers(0, 9), min_size=1, max_size=40),
    batch_size=st.integers(1, 6),
    drop_last=st.booleans(),
)
def test_rows_without_duplicates_are_batched_as_in_the_peer(
    values: list[int], batch_size: int, drop_last: bool
):
    dataset = rows(values)

    def found(kind: Any) -> Any:
        generator = torch.Generator()
        made = kind(dataset, batch_size, drop_last, LABELS, generator, 3)
        return list(made), len(made)

    our_batches, length = found(ours.NoDuplicatesBatchSampler)
    assert (our_batches, length) == found(peer.NoDuplicatesBatchSampler)
    for batch in our_batches:
        assert len({values[row] for row in batch}) == len(batch)


@given(
    labels=st.lists(st.integers(0, 5), min_size=4, max_size=60),
    batch_size=st.sampled_from([4, 6, 8]),
    drop_last=st.booleans(),
)
def test_labels_are_grouped_as_in_the_peer(labels: list[int], batch_size: int, drop_last: bool):
    dataset = rows(list(range(len(labels))), labels)

    def found(kind: Any) -> Any:
        try:
            made = kind(dataset, batch_size, drop_last, LABELS, torch.Generator(), 3)
        except ValueError:
            return "refused"
        return list(made), len(made)

    result = found(ours.GroupByLabelBatchSampler)
    assert result == found(peer.GroupByLabelBatchSampler)
    assert result == "refused" or len(result[0]) == result[1]


@pytest.mark.parametrize("drop_last", [False, True])
def test_hashed_rows_are_batched_as_rows_that_are_compared(drop_last: bool):
    dataset = rows([i % 7 for i in range(30)])
    hashed, _ = batches(
        ours.NoDuplicatesBatchSampler, dataset, precompute_hashes=True, drop_last=drop_last
    )
    compared, _ = batches(ours.NoDuplicatesBatchSampler, dataset, drop_last=drop_last)
    assert hashed == compared


def test_hashing_in_two_processes_gives_the_same_batches():
    dataset = rows([i % 7 for i in range(30)])
    options = {"precompute_hashes": True, "precompute_batch_size": 4}
    alone, _ = batches(ours.NoDuplicatesBatchSampler, dataset, precompute_num_proc=1, **options)
    shared, _ = batches(ours.NoDuplicatesBatchSampler, dataset, precompute_num_proc=2, **options)
    assert alone == shared


def test_equal_pictures_are_duplicates_and_other_pictures_are_none():
    pictures = [Image.new("RGB", (4, 4), colour) for colour in ("red", "red", "blue", "blue")]
    dataset = Dataset.from_dict({"query": list("abcd"), "image": pictures})
    found, _ = batches(ours.NoDuplicatesBatchSampler, dataset)
    assert sorted(len(batch) for batch in found) == [2, 2]
    assert all(sorted(row // 2 for row in batch) == [0, 1] for batch in found)


def test_lists_and_dicts_are_compared_by_their_content():
    dataset = Dataset.from_dict({"query": list("abcd"), "docs": [["x"], ["x"], ["y"], ["z"]]})
    found, _ = batches(ours.NoDuplicatesBatchSampler, dataset)
    assert [len(batch) for batch in found] == [3, 1]


def test_too_few_distinct_values_are_announced(caplog: pytest.LogCaptureFixture):
    batches(ours.NoDuplicatesBatchSampler, rows([1] * 9 + [2]), drop_last=True, batch_size=2)
    assert "too few distinct values" in caplog.text


@pytest.mark.parametrize("batch_size", [2, 5])
def test_odd_or_tiny_batches_cannot_be_grouped_by_label(batch_size: int):
    with pytest.raises(InputError, match=f"batch_size={batch_size}"):
        batches(ours.GroupByLabelBatchSampler, rows(list(range(9))), batch_size=batch_size)


def test_rows_without_labels_cannot_be_grouped_by_label():
    with pytest.raises(InputError, match="needs a column of labels"):
        batches(ours.GroupByLabelBatchSampler, rows([1, 2, 3]).remove_columns("label"))


@pytest.mark.parametrize("name", ["RoundRobinBatchSampler", "ProportionalBatchSampler"])
@pytest.mark.parametrize("inner", ["DefaultBatchSampler", "NoDuplicatesBatchSampler"])
@pytest.mark.parametrize("epoch", [0, 2])
def test_several_datasets_are_mixed_as_in_the_peer(name: str, inner: str, epoch: int):
    parts = [rows([i % 4 for i in range(size)]) for size in (30, 9, 14)]

    def mixed(library: Any) -> Any:
        generator = torch.Generator()
        options: dict[str, Any] = {"generator": generator, "seed": 5}
        inner_kind = getattr(library, inner)
        made = [
            inner_kind(
                RandomSampler(part, generator=generator) if inner.startswith("Def") else part,
                batch_size=3,
                drop_last=False,
                **options,
            )
            for part in parts
        ]
        sampler = getattr(library, name)(ConcatDataset(parts), made, **options)
        sampler.set_epoch(epoch)
        return list(sampler), len(sampler)

    found, length = mixed(ours)
    assert (found, length) == mixed(peer)
    assert {row for batch in found for row in batch} - set(range(30))


def test_a_sampler_is_needed_for_every_dataset():
    part = rows([1, 2, 3])
    sampler = ours.DefaultBatchSampler(range(3), 2, False)
    with pytest.raises(InputError, match="1 batch samplers for 2 datasets"):
        ours.RoundRobinBatchSampler(ConcatDataset([part, part]), [sampler])


@pytest.mark.parametrize("name", ["BatchSamplers", "MultiDatasetBatchSamplers"])
def test_names_of_samplers_are_those_of_the_peer(name: str):
    members = {member.name: member.value for member in getattr(ours, name)}
    assert members == {member.name: member.value for member in getattr(peer, name)}
