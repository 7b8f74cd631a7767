"""FFmpeg reads the bytes it is given and nothing that they name."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from mmrerank.errors import MediaError
from mmrerank.media import MediaPolicy, audio, load_documents, video
from mmrerank.media.ffmpeg import has_sound, open_container
from mmrerank.types import Audio, DecodeBudget, Document, Video
from tests.media.making import clip_bytes, sound_bytes

ID3 = b"ID3\x03\0\0\0\0\0\0"


@pytest.fixture(params=["torchcodec", "pyav"])
def backend(request, monkeypatch):
    if request.param == "torchcodec":
        request.getfixturevalue("torchcodec_loads")
    monkeypatch.setattr(video, "decoder_backend", lambda: request.param)
    monkeypatch.setattr(audio, "decoder_backend", lambda: request.param)
    return request.param


@pytest.fixture
def listener():
    """A port of this machine, and whether somebody called it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        yield server


def was_called(server):
    try:
        server.accept()[0].close()
    except TimeoutError:
        return False
    return True


def playlists(address):
    return [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{address}/a.ts\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {address}/a.mp4\n",
        f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-'
        f'demand:2011"><BaseURL>{address}/a.mp4</BaseURL></MPD>',
    ]


@pytest.mark.parametrize("kind", [Audio, Video])
@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("prefix", [b"", ID3], ids=["plain", "id3"])
def test_playlist_is_refused_and_nothing_it_names_is_asked(prefix, number, kind, backend, listener):
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    data = prefix + playlists(address)[number].encode()
    (found,) = load_documents(
        [Document((kind(data),))], DecodeBudget(), MediaPolicy(), names=["document"]
    )
    assert isinstance(found, MediaError)
    assert not was_called(listener)


@pytest.mark.parametrize("number", range(3))
def test_pyav_itself_opens_no_playlist(number, listener):
    import av

    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises((av.FFmpegError, ValueError)):
        open_container(ID3 + playlists(address)[number].encode())
    assert not was_called(listener)


def boxes(data):
    """(start, end, kind) of each box of an MP4 file, containers before what they hold."""
    todo = [(0, len(data))]
    while todo:
        start, end = todo.pop()
        while start < end:
            size, kind = struct.unpack(">I4s", data[start : start + 8])
            yield start, start + size, kind
            if kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
                todo.append((start + 8, start + size))
            start += size


def clip_whose_pictures_lie_in(path):
    """An MP4 that says, by an alias in its data reference, that its pictures lie elsewhere."""
    data = bytearray(clip_bytes(4))
    name = path.encode()
    alias = bytearray(150)
    alias += struct.pack(">HH", 2, len(name)) + name + b"\0" * (len(name) % 2)
    alias += b"\xff\xff\0\0"
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    (start, end, _) = next(box for box in boxes(data) if box[2] == b"dref")
    grown = len(entry) - (end - start - 16)
    for first, last, kind in list(boxes(data)):
        if first <= start and last >= end and kind != b"mdat":
            struct.pack_into(">I", data, first, last - first + grown)
    data[start + 16 : end] = entry
    return bytes(data)


def test_data_reference_to_another_file_is_not_followed(backend, tmp_path):
    target = tmp_path / "other.mp4"
    target.write_bytes(clip_bytes(4))
    (found,) = load_documents(
        [Document((Video(clip_whose_pictures_lie_in(str(target))),))],
        DecodeBudget(),
        MediaPolicy(),
        names=["document"],
    )
    assert isinstance(found, MediaError)


def test_sound_of_a_clip_is_told_from_its_streams():
    assert has_sound(sound_bytes(0.1))
    assert not has_sound(clip_bytes(2))


def test_threads_that_decode_one_clip_agree(backend):
    data = clip_bytes(10)
    policy, found = MediaPolicy(), []

    def decode():
        found.append(video.decode_video(data, DecodeBudget(), policy).frames.tobytes())

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
