"""A folder of entries: the least recently used go first, damage is noticed, others' files stay."""

from __future__ import annotations

import os
import time

import pytest

from mmrerank.media.folder import Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(str(tmp_path / "folder"), 1_000)


def age(folder, name, seconds):
    """Let an entry be last used so long ago."""
    then = time.time() - seconds
    os.utime(folder._path_of(name), (then, then))


def test_entry_is_read_as_it_was_written(folder):
    folder.write("a", [b"one", b"", b"two"])
    assert folder.read("a") == b"onetwo"
    assert folder.read("b") is None


def test_entry_is_replaced_and_deleted(folder):
    folder.write("a", [b"old"])
    folder.write("a", [b"new"])
    assert folder.read("a") == b"new"
    folder.delete("a")
    folder.delete("a")
    assert folder.read("a") is None


def test_least_recently_used_goes_first(folder):
    for index, name in enumerate("abc"):
        folder.write(name, [bytes(260)])
        age(folder, name, 100 - index)
    folder.read("a")
    folder.write("d", [bytes(260)])
    assert [name for name in "abcd" if folder.read(name)] == ["a", "c", "d"]


def test_entry_above_the_limit_is_not_kept_and_costs_no_other(folder):
    folder.write("a", [b"small"])
    folder.write("b", [bytes(2_000)])
    assert folder.read("a") == b"small"
    assert folder.read("b") is None


def test_entry_that_grows_above_the_limit_is_forgotten(folder):
    folder.write("a", [b"small"])
    folder.write("a", [bytes(2_000)])
    assert folder.read("a") is None


def test_many_small_entries_stay_below_the_limit(tmp_path):
    folder = Folder(str(tmp_path), 10_000)
    for index in range(500):
        folder.write(str(index), [bytes(100)])
        total_bytes = sum(path.stat().st_size for path in tmp_path.iterdir())
        assert total_bytes <= 10_000
    assert total_bytes > 8_000


def test_damaged_entry_is_none_and_gone(folder):
    folder.write("a", [b"data"])
    folder._path_of("a").write_bytes(b"short")
    assert folder.read("a") is None
    assert not folder._path_of("a").exists()


def test_files_of_others_are_neither_counted_nor_deleted(folder):
    folder.path.mkdir()
    stranger = folder.path / "notes.txt"
    stranger.write_bytes(bytes(5_000))
    for name in "abcdefgh":
        folder.write(name, [bytes(200)])
    assert stranger.exists()
    assert folder.read("h") is not None


def test_half_written_files_are_cleared_away(folder):
    folder.path.mkdir()
    left = folder.path / "dead.part"
    left.write_bytes(bytes(900))
    os.utime(left, (1, 1))
    folder.write("a", [bytes(200)])
    assert not left.exists()
