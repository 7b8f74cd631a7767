"""Sounds of the world as float32 samples, and real-world-like sounds outside it."""

from __future__ import annotations

import math

import numpy as np

from .world import Scene

__all__ = ["SAMPLING_RATE_HZ", "make_sound", "make_unrelated_sound"]

SAMPLING_RATE_HZ = 16_000
PITCH_HZ = {"low": (130.0, 320.0), "high": (750.0, 1700.0)}
COUNT = {"one": 1, "two": 2, "three": 3}


def make_sound(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Make one, two or three tones with silence between them; (num_samples,) float32."""
    count = COUNT[scene["count"]]
    seconds = rng.uniform(max(0.6, 0.45 * count), 2.5 if count > 1 else 2.0)
    num_samples = int(seconds * SAMPLING_RATE_HZ)
    low, high = PITCH_HZ[scene["pitch"]]
    pitch_hz = math.exp(rng.uniform(math.log(low), math.log(high)))
    wave = _wave(scene["timbre"], pitch_hz, num_samples, rng)
    wave = wave * _envelope(count, num_samples, rng)
    level = math.exp(rng.uniform(math.log(0.1), math.log(0.8)))
    hiss = rng.normal(0.0, 10 ** rng.uniform(-4.5, -2.3), num_samples)
    return (level * wave + hiss).astype(np.float32)


def _wave(timbre: str, pitch_hz: float, num_samples: int, rng: np.random.Generator) -> np.ndarray:
    phase = 2 * math.pi * pitch_hz * np.arange(num_samples) / SAMPLING_RATE_HZ
    phase = phase + rng.uniform(0, 2 * math.pi)
    if timbre == "soft":
        return np.sin(phase)
    if timbre == "buzzing":
        # A few harmonics instead of a sharp edge: no folding above half the sampling rate.
        top = int(min(14, 7000 / pitch_hz))
        only_odd = rng.random() < 0.5
        step = 2 if only_odd else 1
        wave = sum(np.sin(k * phase) / k for k in range(1, max(4, top) + 1, step))
        return np.asarray(0.75 * wave)
    hum = np.sin(phase)
    return 0.6 * hum + 0.4 * rng.normal(0.0, rng.uniform(0.7, 1.0), num_samples)


def _envelope(count: int, num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Shape `count` tones of like length with gaps of 35 % of a slot or more."""
    envelope = np.zeros(num_samples)
    slot = num_samples / count
    for i in range(count):
        length = slot * rng.uniform(0.4, 0.62)
        start = i * slot + rng.uniform(0.02, 0.2) * slot
        begin, end = int(start), min(num_samples, int(start + length))
        ramp = min((end - begin) // 3, int(rng.uniform(0.008, 0.03) * SAMPLING_RATE_HZ))
        tone = np.ones(end - begin)
        tone[:ramp] = np.linspace(0, 1, ramp)
        tone[len(tone) - ramp :] = np.linspace(1, 0, ramp)
        envelope[begin:end] = tone
    return envelope


def make_unrelated_sound(rng: np.random.Generator) -> np.ndarray:
    """Make a sound such as the world outside has: chirps, clicks, wind, metal, doors, speech."""
    num_samples = int(rng.uniform(0.6, 2.5) * SAMPLING_RATE_HZ)
    seconds = np.arange(num_samples) / SAMPLING_RATE_HZ
    makers = (_chirp, _clicks, _rushing, _chord, _babble, _jingle, _creak, _engine)
    wave = makers[rng.integers(len(makers))](seconds, rng)
    wave = wave / (np.abs(wave).max() + 1e-6)
    return (rng.uniform(0.1, 0.8) * wave).astype(np.float32)


def _chirp(seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rate = rng.uniform(2, 12)
    hz = rng.uniform(1500, 4500) * (1 + 0.4 * np.sin(2 * math.pi * rate * seconds))
    gate = (np.sin(2 * math.pi * rng.uniform(2, 8) * seconds) > rng.uniform(-0.5, 0.5)) * 1.0
    return np.sin(2 * math.pi * np.cumsum(hz) / SAMPLING_RATE_HZ) * gate


def _clicks(seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    wave = np.zeros(len(seconds))
    for _ in range(int(rng.integers(4, 30))):
        at = int(rng.integers(0, len(seconds)))
        fall = np.exp(-np.arange(min(800, len(seconds) - at)) / rng.uniform(20, 200))
        wave[at : at + len(fall)] += fall * rng.normal(0, 1, len(fall))
    return wave


def _rushing(seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    width = int(rng.integers(1, 30))
    noise = np.convolve(rng.normal(0, 1, len(seconds)), np.ones(width) / width, "same")
    return noise * (0.6 + 0.4 * np.sin(2 * math.pi * rng.uniform(0.2, 2) * seconds))


def _chord(seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    wave = np.zeros(len(seconds))
    for _ in range(int(rng.integers(3, 9))):
        start = rng.uniform(0, seconds[-1] * 0.8)
        hz = math.exp(rng.uniform(math.log(200), math.log(2500)))
        fall = np.where(seconds >= start, np.exp(-(seconds - start) * rng.uniform(1, 6)), 0.0)
        wave += fall * np.sin(2 * math.pi * hz * seconds)
        wave += 0.4 * fall * np.sin(4 * math.pi * hz * seconds)
    return wave


def _babble(seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    drift = np.interp(seconds, np.linspace(0, seconds[-1], 9), rng.uniform(90, 240, 9))
    phase = 2 * math.pi * np.cumsum(drift) / SAMPLING_RATE_HZ
    wave = np.zeros(len(seconds))
    for k in range(1, 24):
        weight = np.interp(seconds, np.linspace(0, seconds[-1], 14), rng.uniform(0, 1, 14) ** 2)
        wave += weight * np.sin(k * phase) / math.sqrt(k)
    knots = rng.uniform(0, 1, 16) * (rng.random(16) > 0.25)
    return wave * np.interp(seconds, np.linspace(0, seconds[-1], 16), knots)


def _jingle(seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Small metal things that fall: many short high partials that fit no scale."""
    wave = np.zeros(len(seconds))
    for _ in range(int(rng.integers(6, 30))):
        start = rng.uniform(0, seconds[-1] * 0.95)
        after = np.clip(seconds - start, 0, None)
        strike = np.where(seconds >= start, np.exp(-after * rng.uniform(15, 80)), 0.0)
        for hz in rng.uniform(1800, 7600, int(rng.integers(2, 6))):
            wave += rng.uniform(0.2, 1) * strike * np.sin(2 * math.pi * hz * after)
    return wave + rng.normal(0, 0.02, len(seconds))


def _creak(seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Wood and hinges: a rough tone whose pitch wanders, and dull knocks."""
    knots = np.linspace(0, seconds[-1], int(rng.integers(5, 14)))
    hz = np.interp(seconds, knots, rng.uniform(60, rng.uniform(200, 900), len(knots)))
    phase = 2 * math.pi * np.cumsum(hz) / SAMPLING_RATE_HZ
    level = np.interp(seconds, knots, rng.uniform(0, 1, len(knots)) ** 3)
    wave = level * (np.mod(phase / math.pi, 2) - 1) * rng.uniform(0.2, 1)
    for _ in range(int(rng.integers(1, 6))):
        after = np.clip(seconds - rng.uniform(0, seconds[-1]), 0, None)
        knock = np.where(after > 0, np.exp(-after * rng.uniform(10, 60)), 0.0)
        wave += knock * np.convolve(rng.normal(0, 1, len(seconds)), np.ones(40) / 40, "same") * 4
    return wave + rng.normal(0, 0.01, len(seconds))


def _engine(seconds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rotors and motors: noise in quick even pulses."""
    beat = 0.5 + 0.5 * np.sin(2 * math.pi * rng.uniform(6, 40) * seconds)
    width = int(rng.integers(2, 40))
    noise = np.convolve(rng.normal(0, 1, len(seconds)), np.ones(width) / width, "same")
    return noise * (0.2 + beat ** rng.uniform(1, 6))
