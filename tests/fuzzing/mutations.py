"""Damage that knows nothing of a format: (bytes, chance, another file's bytes) → bytes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeAlias

__all__ = ["EDGE_INTEGERS", "MUTATIONS", "Mutation", "edge_integer"]

Mutation: TypeAlias = Callable[[bytes, Random, bytes], bytes]

EDGE_INTEGERS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
_HEADER_BYTES = 64


def edge_integer(chance: Random, num_bytes: int = 4) -> int:
    """A number that code forgets: around zero, at the end of a range, or just large."""
    picked = chance.choice((*EDGE_INTEGERS, chance.randrange(70_000), (1 << 8 * num_bytes) - 1))
    return picked & ((1 << 8 * num_bytes) - 1)


def place_in(data: bytes, chance: Random) -> int:
    """An offset, half of the time in the header."""
    end = len(data)
    return chance.randrange(min(end, _HEADER_BYTES) if chance.random() < 0.5 else end)


def truncated(data: bytes, chance: Random, other: bytes) -> bytes:
    return data[: place_in(data, chance)]


def flipped(data: bytes, chance: Random, other: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        found[place_in(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(found)


def overwritten(data: bytes, chance: Random, other: bytes) -> bytes:
    """One to three integers of 2, 4 or 8 bytes replaced by edges."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        num_bytes = chance.choice((2, 4, 4, 8))
        value = edge_integer(chance, num_bytes)
        start = place_in(data, chance)
        word = value.to_bytes(num_bytes, chance.choice(("big", "little")))
        found[start : start + num_bytes] = word[: len(found) - start]
    return bytes(found)


def chunk_of(data: bytes, chance: Random) -> tuple[int, int]:
    start = place_in(data, chance)
    return start, min(len(data), start + chance.choice((1, 4, 16, 64, 512, 4_096)))


def duplicated(data: bytes, chance: Random, other: bytes) -> bytes:
    start, end = chunk_of(data, chance)
    return data[:end] + data[start:end] * chance.choice((1, 1, 3, 40)) + data[end:]


def deleted(data: bytes, chance: Random, other: bytes) -> bytes:
    start, end = chunk_of(data, chance)
    return data[:start] + data[end:]


def inserted(data: bytes, chance: Random, other: bytes) -> bytes:
    at = place_in(data, chance)
    return data[:at] + chance.randbytes(chance.choice((1, 4, 16, 256))) + data[at:]


def zeroed(data: bytes, chance: Random, other: bytes) -> bytes:
    start, end = chunk_of(data, chance)
    return data[:start] + bytes(end - start) + data[end:]


def spliced(data: bytes, chance: Random, other: bytes) -> bytes:
    """The head of this file before the tail of another."""
    return data[: place_in(data, chance)] + other[place_in(other, chance) :]


def padded(data: bytes, chance: Random, other: bytes) -> bytes:
    """Something behind the end, or a little before the start."""
    if chance.random() < 0.7:
        return data + chance.choice((bytes(4_096), other, chance.randbytes(300)))
    return chance.choice((b"\n", b"\xef\xbb\xbf", b"ID3\x04\0\0\0\0\0\x0a" + bytes(10))) + data


MUTATIONS: dict[str, Mutation] = {
    "truncate": truncated,
    "flip": flipped,
    "integers": overwritten,
    "duplicate": duplicated,
    "delete": deleted,
    "insert": inserted,
    "zero": zeroed,
    "splice": spliced,
    "pad": padded,
}
