"""What all losses have in common: what they tell of themselves, refuse, and take as documents."""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from PIL import Image
from sentence_transformers.cross_encoder import losses as theirs

from mmrerank.cross_encoder import losses as ours
from mmrerank.errors import InputError, WrongArgument
from mmrerank.training.labels import LabelRule
from tests.training.losses._batches import (
    LISTS,
    NUMBERS,
    POSITIVES,
    QUERIES,
    assert_same_loss,
    list_labels,
    run,
)
from tests.training.losses.conftest import ModelOf, TwinsOf

LOSSES = [name for name in ours.__all__ if name.endswith("Loss")]
OF_THE_PEER = [name for name in theirs.__all__ if name.endswith("Loss")]
LIST_WISE = ["ADRMSELoss", "DistillKLLoss", "LambdaLoss", "ListNetLoss", "PListMLELoss"]
OF_ONE_LABEL = [name for name in LOSSES if name != "CrossEntropyLoss"]


def test_every_name_of_the_peer_is_there() -> None:
    assert set(theirs.__all__) - set(ours.__all__) == set()
    assert len(OF_THE_PEER) == 12


@pytest.mark.parametrize("name", theirs.__all__)
def test_constructor_takes_the_peers_arguments_with_its_defaults(name: str) -> None:
    mine, peer = (inspect.signature(getattr(library, name)) for library in (ours, theirs))
    assert list(mine.parameters) == list(peer.parameters)
    assert [repr(parameter.default) for parameter in mine.parameters.values()] == [
        repr(parameter.default) for parameter in peer.parameters.values()
    ]


@pytest.mark.parametrize("name", [name for name in OF_THE_PEER if name != "CrossEntropyLoss"])
def test_config_and_citation_are_of_the_peers_form(name: str, twins_of: TwinsOf) -> None:
    mine, peer = (
        getattr(library, name)(model)
        for library, model in zip((ours, theirs), twins_of("classifier"), strict=True)
    )
    config, wanted = mine.get_config_dict(), peer.get_config_dict()
    assert list(config) == list(wanted)
    assert {key: _last(value) for key, value in config.items()} == {
        key: _last(value) for key, value in wanted.items()
    }
    assert mine.citation.count("{") == mine.citation.count("}")
    assert ("year=" in mine.citation) is hasattr(peer, "citation")


def _last(value: Any) -> Any:
    return value.rpartition(".")[2] if isinstance(value, str) else value


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_says_what_labels_it_wants(name: str) -> None:
    assert isinstance(getattr(ours, name).label_rule, LabelRule)


@pytest.mark.parametrize("name", OF_ONE_LABEL)
def test_model_of_three_labels_is_refused_as_in_the_peer(name: str, twins_of: TwinsOf) -> None:
    mine, peer = twins_of("classes")
    with pytest.raises(InputError, match=r"1 output label, but got a model with 3 output labels"):
        getattr(ours, name)(mine)
    if name in OF_THE_PEER:
        with pytest.raises(ValueError, match=r"1 output label"):
            getattr(theirs, name)(peer)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_no_reranker_is_refused(name: str) -> None:
    with pytest.raises(WrongArgument, match=f"{name} expects a model of type CrossEncoder"):
        getattr(ours, name)(torch.nn.Linear(1, 1))


@pytest.mark.parametrize(
    "name", ["BinaryCrossEntropyLoss", "MSELoss", "ListNetLoss", "RankNetLoss"]
)
@pytest.mark.parametrize("num_columns", [1, 3])
def test_other_numbers_of_columns_are_refused(
    num_columns: int, name: str, ours_of: ModelOf
) -> None:
    loss = getattr(ours, name)(ours_of("classifier"))
    with pytest.raises(InputError, match=f"two non-label columns.* with {num_columns} columns"):
        loss([QUERIES] * num_columns, NUMBERS)


@pytest.mark.parametrize("name", ["MultipleNegativesRankingLoss", "MarginMSELoss"])
def test_too_few_columns_are_refused(name: str, ours_of: ModelOf) -> None:
    with pytest.raises(InputError, match=r"at least [23] non-label columns"):
        getattr(ours, name)(ours_of("classifier"))([QUERIES], None)


