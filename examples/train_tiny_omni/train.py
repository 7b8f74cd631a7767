"""Train tiny-omni: towers alone, then text alone, then everything together.

torchrun --nproc-per-node 2 -m examples.train_tiny_omni.train --out DIR
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from accelerate import PartialState
from datasets import Dataset

from mmrerank import CrossEncoder
from mmrerank.cross_encoder.training_args import CrossEncoderTrainingArguments

from .bank import Bank, BankSize, make_bank
from .drawing import ALL_SORTS, TEXT_SORTS, DrawMedia, DrawPairs, InOrder
from .heads import AttributeHeads
from .heldout import HeldOut
from .losses import Lesson, PairLoss, TowerLoss
from .model import HIDDEN, build_model, build_processor, save_folder
from .stages import StageTrainer
from .tokenizer import train_tokenizer

__all__ = ["main"]


# Kind, and the share of the steps in which the learning rate rises.
_SCHEDULES = {
    "towers": ("cosine_with_min_lr", 0.1),
    "text": ("constant_with_warmup", 0.3),
    "all": ("cosine_with_min_lr", 0.1),
}


def main(argv: list[str] | None = None) -> None:
    """Train from the command line; writes checkpoints of each stage, and the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for bank, checkpoints and model")
    add("--steps", type=int, nargs=3, default=(3600, 800, 9600), metavar=("TOWERS", "TEXT", "ALL"),
        help="steps of each stage; 0 leaves it out")  # fmt: skip
    add("--start", help="a checkpoint to start from, such as tiny-omni; without it from nothing")
    add("--lr", type=float, default=1.2e-3, help="highest learning rate of each stage")
    add("--resume", action="store_true", help="go on from the newest checkpoint of each stage")
    add("--bank-share", type=float, default=1.0, help="size of the bank of media")
    add("--checkpoint-steps", type=int, default=400, help="steps between checkpoints")
    add("--held-out-pairs", type=int, default=60, help="pairs of each sort at each checkpoint")
    add("--log-steps", type=int, default=50, help="steps between two lines of the log")
    add("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if not args.resume and any(args.out.glob("*/checkpoint-*")):
        parser.error(f"{args.out} holds a run: pass --resume to go on, or another --out")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    _train(args)


def _train(args: argparse.Namespace) -> None:
    state = PartialState(cpu=True)
    args.out.mkdir(parents=True, exist_ok=True)
    if state.is_main_process:
        make_bank(args.out / "bank.pkl", BankSize().scaled(args.bank_share))
        _save_fresh(args.out / "start", args.seed)
    state.wait_for_everyone()
    bank = make_bank(args.out / "bank.pkl", BankSize())
    model = CrossEncoder(args.start or str(args.out / "start"), device="cpu")
    torch.manual_seed(args.seed)
    heads = AttributeHeads(HIDDEN)
    for name, num_steps in zip(_SCHEDULES, args.steps, strict=True):
        if num_steps:
            _run_stage(name, num_steps, model, heads, bank, args)
    if state.is_main_process:
        processor = build_processor(model.tokenizer)
        save_folder(model.transformers_model, processor, args.out / "model")
    state.wait_for_everyone()


def _save_fresh(folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    tokenizer = train_tokenizer()
    save_folder(build_model(tokenizer), build_processor(tokenizer), folder)


def _run_stage(
    name: str,
    num_steps: int,
    model: CrossEncoder,
    heads: AttributeHeads,
    bank: Bank,
    args: argparse.Namespace,
) -> None:
    loss, draw = _lesson(name, model, heads, bank, args)
    options = _arguments(name, num_steps, draw.batch_size, args)
    num_rows = num_steps * draw.batch_size * options.world_size
    trainer = StageTrainer(
        model,
        options,
        train_dataset=Dataset.from_dict({"row": range(num_rows)}),
        loss=loss,
        data_collator=draw,
        # Before they have met the words, there is nothing to ask the towers.
        evaluator=None if name == "towers" else HeldOut(args.held_out_pairs),
    )
    # Written last: a folder without it was not written to its end.
    states = args.out.glob(f"{name}/checkpoint-*/trainer_state.json")
    trainer.train(resume_from_checkpoint=args.resume and any(states))


def _lesson(
    name: str, model: CrossEncoder, heads: AttributeHeads, bank: Bank, args: argparse.Namespace
) -> tuple[Lesson, DrawMedia | DrawPairs]:
    """The loss of a stage, and the collator that draws for it."""
    # A seed of its own: stages would else draw alike from the same numbers.
    seed = 10 * args.seed + list(_SCHEDULES).index(name)
    if name == "towers":
        return TowerLoss(model, heads), DrawMedia(bank, seed)
    # Heads that no stage has trained have nothing to teach.
    weight = 0.4 if args.steps[0] else 0.0
    sorts = TEXT_SORTS if name == "text" else ALL_SORTS
    return (
        PairLoss(model, heads, bank, attribute_weight=weight),
        DrawPairs(bank, model.tokenizer, sorts, seed),
    )


def _arguments(
    name: str, num_steps: int, batch_size: int, args: argparse.Namespace
) -> CrossEncoderTrainingArguments:
    kind, warmup_share = _SCHEDULES[name]
    return CrossEncoderTrainingArguments(
        output_dir=str(args.out / name),
        max_steps=num_steps,
        per_device_train_batch_size=batch_size,
        batch_sampler=InOrder,
        learning_rate=args.lr,
        lr_scheduler_type=kind,
        lr_scheduler_kwargs={"min_lr_rate": 0.01} if kind.startswith("cosine") else {},
        warmup_steps=warmup_share,
        weight_decay=0.05,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        logging_steps=args.log_steps,
        eval_strategy="no" if name == "towers" else "steps",
        eval_steps=args.checkpoint_steps,
        save_steps=args.checkpoint_steps,
        save_total_limit=2,
        # Accuracy goes up and down from checkpoint to checkpoint, sounds by several hundredths.
        load_best_model_at_end=name == "all",
        metric_for_best_model="mean" if name == "all" else None,
        seed=args.seed,
        use_cpu=True,
        dataloader_pin_memory=False,
        report_to="none",
    )


if __name__ == "__main__":
    main()
