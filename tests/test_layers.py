"""The import rule of docs/architecture.md, read from the syntax trees; imports no mmrerank."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "mmrerank"

# A module may import from its own package and from any lower number, also inside a function.
LAYERS = {
    "caching": 0,
    "locks": 0,
    "errors": 0,
    "extras": 0,
    "types": 0,
    "inputs": 1,
    "media": 2,
    "specs": 3,
    "prompting": 4,
    "heads": 5,
    "models": 6,
    "engine": 7,
    "results": 8,
    "pipeline": 9,
    "ranking": 10,
    "evaluation": 10,
    "training": 11,
    "cross_encoder": 12,
    "readers": 12,
    "util": 12,
    "jobs": 13,
    "serving": 13,
    "diagnosis": 13,
    "integrations": 13,
    "scale": 14,
    "cli": 15,
}
# `from mmrerank import CrossEncoder` asks the door, whose names reach up to number 12.
DOOR = 12

NETWORK = {
    "socket",
    "ssl",
    "requests",
    "httpx",
    "httpx2",
    "aiohttp",
    "urllib3",
    "urllib.request",
    "http.client",
}
FILE_CALLS = {"open", "read_bytes", "read_text", "write_bytes", "write_text"}
HEAVY = {"torch", "torchvision", "torchcodec", "transformers", "sentence_transformers"}
# Short names count only where a word starts: "settings" is no family.
FAMILIES = re.compile(
    "qwen|jina|nemotron|mxbai|lychee|zerank|minicpm|(?<![a-z])(ctxl|ettin|gemma|llama|mistral)"
)

MAY_USE_NETWORK = ("media/",)
MAY_OPEN_FILES = (
    *("media/", "models/", "specs/"),  # media; files of checkpoints and processor folders
    *("evaluation/", "training/", "jobs/", "serving/", "cli/"),  # files of their own
    "diagnosis/",  # what the system says of its memory
)
WITHOUT_TORCH = (
    "inputs/",
    "media/",
    "specs/",
    "engine/plan.py",
    "engine/prefix_tree.py",
    "results.py",
)
MAY_NAME_FAMILIES = ("models/architectures.py", "serving/wire/", "integrations/")
ONLY_IN = {
    "fastapi": "serving/",
    "starlette": "serving/",
    "uvicorn": "serving/",
    "ray": "scale/",
    "jinja2": "prompting/template.py",
    "openvino": "engine/openvino.py",
    "typer": "cli/",
    "rich": "cli/",
    "sentence_transformers": "nowhere: it is the peer, for tests only",
    "torchaudio": "nowhere: its CUDA build breaks transformers",
}

MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
LAYERED = [name for name in MODULES if name != "__init__.py"]


def syntax(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"), filename=name)


def package_of(name: str) -> str:
    return name.split("/")[0].removesuffix(".py")


def imports_of(tree: ast.AST, name: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything imported, relative imports made absolute."""
    parents = ("mmrerank/" + name).split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def imported_when_loaded(body: list[ast.stmt], name: str) -> Iterator[tuple[int, str]]:
    """Imports that run when the module is loaded: not those in functions or under TYPE_CHECKING."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports_of(node, name)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            only_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for block in ("orelse",) if only_for_types else ("body", "orelse", "finalbody"):
                yield from imported_when_loaded(getattr(node, block, []), name)
            for handler in getattr(node, "handlers", []):
                yield from imported_when_loaded(handler.body, name)


def is_or_is_in(dotted: str, module: str) -> bool:
    return dotted == module or dotted.startswith(module + ".")


def number_of(dotted: str) -> int:
    """Layer of `mmrerank.<package>…`; any other name of mmrerank comes through the door."""
    return LAYERS.get(dotted.split(".")[1], DOOR)


@pytest.mark.parametrize("name", LAYERED)
def test_module_belongs_to_a_numbered_package(name: str):
    assert package_of(name) in LAYERS, f"{name}: give {package_of(name)!r} a number in LAYERS"


@pytest.mark.parametrize("name", LAYERED)
def test_module_imports_only_from_lower_numbers(name: str):
    package = package_of(name)
    wrong = [
        f"{name}:{line} ({package}, {LAYERS[package]}) imports {dotted} ({number_of(dotted)})"
        for line, dotted in imports_of(syntax(name), name)
        if is_or_is_in(dotted, "mmrerank")
        and not is_or_is_in(dotted, f"mmrerank.{package}")
        and number_of(dotted) >= max(LAYERS[package], 1)  # errors and types share number 0
    ]
    assert wrong == []


@pytest.mark.parametrize("name", [n for n in MODULES if n.startswith(WITHOUT_TORCH)])
def test_pure_module_imports_no_torch_when_loaded(name: str):
    found = [
        f"{name}:{line} {dotted}"
        for line, dotted in imported_when_loaded(syntax(name).body, name)
        if dotted.split(".")[0] in HEAVY
    ]
    assert found == []


@pytest.mark.parametrize("name", [n for n in MODULES if not n.startswith(MAY_USE_NETWORK)])
def test_module_outside_media_opens_no_socket(name: str):
    found = [
        f"{name}:{line} {dotted}"
        for line, dotted in imports_of(syntax(name), name)
        if any(is_or_is_in(dotted, module) for module in NETWORK)
    ]
    assert found == []


@pytest.mark.parametrize("name", [n for n in MODULES if not n.startswith(MAY_OPEN_FILES)])
def test_module_without_files_of_its_own_opens_none(name: str):
    assert [f"{name}:{line}" for line, called in _calls_of(name) if called in FILE_CALLS] == []


@pytest.mark.parametrize("name", [n for n in MODULES if not n.startswith("cli/")])
def test_library_never_prints(name: str):
    assert [f"{name}:{line}" for line, called in _calls_of(name) if called == "print"] == []


@pytest.mark.parametrize("name", [n for n in MODULES if not n.startswith("models/")])
def test_only_models_calls_from_pretrained(name: str):
    assert [
        f"{name}:{line}" for line, called in _calls_of(name) if called == "from_pretrained"
    ] == []


@pytest.mark.parametrize("name", MODULES)
def test_module_imports_frameworks_only_in_their_place(name: str):
    found = [
        f"{name}:{line} {dotted}: only in {place}"
        for line, dotted in imports_of(syntax(name), name)
        for module, place in ONLY_IN.items()
        if is_or_is_in(dotted, module) and not name.startswith(place)
    ]
    assert found == []


@pytest.mark.parametrize("name", [n for n in MODULES if not n.startswith(MAY_NAME_FAMILIES)])
def test_code_names_no_model_family(name: str):
    found = [
        f"{name}:{line} {word!r}"
        for line, word in _words_of(syntax(name))
        if FAMILIES.search(word.lower().replace("qwen_vl_utils", ""))
    ]
    assert found == [], "family knowledge belongs in processors/"


def test_checker_sees_relative_and_function_level_imports():
    tree = ast.parse("def f():\n    from ..models import load\n    from mmrerank import errors\n")
    found = [dotted for _, dotted in imports_of(tree, "inputs/parse.py")]
    assert found == ["mmrerank.models.load", "mmrerank.errors"]


def test_checker_tells_load_time_from_call_time():
    source = "try:\n    import torch\nexcept ImportError:\n    pass\ndef f():\n    import av\n"
    found = [dotted for _, dotted in imported_when_loaded(ast.parse(source).body, "results.py")]
    assert found == ["torch"]


def test_checker_reads_names_and_strings_but_no_docstrings():
    tree = ast.parse('"""Qwen."""\ndef is_jina(x):\n    return x == "nemotron settings"\n')
    words = {word for _, word in _words_of(tree) if FAMILIES.search(word)}
    assert words == {"is_jina", "nemotron settings"}
    assert not FAMILIES.search("settings")


def _calls_of(name: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(syntax(name)):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name):
                yield node.lineno, called.id
            elif isinstance(called, ast.Attribute):
                yield node.lineno, called.attr


def _words_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every name and string of the code; neither docstrings nor comments, which may explain."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and id(node) not in docstrings:
                yield line, node.value
            continue
        for field in ("id", "attr", "name", "arg", "module"):
            word = getattr(node, field, None)
            if isinstance(word, str):
                yield line, word
