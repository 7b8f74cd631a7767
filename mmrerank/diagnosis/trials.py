"""Trials: a file of each kind through each decoder, and the main job, one pair scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mmrerank.diagnosis import samples
from mmrerank.diagnosis.finding import Finding, Probe

if TYPE_CHECKING:
    import torch

__all__ = ["MAIN_JOB", "device_probe", "main_probe", "trial_probes"]

MAIN_JOB = "score a pair"

_NO_CPU_SCORE = "nothing is scored"
_INSTALL_FFMPEG = "install FFmpeg 4 to 8 with shared libraries; PyAV decodes meanwhile"
_REINSTALL = "reinstall the library: pip install --force-reinstall {}"


def trial_probes() -> Iterator[Probe]:
    """A tiny file of each kind through mmrerank.media, with each library that can decode it."""
    pillow, pdfium = _REINSTALL.format("pillow"), _REINSTALL.format("pypdfium2")
    yield Probe("JPEG by pillow", _picture, "no pictures", pillow, is_timed=True)
    yield Probe("PDF by pypdfium2", _page, "no PDF pages", pdfium, is_timed=True)
    for backend, remedy in (
        ("torchcodec", _INSTALL_FFMPEG),
        ("pyav", _REINSTALL.format("av")),
    ):
        for kind, make in (("WAV", samples.wav_sample), ("FLAC", samples.flac_sample)):
            cost = f"{kind} only by the other decoder"
            yield Probe(f"{kind} by {backend}", _sound(backend, make), cost, remedy, is_timed=True)
        cost = "clips only by the other decoder"
        yield Probe(f"MP4 by {backend}", _clip(backend), cost, remedy, is_timed=True)


def _picture() -> str:
    from mmrerank.types import Image

    height, width, _ = _loaded(Image(samples.jpeg_sample())).pixels.shape
    return _expect(
        (height, width), (samples.SAMPLE_SIDE_PX, samples.SAMPLE_SIDE_PX), "{1} x {0} px"
    )


def _page() -> str:
    from mmrerank.types import DecodeBudget, Image

    height, width, _ = _loaded(Image(samples.pdf_sample(), page=1)).pixels.shape
    side = DecodeBudget().pdf_page_px
    return _expect((height, width), (side, side // 2), "{1} x {0} px")


def _loaded(part: Any) -> Any:
    """The one medium of a document, through the same door as every user's."""
    from mmrerank.media import MediaPolicy, load_documents
    from mmrerank.types import DecodeBudget, Document

    documents = [Document((part,))]
    (loaded,) = load_documents(documents, DecodeBudget(), MediaPolicy.local(), names=["sample"])
    if isinstance(loaded, Exception):
        raise loaded
    return loaded.parts[0].media  # type: ignore[union-attr]  # the sample is no text


def _sound(backend: str, make: Callable[[], bytes]) -> Callable[[], str]:
    def look() -> str:
        from mmrerank.media import MediaPolicy, audio

        read = audio.samples_by_torchcodec if backend == "torchcodec" else audio.samples_by_pyav
        heard, rate_hz = read(make(), 1.0, MediaPolicy.local())
        return _expect((heard.shape[-1], round(rate_hz)), (800, 8_000), "{} samples at {:,} Hz")

    return look


def _clip(backend: str) -> Callable[[], str]:
    def look() -> str:
        from mmrerank.media import MediaPolicy, video, video_pyav
        from mmrerank.types import DecodeBudget

        read = video.frames_by_torchcodec if backend == "torchcodec" else video_pyav.frames_by_pyav
        frames = read(samples.mp4_sample(), DecodeBudget(), MediaPolicy.local()).frames
        red, green, _ = frames.reshape(-1, 3).mean(axis=0)
        if not red > 200 > 50 > green:
            raise RuntimeError(f"red frames came out as {red:.0f} red and {green:.0f} green")
        return _expect(
            frames.shape[:3],
            (2, samples.SAMPLE_SIDE_PX, samples.SAMPLE_SIDE_PX),
            "{} frames of {} x {} px",
        )

    return look


def _expect(got: tuple[int, ...], expected: tuple[int, ...], shown: str) -> str:
    if tuple(got) != expected:
        raise RuntimeError(f"decoded to {tuple(got)}, expected {expected}: {shown}")
    return shown.format(*got)


def device_probe(device: str | None) -> Probe:
    """Whether torch computes on a device; None = the one that a model would take."""

    def look() -> str:
        import torch

        from mmrerank.cross_encoder.building import best_device

        chosen = torch.device(device or best_device())
        total = float(torch.ones(64, device=chosen).sum().item())
        if total != 64.0:
            raise RuntimeError(f"{chosen} adds 64 ones up to {total}")
        return f"{chosen}: {_described(chosen)}"

    return Probe(
        "device", look, "no model runs there", 'pass device="cpu" (doctor: --device cpu), or mend '
        "the driver", is_timed=True,
    )  # fmt: skip


def _described(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        bf16 = "bf16" if torch.cuda.is_bf16_supported() else "no bf16"
        return f"{facts.name}, CUDA {torch.version.cuda}, {bf16}"
    if device.type == "cpu":
        has_bf16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        bf16 = "bf16" if has_bf16 else "no fast bf16"
        return (
            f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, {bf16}"
        )
    return device.type


def main_probe(device: str | None) -> Probe:
    """The embedded model scores a pair: a text with a picture where that works, else a text."""
    remedy = "mend what is broken above; then: pip install --force-reinstall mmrerank"
    return Probe(MAIN_JOB, lambda: _score(device), _NO_CPU_SCORE, remedy, is_timed=True)


def _score(device: str | None) -> str | Finding:
    import math

    from mmrerank import CrossEncoder

    model = CrossEncoder(device=device)
    score = float(model.predict(("a red square", "a text about a red square")))
    if not math.isfinite(score):
        raise RuntimeError(f"the score is {score}")
    found = f"embedded model on {model.device}: {score:.3f}"
    try:
        model.predict(("a red square", {"image": samples.jpeg_sample()}))
    except Exception as error:
        # Texts are scored: that the rest is not is worth a row, but not the verdict.
        reason = "".join(str(error).splitlines()[:1])
        return Finding(MAIN_JOB, "limited", found, f"texts only: {reason}", "see above")
    return found
