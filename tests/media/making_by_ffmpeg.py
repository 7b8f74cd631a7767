"""Clips and sounds made by the ffmpeg program: what cameras, phones and recorders write."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np

__all__ = ["CLIPS", "SOUNDS", "decode_through", "make_clip", "make_sound"]

_PICTURES = "testsrc2=size={size}:rate=25:duration=3"
_X264 = "-c:v libx264 -pix_fmt yuv420p"
# Kind → (size, ffmpeg's options, end of the name). Fine to read as what ffmpeg would be told.
CLIPS: dict[str, tuple[str, str, str]] = {
    "h264 with B-frames": ("320x240", f"{_X264} -bf 3 -g 25 -x264-params b-pyramid=normal", "mp4"),
    "h264 with one key frame": ("320x240", f"{_X264} -g 250", "mp4"),
    "h264 with open groups": ("320x240", f"{_X264} -bf 3 -g 15 -x264-params open-gop=1", "mkv"),
    "h264 of 4:2:2": ("320x240", "-c:v libx264 -pix_fmt yuv422p", "mp4"),
    "h264 of 4:4:4": ("320x240", "-c:v libx264 -pix_fmt yuv444p", "mp4"),
    "h264 of 10 bits": ("320x240", "-c:v libx264 -pix_fmt yuv420p10le", "mp4"),
    "h264 of full range": (
        "320x240",
        "-vf scale=out_range=full -c:v libx264 -pix_fmt yuvj420p -color_range pc",
        "mp4",
    ),
    "h264 of bt709": (
        "320x240",
        f"-vf scale=out_color_matrix=bt709 {_X264} -colorspace bt709 -color_primaries bt709"
        " -color_trc bt709",
        "mp4",
    ),
    "h264 of bt601": (
        "320x240",
        f"-vf scale=out_color_matrix=smpte170m {_X264} -colorspace smpte170m"
        " -color_primaries smpte170m -color_trc smpte170m",
        "mp4",
    ),
    "h264 high definition, unnamed matrix": ("1280x720", f"{_X264} -preset ultrafast", "mp4"),
    "h264 in fragments": ("320x240", f"{_X264} -movflags frag_keyframe+empty_moov", "mp4"),
    "hevc": ("320x240", "-c:v libx265 -pix_fmt yuv420p -x265-params log-level=none", "mp4"),
    "vp9": ("320x240", "-c:v libvpx-vp9 -b:v 1M -deadline realtime", "webm"),
    "mpeg4 in avi": ("320x240", "-c:v mpeg4 -b:v 1M", "avi"),
    "mpeg4 with B-frames in avi": ("320x240", "-c:v mpeg4 -b:v 1M -bf 2", "avi"),
    "mpeg transport stream": ("320x240", f"{_X264} -bf 2 -g 25", "ts"),
    "mpeg program stream": ("320x240", "-c:v mpeg2video -b:v 2M", "mpg"),
    "motion jpeg": ("320x240", "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p", "mov"),
    "odd sides": ("320x240", "-vf scale=321:241 -c:v libx264 -pix_fmt yuv444p", "mp4"),
    "odd sides of 4:2:0": (
        "320x240",
        "-vf scale=175:143 -c:v libvpx-vp9 -pix_fmt yuv420p -deadline realtime",
        "webm",
    ),
    "variable frame rate": (
        "320x240",
        f"-vf select='lt(n\\,20)+not(mod(n\\,5))' -fps_mode vfr {_X264}",
        "mp4",
    ),
    "starts late": ("320x240", f"{_X264} -output_ts_offset 7.3", "mp4"),
    "cut by an edit list": ("320x240", f"{_X264} -bf 2 -ss 0.5", "mp4"),
    "29.97 frames a second": ("320x240", f"-r 30000/1001 {_X264}", "mp4"),
    "oblong pixels": ("320x240", f"-vf setsar=4/3 {_X264}", "mp4"),
    "interlaced": ("320x240", f"{_X264} -flags +ildct+ilme -x264opts tff=1", "mp4"),
    "turned by 90": ("320x240", f"{_X264} TURN 90", "mp4"),
    "turned by 180": ("320x240", f"{_X264} TURN 180", "mp4"),
    "turned by 270": ("320x240", f"{_X264} TURN 270", "mov"),
}

# Kind → (rate in Hz, channels, ffmpeg's options, end of the name).
SOUNDS: dict[str, tuple[int, int, str, str]] = {
    "mp3 with encoder delay": (44_100, 2, "-c:a libmp3lame -b:a 128k", "mp3"),
    "mp3 of variable rate": (44_100, 1, "-c:a libmp3lame -q:a 4", "mp3"),
    "mp3 of 8 kHz": (8_000, 1, "-c:a libmp3lame", "mp3"),
    "mp3 without its header": (44_100, 2, "-c:a libmp3lame -write_xing 0", "mp3"),
    "aac in mp4": (44_100, 2, "-c:a aac -b:a 128k", "m4a"),
    "aac of 48 kHz, 5.1": (48_000, 6, "-c:a aac -b:a 256k", "m4a"),
    "aac of 8 kHz": (8_000, 1, "-c:a aac", "m4a"),
    "aac in adts": (22_050, 1, "-c:a aac", "aac"),
    "opus": (48_000, 2, "-c:a libopus", "ogg"),
    "opus in webm": (48_000, 1, "-c:a libopus", "webm"),
    "vorbis": (44_100, 2, "-c:a libvorbis", "ogg"),
    "flac of 24 bits": (192_000, 2, "-c:a flac -sample_fmt s32", "flac"),
    "flac, 5.1": (48_000, 6, "-c:a flac", "flac"),
    "wav of 16 bits": (44_100, 2, "-c:a pcm_s16le", "wav"),
    "wav of 24 bits": (48_000, 2, "-c:a pcm_s24le", "wav"),
    "wav of 8 bits": (8_000, 1, "-c:a pcm_u8", "wav"),
    "wav of floats": (192_000, 1, "-c:a pcm_f32le", "wav"),
    "wav of mu-law": (8_000, 1, "-c:a pcm_mulaw", "wav"),
    "wav, 5.1": (48_000, 6, "-c:a pcm_s16le", "wav"),
    "aiff": (44_100, 2, "-c:a pcm_s16be", "aiff"),
    "flac in matroska": (44_100, 2, "-c:a flac", "mka"),
}


def make_clip(kind: str, folder: Path) -> bytes:
    """Three seconds of moving pictures of that kind. Needs the ffmpeg program."""
    size, options, ending = CLIPS[kind]
    options, _, turn = options.partition(" TURN ")
    made = folder / f"made.{ending}"
    _ffmpeg("-f", "lavfi", "-i", _PICTURES.format(size=size), *options.split(), str(made))
    if not turn:
        return made.read_bytes()
    turned = folder / f"turned.{ending}"
    _ffmpeg("-i", str(made), "-metadata:s:v", f"rotate={turn}", "-c", "copy", str(turned))
    return turned.read_bytes()


def make_sound(kind: str, folder: Path) -> bytes:
    """Two seconds of tones and noise, each channel its own. Needs the ffmpeg program."""
    rate, channels, options, ending = SOUNDS[kind]
    waves = "|".join(
        f"0.3*sin({(channel + 1) * 300}*2*PI*t)+0.05*sin(t*t*{(channel + 2) * 500})"
        for channel in range(channels)
    )
    made = folder / f"made.{ending}"
    _ffmpeg(
        *("-f", "lavfi", "-i", f"aevalsrc={waves}:s={rate}:d=2"),
        *options.split(),
        str(made),
    )
    return made.read_bytes()


def decode_through(data: bytes, frame_shape: tuple[int, ...], folder: Path) -> np.ndarray:
    """Every frame of a clip, (num_frames, height, width, 3), upright; none dropped or repeated."""
    file = folder / "decode_through"
    file.write_bytes(data)
    given = ("-fps_mode", "passthrough", "-sws_flags", "bicubic", "-pix_fmt", "rgb24")
    raw = _ffmpeg("-i", str(file), *given, "-f", "rawvideo", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, *frame_shape)


def _ffmpeg(*arguments: str) -> bytes:
    """What the program writes to its output."""
    program = shutil.which("ffmpeg")
    assert program, "needs the ffmpeg program: run `make system`"
    done = subprocess.run(
        [program, "-hide_banner", "-loglevel", "error", "-y", *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    return done.stdout
