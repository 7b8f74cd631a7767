"""ByteLRU keeps what fits, forgets the least recently used, and is safe between threads."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrerank.caching import ByteLRU


def _cache(max_bytes: int = 10) -> ByteLRU[str, bytes]:
    return ByteLRU(max_bytes, len)


def _put(cache: ByteLRU[str, bytes], key: str, value: bytes) -> bytes:
    return cache.get_or_make(key, lambda: value)


def _explode() -> bytes:
    raise AssertionError("made again")


def test_value_is_made_once_while_it_is_held() -> None:
    cache = _cache()
    first = _put(cache, "a", b"1234")
    assert cache.get_or_make("a", _explode) is first
    assert (len(cache), cache.num_bytes) == (1, 4)


def test_least_recently_used_goes_first() -> None:
    cache = _cache(10)
    for key in "abc":
        _put(cache, key, b"123")
    cache.get_or_make("a", _explode)
    _put(cache, "d", b"123")
    assert _put(cache, "a", b"new") == b"123"
    assert _put(cache, "b", b"new") == b"new"


def test_value_larger_than_the_cache_is_handed_out_and_not_kept() -> None:
    cache = _cache(3)
    _put(cache, "a", b"12")
    assert _put(cache, "big", b"12345") == b"12345"
    assert (len(cache), cache.num_bytes) == (1, 2)
    assert _put(cache, "big", b"other") == b"other"


def test_cache_of_no_bytes_keeps_nothing() -> None:
    cache = _cache(0)
    _put(cache, "a", b"1")
    assert len(cache) == 0


def test_error_of_make_is_passed_on_and_the_next_call_makes_again() -> None:
    cache = _cache()
    with pytest.raises(AssertionError, match="made again"):
        cache.get_or_make("a", _explode)
    assert _put(cache, "a", b"1") == b"1"


def test_clear_forgets_everything() -> None:
    cache = _cache()
    _put(cache, "a", b"123")
    cache.clear()
    assert (len(cache), cache.num_bytes) == (0, 0)


def test_copies_and_pickles_start_empty() -> None:
    cache = _cache()
    _put(cache, "a", b"123")
    for other in (copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        assert (len(other), other.num_bytes, other.max_bytes) == (0, 0, 10)
        assert _put(other, "b", b"1") == b"1"


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 8)), max_size=50))
def test_bytes_held_never_pass_the_limit(calls: list[tuple[str, int]]) -> None:
    cache = _cache(10)
    for key, size in calls:
        _put(cache, key, b"x" * size)
        assert 0 <= cache.num_bytes <= 10
    cache.clear()
    assert cache.num_bytes == 0


def test_threads_get_one_object_for_one_key() -> None:
    cache = _cache(100)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: _put(cache, str(i % 5), b"12"), range(200)))
    assert (len(cache), cache.num_bytes) == (5, 10)
