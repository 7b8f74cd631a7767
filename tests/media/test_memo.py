"""One call's sources: each is loaded once while its medium stays in the cache."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mmrerank.errors import MediaError, MediaNotFound
from mmrerank.media import MediaCache, SourceMemo
from mmrerank.types import DecodeBudget, DecodedImage, LoadedMedia, MediaKey


def medium(name: str) -> LoadedMedia:
    key = MediaKey("image", name, DecodeBudget())
    return LoadedMedia(key, DecodedImage(np.zeros((2, 2, 3), np.uint8)))


class Loads:
    """Loads a medium, through the cache as the loader does, and counts."""

    def __init__(self, cache: MediaCache) -> None:
        self.cache = cache
        self.count = 0

    def __call__(self) -> LoadedMedia | MediaError:
        self.count += 1
        loaded = medium("a")
        return self.cache.get_or_make(loaded.key, lambda: loaded)


def test_source_is_loaded_once():
    memo, cache = SourceMemo(), MediaCache()
    load = Loads(cache)
    first = memo.get_or_load("a.png", (), cache, load)
    assert memo.get_or_load("a.png", (), cache, load) is first
    assert load.count == 1


def test_error_is_remembered():
    memo, cache, calls = SourceMemo(), MediaCache(), []

    def load() -> MediaError:
        calls.append(1)
        return MediaNotFound("gone")

    found = [memo.get_or_load("a.png", (), cache, load) for _ in range(3)]
    assert [str(error) for error in found] == ["gone"] * 3
    assert len(calls) == 1


def test_medium_that_left_the_cache_is_loaded_again():
    memo, cache = SourceMemo(), MediaCache(0)
    load = Loads(cache)
    memo.get_or_load("a.png", (), cache, load)
    memo.get_or_load("a.png", (), cache, load)
    assert load.count == 2


def test_address_of_an_object_that_is_gone_names_another():
    memo, cache = SourceMemo(), MediaCache()
    load = Loads(cache)
    array = np.zeros(3)
    memo.get_or_load("address", (array,), cache, load)
    memo.get_or_load("address", (array,), cache, load)
    assert load.count == 1
    del array
    memo.get_or_load("address", (np.zeros(3),), cache, load)
    assert load.count == 2


def test_object_that_cannot_be_watched_is_loaded_each_time():
    memo, cache = SourceMemo(), MediaCache()
    load = Loads(cache)
    for _ in range(2):
        memo.get_or_load("address", (b"bytes",), cache, load)
    assert load.count == 2


def test_threads_that_ask_together_share_one_load():
    memo, cache = SourceMemo(), MediaCache()
    started, go_on, loads = threading.Event(), threading.Event(), []

    def load() -> LoadedMedia:
        loads.append(1)
        started.set()
        assert go_on.wait(10)
        return medium("a")

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(memo.get_or_load, "a.png", (), cache, load) for _ in range(4)]
        assert started.wait(10)
        go_on.set()
        assert len({id(future.result()) for future in futures}) == 1
    assert len(loads) == 1


def test_exception_reaches_all_and_the_next_one_loads_anew():
    memo, cache = SourceMemo(), MediaCache()

    def fail() -> LoadedMedia:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memo.get_or_load("a.png", (), cache, fail)
    assert isinstance(memo.get_or_load("a.png", (), cache, Loads(cache)), LoadedMedia)
