"""Arrays and tensors of any dtype, shape and layout: a score or a clear error."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mmrerank import Audio, Image, Video

MANY = settings(max_examples=250, suppress_health_check=list(HealthCheck))
SHAPES = st.one_of(
    arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=40),
    st.sampled_from([(3, 16, 16), (16, 16, 3), (4, 16, 16, 3), (2, 400), (1, 2, 16, 16, 3)]),
)
DTYPES = st.one_of(
    *(arrays.scalar_dtypes(), arrays.byte_string_dtypes(), arrays.unicode_string_dtypes()),
    *(arrays.floating_dtypes(), arrays.integer_dtypes(), arrays.unsigned_integer_dtypes()),
)
WRAPS = st.sampled_from([Image, Audio, Video, lambda array: array, lambda array: {"image": array}])


@st.composite
def any_array(draw: st.DrawFn) -> np.ndarray:
    """Few distinct values, then turned, cut with a stride or read backwards."""
    shape, dtype = draw(SHAPES), draw(DTYPES)
    array = draw(arrays.arrays(dtype, shape, fill=arrays.from_dtype(dtype)))
    how = draw(st.sampled_from(["plain", "fortran", "stride", "backwards", "readonly", "masked"]))
    if how == "fortran":
        return np.asfortranarray(array)
    if how == "readonly":
        array.flags.writeable = False
    if how == "masked":
        return np.ma.masked_array(array, mask=np.zeros(array.shape, bool))
    if array.ndim and how in ("stride", "backwards"):
        return array[:: 2 if how == "stride" else -1]
    return array


@MANY
@given(array=any_array(), wrap=WRAPS)
def test_any_array_is_scored_or_refused_in_words(array, wrap, check_document):
    check_document(wrap(array))


TENSOR_DTYPES = sorted(
    {str(value) for value in vars(torch).values() if isinstance(value, torch.dtype)}
)


def tensor_of(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Zeros of a dtype; raises for those that torch names and cannot make."""
    dtype = getattr(torch, name.removeprefix("torch."))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls some of its dtypes experimental
        return torch.empty(shape, dtype=dtype).zero_()


@pytest.mark.parametrize("name", TENSOR_DTYPES)
def test_tensor_of_each_dtype_is_scored_or_refused_in_words(name, check_document):
    for wrap, shape in ((Image, (3, 16, 16)), (Audio, (4_000,)), (Video, (2, 3, 16, 16))):
        try:
            tensor = tensor_of(name, shape)
        except (RuntimeError, NotImplementedError):
            continue  # a dtype that this torch names and cannot make
        check_document(wrap(tensor))


def huge_view(*shape: int) -> np.ndarray:
    """An array of any size that holds one number."""
    return np.broadcast_to(np.uint8(7), shape)


ODD: dict[str, Callable[[], Any]] = {
    "meta tensor": lambda: torch.empty(3, 16, 16, device="meta"),
    "sparse tensor": lambda: torch.zeros(3, 16, 16).to_sparse(),
    "compressed sparse tensor": lambda: torch.eye(16).to_sparse_csr(),
    "quantised tensor": lambda: torch.quantize_per_tensor(
        torch.zeros(3, 16, 16), 0.1, 0, torch.quint8
    ),
    "tensor with a gradient": lambda: torch.zeros(3, 16, 16, requires_grad=True),
    "complex tensor": lambda: torch.zeros(3, 16, 16, dtype=torch.complex64),
    "conjugate tensor": lambda: torch.zeros(3, 16, 16, dtype=torch.complex64).conj(),
    "expanded tensor": lambda: torch.zeros(1, 1, 1).expand(3, 16, 16),
    "nested tensor": lambda: torch.nested.nested_tensor(
        [torch.zeros(2), torch.zeros(3)], layout=torch.jagged
    ),
    "scalar tensor": lambda: torch.tensor(1.0),
    "tensor without elements": lambda: torch.zeros(3, 0, 16),
    "tensor of nan": lambda: torch.full((3, 16, 16), torch.nan),
    "tensor of infinity": lambda: torch.full((4_000,), torch.inf),
    "parameter": lambda: torch.nn.Parameter(torch.zeros(3, 16, 16)),
    "scalar array": lambda: np.array(3.0),
    "object array": lambda: np.array([object(), None]),
    "record array": lambda: np.zeros(4, [("a", "u1"), ("b", "f4")]),
    "text array": lambda: np.array(["a", "b"]),
    "matrix": lambda: np.asmatrix(np.zeros((16, 16), np.uint8)),
    "big-endian array": lambda: np.zeros((16, 16, 3), ">f4"),
    "array of subnormals": lambda: np.full((4_000,), 1e-45, np.float32),
    "array of the largest floats": lambda: np.full((4_000,), 3e38, np.float32),
    "array of the largest integers": lambda: np.full((4_000,), 2**31 - 1, np.int32),
    "picture of 30,000 x 30,000": lambda: huge_view(30_000, 30_000, 3),
    "picture of 1 x 1": lambda: huge_view(1, 1, 3),
    "picture of 1 x 100,000": lambda: huge_view(1, 100_000, 3),
    "sound of a day": lambda: huge_view(16_000 * 86_400),
    "clip of a million frames": lambda: huge_view(1_000_000, 16, 16, 3),
    "clip of 8 exabytes": lambda: huge_view(2**20, 2**20, 2**20, 3),
}


@pytest.mark.parametrize("wrap", [Image, Audio, Video], ids=lambda wrap: wrap.modality)
@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_array_is_scored_or_refused_in_words(name, wrap, check_document):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch and numpy warn of what they make here
        array = ODD[name]()
    check_document(wrap(array))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_one_bad_number_in_a_sound_is_refused(value, dtype, model):
    sound = np.zeros(4_000, dtype)
    sound[2_000] = value
    (entry,) = model.rank("a query", [Audio(sound)], on_error="record")
    assert "NaN or infinite" in entry["error"]
