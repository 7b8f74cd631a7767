"""Local files: inside the policy's directories, links followed, whatever changes in between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmrerank.errors import MediaNotFound, MediaRefused, MediaTooLarge, MediaUnreadable
from mmrerank.media import MediaPolicy
from mmrerank.media.source import read_source, source_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(80)


@pytest.fixture
def inside(tmp_path):
    """A directory of the policy with one picture; another picture lies outside it."""
    for name in ("inside", "outside", "inside-too"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(PNG)
    return tmp_path / "inside"


def read(path, *directories):
    return read_source(source_of(path), MediaPolicy(directories=directories))


def test_file_inside_a_directory_is_read(inside):
    assert read(inside / "a.png", inside) == PNG
    assert read(str(inside / "a.png"), "/no/such/folder", str(inside)) == PNG
    assert read((inside / "a.png").as_uri(), inside) == PNG
    (inside / "deep").mkdir()
    assert read(inside / "deep" / ".." / "a.png", inside) == PNG


def test_relative_path_and_directory_mean_the_working_folder(inside, monkeypatch):
    monkeypatch.chdir(inside.parent)
    assert read("inside/a.png", "inside") == PNG
    assert read("inside/a.png", ".") == PNG


@pytest.mark.parametrize(
    "path", ["../outside/a.png", "../inside-too/a.png", "../inside/../outside/a.png"]
)
def test_file_outside_is_refused(inside, path):
    with pytest.raises(MediaRefused, match=r"MediaPolicy\(directories=\[\.\.\.\]\)"):
        read(inside / path, inside)
    with pytest.raises(MediaRefused):
        read(f"file://{inside}/{path}", inside)


def test_link_that_leads_outside_is_refused(inside):
    (inside / "file.png").symlink_to(inside.parent / "outside" / "a.png")
    (inside / "folder").symlink_to(inside.parent / "outside")
    for path in (inside / "file.png", inside / "folder" / "a.png"):
        with pytest.raises(MediaRefused, match="none of the policy's directories"):
            read(path, inside)


def test_link_to_a_directory_of_the_policy_is_followed(inside):
    link = inside.parent / "link"
    link.symlink_to(inside)
    assert read(link / "a.png", inside) == PNG
    assert read(inside / "a.png", link) == PNG


def test_link_that_turns_while_the_file_is_opened_is_noticed(inside, monkeypatch):
    link, opened = inside / "link.png", os.open
    link.symlink_to(inside / "a.png")

    def turn_then_open(path, *rest, **options):
        link.unlink()
        link.symlink_to(inside.parent / "outside" / "a.png")
        return opened(path, *rest, **options)

    monkeypatch.setattr(os, "open", turn_then_open)
    with pytest.raises(MediaRefused, match="none of the policy's directories"):
        read(link, inside)


def test_link_that_turns_there_and_back_is_noticed(inside, monkeypatch):
    link, opened = inside / "link.png", os.open
    link.symlink_to(inside / "a.png")

    def turn_to(target):
        link.unlink()
        link.symlink_to(target)

    def open_outside(path, *rest, **options):
        turn_to(inside.parent / "outside" / "a.png")
        descriptor = opened(path, *rest, **options)
        turn_to(inside / "a.png")
        return descriptor

    monkeypatch.setattr(os, "open", open_outside)
    with pytest.raises(MediaRefused, match="exchanged"):
        read(link, inside)


def test_outside_it_is_not_told_whether_a_file_exists(inside):
    for name in ("a.png", "b.png"):
        with pytest.raises(MediaRefused):
            read(inside.parent / "outside" / name, inside)
    with pytest.raises(MediaNotFound):
        read(inside / "b.png", inside)


def test_the_directory_itself_is_no_file(inside):
    with pytest.raises(MediaRefused):
        read(inside, inside)
    with pytest.raises(MediaUnreadable, match="folder"):
        read(inside, inside.parent)


def test_pipe_is_refused_without_waiting_for_its_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(MediaUnreadable, match="device or pipe"):
        read(tmp_path / "pipe.png")


def test_size_is_checked_before_reading(tmp_path):
    path = tmp_path / "a.png"
    path.touch()
    os.truncate(path, 1 << 40)  # a hole: takes no space on disk
    with pytest.raises(MediaTooLarge, match="1,099,511,627,776 bytes"):
        read(path)


def test_file_that_must_not_be_read_is_unreadable(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)

    def refuse(*rest, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(MediaUnreadable, match="Permission denied"):
        read(path)


def test_no_descriptor_is_left_open(inside):
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("this system has no /proc")
    before = len(list(descriptors.iterdir()))
    for path in (inside / "a.png", inside, inside / "none.png", "../outside/a.png"):
        with pytest.raises((MediaRefused, MediaNotFound, MediaUnreadable, MediaTooLarge)):
            read_source(source_of(path), MediaPolicy(directories=(inside,), max_bytes=5))
    assert len(list(descriptors.iterdir())) == before
