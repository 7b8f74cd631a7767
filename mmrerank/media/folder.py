"""A folder of named bytes that keeps below a size; several processes and threads may share it.

One file an entry, written beside its place and moved there whole, so no reader sees half of one.
Each file begins with the hash of the rest: what a full disk or a stranger left is not taken for an
entry. Nothing in it is ever executed. Rejected: diskcache and requests-cache, whose pickles run
code when a changed file is read; hishel's own storage, which waits for locks and passes its limit.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["Folder"]

_SUFFIX = ".entry"
_DIGEST_BYTES = 32
# The folder is counted again after so large a share of its limit was written.
_SHARE_BETWEEN_COUNTS = 0.05


class Folder:
    """Entries by name; the least recently used go when `max_bytes` would be passed.

    Every method may raise OSError.
    """

    def __init__(self, path: str, max_bytes: int) -> None:
        self.path = Path(path).expanduser()
        self.max_bytes = max_bytes
        self._room_bytes = 0.0  # what may be written before the folder is counted again
        self._lock = threading.Lock()

    def read(self, name: str) -> bytes | None:
        """The bytes of an entry, None where there is none or it is damaged."""
        path = self._path_of(name)
        try:
            with path.open("rb") as file:
                digest = file.read(_DIGEST_BYTES)
                data = file.read(self.max_bytes + 1)
        except FileNotFoundError:
            return None
        if hashlib.sha256(data).digest() != digest:
            path.unlink(missing_ok=True)
            return None
        with suppress(OSError):  # somebody else's folder may be read all the same
            os.utime(path)
        return data

    def write(self, name: str, parts: list[bytes]) -> None:
        """Keep bytes, given in parts; those that pass the folder's limit alone are not kept."""
        num_bytes = _DIGEST_BYTES + sum(map(len, parts))
        if num_bytes > self.max_bytes:
            self.delete(name)
            return
        # 0700: what was fetched for one user is nobody else's to read or to change.
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room(num_bytes)
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        descriptor, temporary = tempfile.mkstemp(dir=self.path, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines([digest.digest(), *parts])
            os.replace(temporary, self._path_of(name))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def delete(self, name: str) -> None:
        """Forget an entry, where there is one."""
        self._path_of(name).unlink(missing_ok=True)

    def _path_of(self, name: str) -> Path:
        return self.path / (hashlib.sha256(name.encode()).hexdigest() + _SUFFIX)

    def _make_room(self, num_bytes: int) -> None:
        """Delete the least recently used entries until `num_bytes` more fit."""
        with self._lock:
            self._room_bytes -= num_bytes
            if self._room_bytes >= 0:
                return
            slack_bytes = self.max_bytes * _SHARE_BETWEEN_COUNTS
            found = sorted(self._entries())
            total_bytes = sum(size for _, size, _ in found)
            wanted_bytes = max(self.max_bytes - num_bytes - slack_bytes, 0)
            for _, size, path in found:
                if total_bytes <= wanted_bytes:
                    break
                path.unlink(missing_ok=True)
                total_bytes -= size
            self._room_bytes = slack_bytes

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """Last use, bytes and path of each file here, half-written ones of dead processes too."""
        with os.scandir(self.path) as found:
            for entry in found:
                if not entry.name.endswith((_SUFFIX, ".part")):
                    continue  # the user's own: never counted, never deleted
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # another process was quicker
                    continue
                yield status.st_mtime, status.st_size, Path(entry.path)
