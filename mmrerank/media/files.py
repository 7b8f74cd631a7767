"""Local files under the policy: opened first, then checked, so that no link changes in between."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from mmrerank.errors import MediaError, MediaNotFound, MediaRefused, MediaUnreadable, shorten
from mmrerank.media.content import too_many_bytes
from mmrerank.media.policy import MediaPolicy

__all__ = ["open_file", "path_of_file_url", "read_file_at"]

_TEXT_REMEDY = "Check the path; wrap it in mmrerank.Text(...) if it is text."


def read_file_at(text: str, policy: MediaPolicy) -> bytes:
    """The bytes of a local file. Raises as `open_file`."""
    with open_file(text, policy) as file:
        try:
            return file.read(policy.max_bytes + 1)
        except OSError as error:
            raise MediaUnreadable(f"the file cannot be read: {error.strerror}.") from error


@contextmanager
def open_file(text: str, policy: MediaPolicy) -> Iterator[BinaryIO]:
    """A local file, open for reading, that the policy allows; its format is not checked here.

    Raises MediaRefused (no local files, or outside the policy's directories), MediaNotFound,
    MediaTooLarge, MediaUnreadable (a folder, a device, no right to read it).
    """
    if not policy.allow_local_files:
        raise MediaRefused(
            "the policy allows no local files. Send the bytes or a data URI, or use "
            "MediaPolicy(allow_local_files=True)."
        )
    with _open(text, policy) as file:
        yield file


def path_of_file_url(url: str) -> str:
    """The path that a file:// URL names. Raises MediaRefused for another host's."""
    split = urlsplit(url)
    if split.netloc not in ("", "localhost"):
        raise MediaRefused(f"file:// URLs of another host ({shorten(split.netloc)}) are not read.")
    return url2pathname(split.path) if os.name == "nt" else unquote(split.path)


def _open(text: str, policy: MediaPolicy) -> BinaryIO:
    try:
        path = Path(text).expanduser()
        if policy.directories:
            _check_inside(os.path.realpath(path), policy)
        # Without O_NONBLOCK opening a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _O_BINARY)
    except MediaError:
        raise
    except (PermissionError, IsADirectoryError) as error:
        if os.path.isdir(path):  # Path.is_dir would raise where the folder may not be searched
            raise MediaUnreadable("it is a folder; pass a file.") from error
        raise MediaUnreadable(f"the file cannot be read: {error.strerror}.") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise _not_found(error) from error
    try:
        _check_opened(descriptor, path, policy)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


_O_BINARY = getattr(os, "O_BINARY", 0)  # Windows alone tells text from bytes here


def _not_found(error: Exception) -> MediaNotFound:
    if isinstance(error, FileNotFoundError):
        return MediaNotFound(f"no such file. {_TEXT_REMEDY}")
    # strerror, since the text of an OSError repeats the whole path, however long.
    reason = getattr(error, "strerror", None) or str(error)
    return MediaNotFound(f"no such file ({reason}). {_TEXT_REMEDY}")


def _check_opened(descriptor: int, path: Path, policy: MediaPolicy) -> None:
    """The checks that must hold for what is open, whatever the path names by now."""
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise MediaUnreadable("it is a folder; pass a file.")
    if not stat.S_ISREG(status.st_mode):
        raise MediaUnreadable("it is a device or pipe, not a file; pass its bytes.")
    if status.st_size > policy.max_bytes:
        raise too_many_bytes(status.st_size, policy)
    if not policy.directories:
        return
    # A link may have been turned elsewhere since the first check: the file that is open must be
    # the one that lies inside now.
    real = os.path.realpath(path)
    _check_inside(real, policy)
    try:
        is_same = os.path.samestat(os.stat(real), status)
    except OSError:
        is_same = False
    if not is_same:
        raise MediaRefused("the file was exchanged while it was opened. Load it again.")


def _check_inside(real: str, policy: MediaPolicy) -> None:
    """Raises MediaRefused where a path without links is in none of the policy's directories."""
    for directory in policy.directories:
        base = os.path.realpath(os.path.expanduser(directory))
        if Path(real).is_relative_to(base) and real != base:
            return
    raise MediaRefused(
        "it lies, links followed, in none of the policy's directories. Move it there or add its "
        "folder: MediaPolicy(directories=[...]) or MMRERANK_MEDIA_DIRECTORIES."
    )