@pytest.mark.parametrize("name", ["BinaryCrossEntropyLoss", "MSELoss"])
def test_another_number_of_labels_than_rows_is_refused_as_in_the_peer(
    name: str, twins_of: TwinsOf
) -> None:
    for library, model in zip((ours, theirs), twins_of("classifier"), strict=True):
        with pytest.raises(ValueError, match=r"expects 4 labels \(one per example\), but got 3"):
            getattr(library, name)(model)([QUERIES, POSITIVES], NUMBERS[:3])


def test_margins_of_another_number_are_refused_as_in_the_peer(twins_of: TwinsOf) -> None:
    for library, model in zip((ours, theirs), twins_of("classifier"), strict=True):
        with pytest.raises(ValueError, match="Labels shape"):
            library.MarginMSELoss(model)([QUERIES, POSITIVES, POSITIVES], torch.ones(4, 3))


@pytest.mark.parametrize("labels", [torch.ones(4), None])
def test_cross_entropy_without_classes_is_refused(labels: Any, ours_of: ModelOf) -> None:
    with pytest.raises(InputError, match=r"CrossEntropyLoss (expects 4 integers|needs labels)"):
        ours.CrossEntropyLoss(ours_of("classes"))([QUERIES, POSITIVES], labels)


@pytest.mark.parametrize("name", LIST_WISE)
def test_labels_that_do_not_match_the_lists_are_refused(name: str, ours_of: ModelOf) -> None:
    loss = getattr(ours, name)(ours_of("classifier"))
    with pytest.raises(InputError, match="expects a list of labels for each sample"):
        loss([QUERIES, LISTS], NUMBERS)
    with pytest.raises(InputError, match=r"row 1 of the batch: Number of documents .*\(1\).*\(2\)"):
        loss([QUERIES, LISTS], [torch.ones(4), torch.ones(2), torch.ones(3), torch.ones(2)])
    with pytest.raises(InputError, match=r"row 0 of the batch: .* must hold lists of documents"):
        loss([QUERIES, POSITIVES], list_labels())
    with pytest.raises(InputError, match="none of the 1 queries of a batch has a document"):
        loss([QUERIES[:1], [[]]], [torch.ones(0)])


@pytest.mark.parametrize("name", LIST_WISE)
def test_query_without_documents_makes_no_nan(name: str, ours_of: ModelOf) -> None:
    lists, labels = [*LISTS[:3], []], [*list_labels()[:3], torch.ones(0)]
    value, gradients = run(getattr(ours, name)(ours_of("classifier")), [QUERIES, lists], labels)
    assert math.isfinite(value)
    assert all(gradient.isfinite().all() for gradient in gradients.values())


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda m: ours.MultipleNegativesRankingLoss(m, num_negatives=-1), "num_negatives=-1"),
        (lambda m: ours.CachedMultipleNegativesRankingLoss(m, mini_batch_size=0), "mini_batch_si"),
        (
            lambda m: ours.LambdaLoss(m, None, None, 1.0, 0.1, cast("Any", "ten")),
            "reduction_log='ten'",
        ),
        (lambda m: ours.DistillKLLoss(m, temperature=0.0), "temperature=0"),
    ],
)
def test_option_out_of_range_is_refused(make: Any, match: str, ours_of: ModelOf) -> None:
    with pytest.raises(InputError, match=match):
        make(ours_of("classifier"))


def test_documents_of_a_list_may_be_pictures_paths_and_mixtures(
    ours_of: ModelOf, tmp_path: Path
) -> None:
    picture = Image.new("RGB", (64, 64), "red")
    picture.save(tmp_path / "red.png")
    lists = [[picture, "a red field", {"text": "red", "image": picture}, str(tmp_path / "red.png")]]
    value, gradients = run(
        ours.ListNetLoss(ours_of("multimodal"), mini_batch_size=2),
        [["something red"], lists],
        [torch.tensor([1.0, 0.0, 2.0, 1.0])],
    )
    assert math.isfinite(value)
    assert any(gradient.any() for name, gradient in gradients.items() if "visual" in name)
    as_one = run(
        ours.ListNetLoss(ours_of("multimodal"), mini_batch_size=0),
        [["something red"], lists],
        [torch.tensor([1.0, 0.0, 2.0, 1.0])],
    )
    assert_same_loss((value, gradients), as_one, tolerance=1e-4)


@pytest.mark.slow
def test_losses_load_without_the_libraries_of_the_extra() -> None:
    code = (
        "import sys, mmrerank.cross_encoder.losses\n"
        "print(sorted({'datasets', 'peft', 'sklearn', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
