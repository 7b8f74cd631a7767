"""The libraries that are needed or of use: which are there, in which version."""

from __future__ import annotations

import ctypes.util
import importlib.util
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from mmrerank.diagnosis.finding import Absent, Probe

__all__ = ["library_probes"]


@dataclass(frozen=True, slots=True)
class _Library:
    """module: what is imported. extra: the optional dependencies it is one of; "" = needed."""

    module: str
    cost: str
    extra: str = ""
    distribution: str = ""

    @property
    def remedy(self) -> str:
        """How to get it."""
        return f"pip install 'mmrerank[{self.extra}]'" if self.extra else f"pip install {self.name}"

    @property
    def name(self) -> str:
        """What it is called on the package index."""
        return self.distribution or self.module


_LIBRARIES = (
    _Library("torch", "no model runs"),
    _Library("torchvision", "no picture or clip is prepared for a model"),
    _Library("transformers", "no model is loaded"),
    _Library("PIL", "no picture is decoded", distribution="pillow"),
    _Library("torchcodec", "sound and clips are decoded by PyAV: slower on long clips"),
    _Library("av", "no sound or clip where torchcodec does not load"),
    _Library("soxr", "no sound is resampled"),
    _Library("pypdfium2", "no PDF page is rendered"),
    _Library("qwen_vl_utils", "no clip for the families that sample frames by it"),
    _Library("fsspec", "no hf://, s3://, gs:// or az:// sources", extra="s3"),
    _Library("s3fs", "no s3:// sources", extra="s3"),
    _Library("fastapi", "no server", extra="serve"),
    _Library("uvicorn", "no server", extra="serve"),
    _Library("ray", "no jobs over many machines", extra="ray"),
    _Library("openvino", "no OpenVINO backend", extra="openvino"),
    _Library("torchao", "no int8 weights", extra="int8"),
    _Library("datasets", "no training", extra="train"),
    _Library("accelerate", "no training; no device_map", extra="train"),
    _Library("peft", "no LoRA adapters", extra="train"),
    _Library(
        "sklearn", "no evaluation, no calibration", extra="train", distribution="scikit-learn"
    ),
    _Library("ir_measures", "no ranking metrics", extra="train"),
    _Library("matplotlib", "no plots in reports", extra="train"),
    _Library("mteb", "no tasks of MTEB in `mmrerank eval`", extra="mteb"),
)
_FFMPEG_REMEDY = "install FFmpeg 4 to 8 with shared libraries (Debian: apt install ffmpeg)"


def library_probes() -> Iterator[Probe]:
    """One probe a library, in the order of the table; Python first."""
    yield Probe("Python", lambda: f"{platform.python_version()} on {platform.platform()}")
    for library in _LIBRARIES:
        remedy = _FFMPEG_REMEDY if library.module == "torchcodec" else library.remedy
        yield Probe(library.name, _look_at(library), library.cost, remedy)
        if library.module == "torchcodec":
            yield Probe("FFmpeg", _ffmpeg, "torchcodec does not load", _FFMPEG_REMEDY)
    yield Probe("mmrerank", _own_package, "nothing is scored", "mend what is broken above")


def _own_package() -> str:
    package = importlib.import_module("mmrerank")
    importlib.import_module("mmrerank.cross_encoder")
    return f"{package.__version__} in {Path(str(package.__file__)).parent}"


def _look_at(library: _Library) -> Callable[[], str]:
    def look() -> str:
        if library.extra:
            _require_installed(library)
        module = importlib.import_module(library.module)
        detail = _DETAILS.get(library.module)
        version = _version_of(library.name)
        return f"{version} ({said})" if detail and (said := detail(module)) else version

    return look


def _require_installed(library: _Library) -> None:
    """Raises Absent where the library is not there; one that is there and broken says so itself."""
    top = library.module.partition(".")[0]
    # None in sys.modules is Python's own mark for a module that must not be imported.
    is_there = sys.modules[top] is not None if top in sys.modules else importlib.util.find_spec(top)
    if not is_there:
        raise Absent


def _version_of(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "version not known"


def _pillow(_: Any) -> str:
    from PIL import features

    turbo = features.version("libjpeg_turbo")
    words = [f"libjpeg-turbo {turbo}" if turbo else "no libjpeg-turbo: slower on JPEG"]
    words += [name if features.check(name) else f"no {name}" for name in ("webp", "avif")]
    return ", ".join(words)


def _torchcodec(torchcodec: Any) -> str:
    importlib.import_module("torchcodec.decoders")
    return f"against FFmpeg {torchcodec.ffmpeg_major_version}"


def _pyav(av: Any) -> str:
    return f"its own FFmpeg {av.ffmpeg_version_info}"


_DETAILS: Mapping[str, Callable[[Any], str]] = {
    "PIL": _pillow,
    "torchcodec": _torchcodec,
    "av": _pyav,
}


def _ffmpeg() -> str:
    """The system's FFmpeg, as torchcodec sees it or as the linker does."""
    try:
        core: Any = importlib.import_module("torchcodec._core")
        return str(core.get_ffmpeg_library_versions()["ffmpeg_version"])
    except Exception:
        library = ctypes.util.find_library("avcodec")
        if library is None:
            raise Absent("no libavcodec on this system") from None
        return f"{library}; torchcodec does not say which version"
