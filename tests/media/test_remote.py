"""hf://, s3://, gs:// and az://, with fsspec's file system in memory in place of the services."""

from __future__ import annotations

import sys
import threading

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from mmrerank.errors import (
    MediaError,
    MediaNotFound,
    MediaRefused,
    MediaTooLarge,
    MediaUnreadable,
    MissingExtra,
)
from mmrerank.inputs import parse_document
from mmrerank.media import MediaPolicy, load_documents
from mmrerank.media.remote import MissingFilesystem
from mmrerank.media.source import read_source, source_of
from mmrerank.types import DecodeBudget

PNG = b"\x89PNG\r\n\x1a\n" + bytes(80)
SCHEMES = ("hf", "s3", "gs", "az")


def read(url, **options):
    return read_source(source_of(url), MediaPolicy(**options))


class Bucket(MemoryFileSystem):
    """Files in memory by "bucket/key", under each of the four schemes."""

    protocol = SCHEMES
    store: dict = {}  # noqa: RUF012 - fsspec's own way
    pseudo_dirs = [""]  # noqa: RUF012
    trouble: Exception | None = None
    tells_size = True

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.rpartition("://")[2].strip("/")

    def info(self, path, **options):
        if self.trouble is not None:
            raise self.trouble
        found = super().info(path, **options)
        return found if self.tells_size else {**found, "size": None}


@pytest.fixture
def bucket(monkeypatch):
    for scheme in SCHEMES:
        monkeypatch.setitem(_registry, scheme, Bucket)
    monkeypatch.setattr(Bucket, "store", {})
    monkeypatch.setattr(Bucket, "pseudo_dirs", [""])
    files = fsspec.filesystem("s3")
    files.pipe_file("s3://bucket/a.png", PNG)
    return files


@pytest.mark.parametrize("scheme", [*SCHEMES, "S3"])
def test_file_of_a_service_is_read(bucket, scheme):
    assert read(f"{scheme}://bucket/a.png") == PNG


def test_file_that_is_not_there_is_not_found(bucket):
    with pytest.raises(MediaNotFound, match="nothing at this URL"):
        read("s3://bucket/b.png")


def test_folder_is_unreadable(bucket):
    with pytest.raises(MediaUnreadable, match="folder"):
        read("s3://bucket/")


def test_size_is_asked_before_reading(bucket, monkeypatch):
    monkeypatch.setattr(Bucket, "open", None)
    with pytest.raises(MediaTooLarge, match="88 bytes, the policy allows 50"):
        read("s3://bucket/a.png", max_bytes=50)


def test_bytes_are_counted_where_the_size_is_not_known(bucket, monkeypatch):
    monkeypatch.setattr(Bucket, "tells_size", False)
    with pytest.raises(MediaTooLarge, match="the policy allows 50"):
        read("s3://bucket/a.png", max_bytes=50)
    assert read("s3://bucket/a.png", max_bytes=88) == PNG


def test_format_is_checked(bucket):
    bucket.pipe_file("s3://bucket/a.svg", b"<svg/>" + bytes(10))
    with pytest.raises(MediaRefused, match="SVG"):
        read("s3://bucket/a.svg")


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (PermissionError("Forbidden"), MediaRefused),
        (OSError("broken"), MediaUnreadable),
        (RuntimeError("a" * 100_000), MediaUnreadable),
        (IsADirectoryError("d"), MediaUnreadable),
        (KeyError(), MediaUnreadable),
    ],
)
def test_each_error_of_a_package_becomes_a_media_error(bucket, monkeypatch, trouble, error):
    monkeypatch.setattr(Bucket, "trouble", trouble)
    with pytest.raises(error) as caught:
        read("s3://bucket/a.png")
    assert isinstance(caught.value, MediaError)
    assert len(str(caught.value)) < 400


def test_service_that_hangs_ends_at_the_deadline(bucket, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(Bucket, "info", lambda *rest, **options: released.wait(30))
    with pytest.raises(MediaUnreadable, match=r"timeout_s=\.\.\."):
        read("s3://bucket/a.png", timeout_s=0.1)
    released.set()


def test_scheme_must_be_the_policys(bucket):
    with pytest.raises(MediaRefused, match="s3:// is not loaded"):
        read("s3://bucket/a.png", schemes=("https", "gs"))
    with pytest.raises(MediaRefused, match="s3:// is not loaded"):
        read_source(source_of("s3://bucket/a.png"), MediaPolicy.server())


def test_hosts_are_the_buckets_and_for_hf_the_hub(bucket):
    assert read("s3://bucket/a.png", hosts=("bucket",)) == PNG
    assert read("hf://bucket/a.png", hosts=("huggingface.co",)) == PNG
    with pytest.raises(MediaRefused, match="'bucket' is not allowed"):
        read("s3://bucket/a.png", hosts=("other",))
    with pytest.raises(MediaRefused, match=r"huggingface\.co"):
        read("hf://bucket/a.png", hosts=("bucket",))


@pytest.mark.parametrize(
    "url", ["s3://bucket/a.png::file:///etc/hostname", "hf://x::http://127.0.0.1/a.png"]
)
def test_chain_of_file_systems_is_refused(bucket, url):
    with pytest.raises(MediaRefused, match="chains file systems"):
        read(url)


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs"), ("az", "adlfs")])
def test_missing_package_is_named(monkeypatch, scheme, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(_registry, scheme, raising=False)
    with pytest.raises(MissingExtra, match=f"pip install {package}") as caught:
        read(f"{scheme}://bucket/a.png")
    assert isinstance(caught.value, ImportError)


def test_missing_package_is_one_documents_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    document = parse_document("s3://bucket/a.png")
    (found,) = load_documents([document], DecodeBudget(), MediaPolicy(), names=["documents[0]"])
    assert isinstance(found, MissingFilesystem)
    assert str(found).startswith("documents[0].image: 's3://bucket/a.png': s3:// needs")


def test_hub_without_the_internet_is_a_media_error():
    with pytest.raises(MediaError) as caught:
        read("hf://datasets/no-such-user/no-such-set/a.png", timeout_s=10)
    assert len(str(caught.value)) < 600
