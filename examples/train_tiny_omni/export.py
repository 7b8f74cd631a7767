"""Write the model of a saved training state as a checkpoint folder.

python -m examples.train_tiny_omni.export OUT/last.pt FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from .model import build_model, build_processor, save_folder
from .tokenizer import train_tokenizer

__all__ = ["main"]


def main(argv: list[str] | None = None) -> None:
    """Export from the command line."""
    parser = argparse.ArgumentParser(description="Write a saved training state as a checkpoint.")
    parser.add_argument("state", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args(argv)
    tokenizer = train_tokenizer()
    model = build_model(tokenizer)
    model.load_state_dict(torch.load(args.state, weights_only=False)["model"])
    args.folder.mkdir(parents=True, exist_ok=True)
    save_folder(model, build_processor(tokenizer), args.folder)


if __name__ == "__main__":
    main()
