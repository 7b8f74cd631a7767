"""Optional libraries: imported where they are used, named where they are missing."""

from __future__ import annotations

import json

import pytest

from mmrerank.errors import MissingExtra
from mmrerank.extras import require


def test_module_that_is_there_is_given_out():
    assert require("json", to="test") is json


def test_missing_library_names_what_for_and_the_extra():
    with pytest.raises(MissingExtra) as caught:
        require("no_such_library.inner", to="draw a curve", extra="mteb")
    message = str(caught.value)
    assert "no_such_library is needed to draw a curve" in message
    assert "pip install 'mmrerank[mteb]'" in message
    assert caught.value.name == "no_such_library"


def test_missing_library_is_an_import_error():
    with pytest.raises(ImportError):
        require("no_such_library", to="test")
