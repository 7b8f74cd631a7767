"""hf://, s3://, gs:// and az:// → bytes, through fsspec and the package that knows the service."""

from __future__ import annotations

import importlib
import io
from typing import Any
from urllib.parse import urlsplit

from mmrerank.errors import (
    MediaError,
    MediaNotFound,
    MediaRefused,
    MediaUnreadable,
    MissingExtra,
    shorten,
)
from mmrerank.media.content import too_many_bytes
from mmrerank.media.deadline import Deadline, call_within
from mmrerank.media.policy import MediaPolicy
from mmrerank.media.urls import check_host

__all__ = ["REMOTE_SCHEMES", "MissingFilesystem", "read_remote"]

_PACKAGES = {"hf": "huggingface_hub", "s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
REMOTE_SCHEMES = tuple(_PACKAGES)
_HUB = "huggingface.co"
_CHUNK_BYTES = 1_000_000


class MissingFilesystem(MissingExtra, MediaError):
    """The package for a scheme is not installed: one document's error, like other MediaErrors."""


def read_remote(url: str, policy: MediaPolicy) -> bytes:
    """Read a file of a service by its own package, with the credentials that package finds.

    The caller has checked the scheme. policy.hosts is compared with the bucket or container (hf:
    with "huggingface.co"), max_bytes before and while reading. At policy.timeout_s the call ends,
    the transfer in the background after the chunk at hand.
    Raises MediaNotFound, MediaRefused, MediaTooLarge, MediaUnreadable, MissingFilesystem.
    """
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    # fsspec reads "::" as a chain of file systems, which would end at any scheme and any folder.
    if "::" in rest:
        raise MediaRefused("'::' in a URL, which chains file systems, is not allowed.")
    check_host(_HUB if scheme == "hf" else urlsplit(url).netloc.rpartition("@")[2], policy)
    deadline = Deadline.after(policy.timeout_s)
    try:
        return call_within(deadline, lambda: _read(f"{scheme}://{rest}", scheme, policy, deadline))
    except MediaError:
        raise
    except FileNotFoundError as error:
        raise MediaNotFound(f"there is nothing at this URL ({_said(error)}).") from error
    except PermissionError as error:
        raise MediaRefused(
            f"{scheme}:// refused it ({_said(error)}). Log in as {_PACKAGES[scheme]} wants it, or "
            "read it yourself and pass the bytes."
        ) from error
    except TimeoutError as error:
        raise deadline.passed() from error
    except IsADirectoryError as error:
        raise MediaUnreadable("it is a folder; pass a file.") from error
    except Exception as error:  # each package has its own errors
        raise MediaUnreadable(f"{scheme}:// could not be read: {_said(error)}.") from error


def _read(url: str, scheme: str, policy: MediaPolicy, deadline: Deadline) -> bytes:
    files = _filesystem(scheme)
    info = files.info(url)
    if info.get("type") == "directory":
        raise MediaUnreadable("it is a folder; pass a file.")
    if (size := info.get("size")) is not None and size > policy.max_bytes:
        raise too_many_bytes(int(size), policy)
    data = io.BytesIO()
    with files.open(url, "rb") as file:
        while chunk := file.read(min(_CHUNK_BYTES, policy.max_bytes + 1 - data.tell())):
            data.write(chunk)
            if data.tell() > policy.max_bytes:
                raise too_many_bytes(data.tell(), policy, or_more=True)
            deadline.check()
    return data.getvalue()


def _filesystem(scheme: str) -> Any:
    fsspec = importlib.import_module("fsspec")  # slow to import, and rarely needed
    try:
        return fsspec.filesystem(scheme)
    except ImportError as error:
        package = _PACKAGES[scheme]
        extra = " or 'mmrerank[s3]'" if scheme == "s3" else ""
        raise MissingFilesystem(
            f"{scheme}:// needs the package {package}: pip install {package}{extra}."
        ) from error


def _said(error: Exception) -> str:
    """The kind of error and its first line, shortened: such texts may hold the whole request."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {shorten(lines[0])}" if lines else type(error).__name__
