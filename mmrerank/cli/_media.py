"""Flags of the media policy: one for each field, for the commands that open media.

--media-max-pixels, MMRERANK_MEDIA_MAX_PIXELS and MediaPolicy(max_pixels=...) are the same limit;
the flag wins over the variable, the variable over --media-policy.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

    from mmrerank import MediaPolicy

__all__ = ["MEDIA_FLAGS", "CommandWithMedia", "MediaFlags", "with_media_flags"]

_Base = Literal["local", "public", "server"]
_SWITCH = ""  # in the place of a metavar: the flag takes no value

# field of MediaPolicy → (what to write behind the flag, help). Written out, because importing the
# dataclass would bring numpy into --help; a test compares the two.
MEDIA_FLAGS: Mapping[str, tuple[str, str]] = {
    "schemes": ("LIST", "Schemes of URLs, as https,data."),
    "hosts": ("LIST", "Hosts of URLs, as example.org,*.example.com; none = any."),
    "allow_private": (_SWITCH, "Let URLs lead to private and loopback addresses."),
    "allow_local_files": (_SWITCH, "Let documents name files of this machine."),
    "directories": ("LIST", "Folders that local files must lie in; none = any."),
    "formats": ("LIST", "Formats by the first bytes of a file, as jpeg,png,wav."),
    "max_bytes": ("N", "Of one source."),
    "timeout_s": ("SECONDS", "For one URL in total."),
    "max_redirects": ("N", "Of one URL."),
    "max_retries": ("N", "After a broken connection or an answer of 429 or 5xx."),
    "max_pixels": ("N", "Of one picture or frame."),
    "max_frames": ("N", "Of one clip that are decoded."),
    "max_media_s": ("SECONDS", "Of one sound or clip."),
    "max_pages": ("N", "Of one PDF."),
    "max_decoded_bytes": ("N", "Of one picture, sound or clip in memory."),
    "cache_dir": ("FOLDER", "Keeps what URLs gave, as long as their servers allow."),
    "max_cache_bytes": ("N", "Of that folder."),
}


@dataclass(frozen=True, slots=True)
class MediaFlags:
    """What the flags of one command line say; fields holds the text of those that were given."""

    base: _Base = "local"
    fields: Mapping[str, str] = field(default_factory=dict)
    fast_decode: bool = False

    def policy(self) -> MediaPolicy:
        """The policy in force. Raises InputError for a value that cannot be read."""
        from mmrerank import MediaPolicy

        bases = {
            "local": MediaPolicy.local,
            "public": MediaPolicy.public,
            "server": MediaPolicy.server,
        }
        given = {
            name: MediaPolicy.read_field(name, text, shown=_flag_of(name))
            for name, text in self.fields.items()
        }
        return replace(MediaPolicy.from_environment(bases[self.base]()), **given)


def with_media_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags; it gets them as its argument `media`."""
    own = inspect.signature(command, eval_str=True)
    flags = _parameters()

    @functools.wraps(command)
    def wrapper(**kwargs: Any) -> None:
        given = {flag.name: kwargs.pop(flag.name) for flag in flags}
        texts = {
            name: str(int(value)) if isinstance(value, bool) else value
            for name in MEDIA_FLAGS
            if (value := given[f"media_{name}"]) is not None
        }
        media = MediaFlags(given["media_policy"], texts, given["fast_decode"])
        command(**kwargs, media=media)

    kept = [parameter for name, parameter in own.parameters.items() if name != "media"]
    wrapper.__signature__ = own.replace(parameters=[*kept, *flags])  # type: ignore[attr-defined]
    return wrapper


class CommandWithMedia(TyperCommand):
    """A command whose help lists the flags of the policy below the others."""

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the lists of arguments, options and media flags."""
        sections: dict[str, list[tuple[str, str]]] = {}
        media = {flag.name for flag in _parameters()}
        for parameter in self.get_params(ctx):
            is_option = parameter.param_type_name == "option"
            title = "Options" if is_option else "Arguments"
            title = "Media (docs/loading.md)" if parameter.name in media else title
            if record := parameter.get_help_record(ctx):
                sections.setdefault(title, []).append(record)
        for title in sorted(sections, key=lambda title: title.startswith("Media")):
            with formatter.section(title):
                formatter.write_dl(sections[title])


def _parameters() -> list[inspect.Parameter]:
    base = typer.Option(help="What the flags below start from.", show_default=True)
    fast = typer.Option("--fast-decode", help="Decode big pictures smaller; nearly equal scores.")
    return [
        _parameter("media_policy", Annotated[_Base, base], "local"),
        _parameter("fast_decode", Annotated[bool, fast], False),
        *(_parameter(f"media_{name}", _annotation(name), None) for name in MEDIA_FLAGS),
    ]


def _annotation(name: str) -> Any:
    metavar, text = MEDIA_FLAGS[name]
    flag = _flag_of(name)
    if metavar == _SWITCH:
        option = typer.Option(f"{flag}/--no-{flag.removeprefix('--')}", help=text)
        return Annotated[bool | None, option]
    return Annotated[str | None, typer.Option(flag, metavar=metavar, help=text)]


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, annotation=annotation, default=default)


def _flag_of(name: str) -> str:
    return f"--media-{name.replace('_', '-')}"
