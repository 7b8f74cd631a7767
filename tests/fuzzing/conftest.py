"""The embedded model, and what every call on it must keep, whatever it is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from mmrerank import CrossEncoder
from mmrerank.errors import MMRerankError

Check = Callable[[Any], None]


@pytest.fixture(scope="session")
def model() -> Iterator[CrossEncoder]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # on a model this small more threads only wait for each other
    yield CrossEncoder(device="cpu")
    torch.set_num_threads(before)


def is_clear(error: BaseException) -> bool:
    return isinstance(error, MMRerankError) and 0 < len(str(error)) <= 2_000


@pytest.fixture(scope="session")
def check_document(model: CrossEncoder) -> Check:
    """Score an object as a document in every way; anything but a score or a clear error fails."""

    def check(document: Any) -> None:
        ranking = model.rank("a query", ["beside it", document], on_error="record")
        entries = {entry["corpus_id"]: entry for entry in ranking}
        assert math.isfinite(entries[0]["score"])
        error = entries[1].get("error")
        assert math.isnan(entries[1]["score"]) == (error is not None)
        if error is None:
            model.rank("a query", [document])
            return
        assert "documents[1]" in error
        assert len(error) <= 2_000
        with pytest.raises(MMRerankError) as raised:
            model.rank("a query", [document])
        assert is_clear(raised.value)

    return check


@pytest.fixture(scope="session")
def check_query(model: CrossEncoder) -> Check:
    """Use an object as a query, and as a side of a pair."""

    def check(query: Any) -> None:
        for call in (
            lambda: model.rank(query, ["a document"], on_error="record"),
            lambda: model.predict([(query, "a document"), ("a", "b")], on_error="record"),
            lambda: model.predict([(query, "a document")]),
        ):
            try:
                result = call()
            except MMRerankError as error:
                assert is_clear(error)  # noqa: PT017 - a score is as right as an error
            else:
                assert len(result) in (1, 2)

    return check
