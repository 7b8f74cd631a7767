"""What a server answered, read within the policy."""

from __future__ import annotations

import importlib
import io
from dataclasses import dataclass, field

import urllib3
from urllib3 import BaseHTTPResponse, HTTPResponse

from mmrerank.errors import MediaError, MediaNotFound, MediaRefused, MediaUnreadable, shorten
from mmrerank.inputs.sniff import HEAD_BYTES, sniff_bytes
from mmrerank.media.content import too_many_bytes
from mmrerank.media.deadline import Deadline
from mmrerank.media.policy import MediaPolicy

__all__ = ["REDIRECTS", "Answer", "medium_of", "read_answer"]

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK_BYTES = 65_536
# So much of an answer without use is read, to keep its connection for the next request.
_MAX_UNUSED_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Answer:
    """status 200 and a body, 304, or one of REDIRECTS; names of headers are in lower case.

    The body is unpacked, so the headers say nothing of its packing.
    """

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


def read_answer(response: BaseHTTPResponse, policy: MediaPolicy, deadline: Deadline) -> Answer:
    """The whole answer; its connection is free for the next one after that.

    Raises MediaNotFound (404, 410), MediaRefused (401, 403), MediaTooLarge, MediaUnreadable, and
    what urllib3 raises where the body breaks off.
    """
    headers = {
        name.lower(): value
        for name, value in response.headers.items()
        if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
    }
    if response.status in REDIRECTS or response.status == 304:
        _discard(response, deadline)
        return Answer(response.status, headers)
    if (error := _error_of_status(response.status)) is not None:
        raise error
    return Answer(200, headers, _read_body(response, policy, deadline))


def _error_of_status(status: int) -> MediaError | None:
    """The error for a status, None for 200."""
    if status == 200:
        return None
    if status in (404, 410):
        return MediaNotFound(f"the server answered {status}: there is nothing at this URL.")
    if status in (401, 403):
        return MediaRefused(
            f"the server answered {status}: it wants a login. Fetch it yourself and pass the bytes."
        )
    return MediaUnreadable(f"the server answered {status}.")


def medium_of(answer: Answer, policy: MediaPolicy) -> bytes:
    """The body. Raises MediaTooLarge (it may come from a cache), MediaUnreadable for a web page."""
    if (error := _error_of_status(answer.status)) is not None:  # 304, though nothing was known
        raise error
    if len(answer.body) > policy.max_bytes:
        raise too_many_bytes(len(answer.body), policy)
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_page = kind in ("text/html", "application/xhtml+xml")
    if is_page and sniff_bytes(answer.body[:HEAD_BYTES]) is None:
        raise MediaUnreadable(
            "the URL leads to a web page, not to a medium. Pass the URL of the file itself."
        )
    return answer.body


def _read_body(response: BaseHTTPResponse, policy: MediaPolicy, deadline: Deadline) -> bytes:
    declared = response.headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared[:20]) > policy.max_bytes:
        raise too_many_bytes(int(declared[:20]), policy)
    _check_encoding(response.headers.get("Content-Encoding", ""))
    body = io.BytesIO()  # unlike a bytearray it gives its bytes without a copy
    # read1 gives what has come in and unpacks no more than was asked for: a server that drips
    # meets the deadline, and a bomb the limit of bytes.
    while chunk := response.read1(_CHUNK_BYTES, decode_content=True):
        body.write(chunk)
        if body.tell() > policy.max_bytes:
            raise too_many_bytes(body.tell(), policy, or_more=True)
        deadline.check()
    return body.getvalue()


def _check_encoding(encoding: str) -> None:
    """Packed answers are not asked for, yet some servers send them: one known packing is undone."""
    name = encoding.strip().lower()
    if name and name not in ("identity", *_unpacked_encodings()):
        raise MediaUnreadable(
            f"the server packed its answer as {shorten(encoding)}, which is not undone here."
        )


def _unpacked_encodings() -> list[str]:
    # An elder brotli cannot stop in the middle of a bomb, and urllib3 only warns of it.
    return [name for name in HTTPResponse.CONTENT_DECODERS if name != "br" or _brotli_can_stop()]


def _brotli_can_stop() -> bool:
    try:
        brotli = importlib.import_module("brotli")
        brotli.Decompressor().process(b"", output_buffer_limit=1)
    except Exception:
        return False
    return True


def _discard(response: BaseHTTPResponse, deadline: Deadline) -> None:
    """Read a short body, so that the connection can be used again; close it on any other."""
    declared = response.headers.get("Content-Length", "")
    is_short = declared.isdecimal() and len(declared) < 6 and int(declared) <= _MAX_UNUSED_BYTES
    try:
        while is_short and response.read1(_CHUNK_BYTES, decode_content=False):
            deadline.check()
    except (urllib3.exceptions.HTTPError, OSError):
        is_short = False
    if not is_short:
        response.close()
