"""Train tiny-omni: towers alone, then text alone, then everything together.

python -m examples.train_tiny_omni.train --out DIR --minutes 60
"""

from __future__ import annotations

import argparse
import logging
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, multiprocessing, nn

from .bank import Bank, BankSize, make_bank
from .batches import Row, collate, forward_scores, tower_states
from .fast_towers import use_fast_towers
from .heads import AttributeHeads, draw_labelled
from .heldout import HeldOut
from .model import HIDDEN, build_model, build_processor, save_folder
from .pairs import KINDS, Pair, PairMaker
from .team import Team
from .tokenizer import token_id, train_tokenizer
from .world import Kind

__all__ = ["main"]

logger = logging.getLogger("train_tiny_omni")


# Pairs with media as documents, and with a medium as query, in a step of one process: what is
# learned soonest gets the fewest.
MEDIA_PAIRS: Mapping[Kind, tuple[int, int]] = {"picture": (4, 2), "clip": (5, 3), "sound": (3, 1)}


@dataclass(frozen=True, slots=True)
class Plan:
    """Minutes and learning rates of the stages, and pairs in one step."""

    minutes: float
    tower_share: float = 0.28
    text_share: float = 0.03
    frozen_share: float = 0.35
    attribute_weight: float = 0.4
    tower_lr: float = 1.2e-3
    lr: float = 1.2e-3
    text_pairs: int = 4
    evaluate_every_min: float = 4.0


class Trainer:
    """Model, optimiser and the state that a resumed run goes on from."""

    def __init__(self, out: Path, plan: Plan, bank: Bank, team: Team, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.team = team
        self.out, self.plan, self.bank = out, plan, bank
        self.tokenizer = train_tokenizer()
        self.yes_no = (token_id(self.tokenizer, "yes"), token_id(self.tokenizer, "no"))
        self.model = build_model(self.tokenizer)
        use_fast_towers(self.model)
        # For rows of fifty tokens plain attention takes half the time of the fused kernel here.
        self.model.model.language_model.config._attn_implementation = "eager"
        self.heads = AttributeHeads(HIDDEN)
        self.rng = np.random.default_rng((seed, team.rank))
        self.pairs = PairMaker(bank, self.rng)
        self.held_out = HeldOut() if team.rank == 0 else None
        self.stage, self.elapsed_s, self.step = "tower", 0.0, 0
        self.optimizer = self._new_optimizer()

    def _new_optimizer(self) -> torch.optim.AdamW:
        modules: list[nn.Module] = [self.model, self.heads]
        if self.stage == "tower":
            modules = [self.model.model.visual, self.model.model.audio_tower, self.heads]
        matrices: list[nn.Parameter] = []
        vectors: list[nn.Parameter] = []
        for module in modules:
            for parameter in module.requires_grad_(True).parameters():
                (matrices if parameter.dim() > 1 else vectors).append(parameter)
        groups = [
            {"params": matrices, "weight_decay": 0.05},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.98))

    def run(self) -> None:
        """Run the stages that are left."""
        for stage in ("tower", "text", "all"):
            if _ORDER.index(stage) < _ORDER.index(self.stage):
                continue
            if stage != self.stage:
                self.stage, self.elapsed_s, self.step = stage, 0.0, 0
                self.optimizer = self._new_optimizer()
            self._run_stage()
            self.save(f"after_{stage}.pt")
        if self.team.rank == 0:
            save_folder(self.model, build_processor(self.tokenizer), self.out / "model")

    def _stage_seconds(self) -> float:
        plan = self.plan
        shares = {"tower": plan.tower_share, "text": plan.text_share}
        return 60 * plan.minutes * shares.get(self.stage, 1 - plan.tower_share - plan.text_share)

    def _run_stage(self) -> None:
        total_s, last_eval_s = self._stage_seconds(), self.elapsed_s
        log: dict[str, list[float]] = {}
        while self.elapsed_s < total_s:
            begin = time.monotonic()
            done = self.elapsed_s / total_s
            self._set_lr(done)
            losses = self._tower_step() if self.stage == "tower" else self._pair_step(done)
            for name, value in losses.items():
                log.setdefault(name, []).append(value)
            self.step += 1
            self.elapsed_s = self.team.agree(self.elapsed_s + time.monotonic() - begin)
            if self.step % 50 == 0 and self.team.rank == 0:
                means = " ".join(f"{name}={np.mean(values):.3f}" for name, values in log.items())
                logger.info("%s step %d %.0fs %s", self.stage, self.step, self.elapsed_s, means)
                log = {}
            if self.elapsed_s - last_eval_s > 60 * self.plan.evaluate_every_min:
                last_eval_s = self.elapsed_s
                self._evaluate()
        if self.stage != "tower":
            self._evaluate()

    def _evaluate(self) -> None:
        if self.held_out and self.stage != "tower":
            accuracy = self.held_out.accuracy(self.model, self.tokenizer, self.yes_no)
            logger.info("held out %s", accuracy)
        self.save("last.pt")

    def _set_lr(self, done: float) -> None:
        """One cycle: a tenth of the stage up, the rest down as a cosine."""
        peak = self.plan.tower_lr if self.stage == "tower" else self.plan.lr
        if self.stage == "text":
            peak, rate = self.plan.lr, min(1.0, done / 0.3)
        else:
            fall = 0.5 * (1 + np.cos(np.pi * (done - 0.1) / 0.9))
            rate = max(0.05, done / 0.1) if done < 0.1 else max(0.01, float(fall))
        for group in self.optimizer.param_groups:
            group["lr"] = peak * rate

    def _tower_step(self) -> dict[str, float]:
        batch = draw_labelled(self.bank, {"picture": 26, "clip": 12, "sound": 4}, self.rng)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states = tower_states(self.model, [media for media, _ in batch])
            losses, right = self.heads.losses(states, batch)
        self._update(sum(losses.values(), torch.zeros(())))
        return right

    def _pair_step(self, done: float) -> dict[str, float]:
        """Accumulate the gradients of three batches, so that rows of like length meet."""
        plan, caption_weight = self.plan, 0.7 if done < 0.6 else 0.4
        for tower in (self.model.model.visual, self.model.model.audio_tower):
            tower.requires_grad_(done >= plan.frozen_share)
        count = plan.text_pairs * (4 if self.stage == "text" else 1)
        batches = [[("text", pair) for pair in self.pairs.text_pairs(count)]]
        if self.stage == "all":
            drawn = {
                name: [(name, pair) for pair in self.pairs.media_pairs(kind, number, share)]
                for kind in KINDS
                for name, number, share in (
                    (f"text>{kind}", MEDIA_PAIRS[kind][0], 0.0),
                    (f"{kind}>text", MEDIA_PAIRS[kind][1], 1.0),
                )
            }
            batches[0] += drawn["picture>text"] + drawn["sound>text"]
            batches += [drawn["text>picture"] + drawn["text>sound"],
                        drawn["text>clip"] + drawn["clip>text"]]  # fmt: skip
        total, log = sum(map(len, batches)), {}
        self.optimizer.zero_grad(set_to_none=True)
        for batch in batches:
            loss, parts = self._loss(batch, caption_weight)
            (loss * len(batch) / total).backward()
            log.update(parts)
        self._clip_and_step()
        return log

    def _loss(
        self, named: list[tuple[str, Pair]], caption_weight: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the mean loss of the pairs, and the yes/no part of it by name."""
        rows: list[Row] = [row for _, pair in named for row in pair]
        batch = collate(rows, self.tokenizer)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            scores, caption, states = forward_scores(self.model, batch, self.yes_no)
        single = nn.functional.binary_cross_entropy_with_logits(
            scores, batch.labels, reduction="none"
        )
        ranked = batch.labels[0::2] > batch.labels[1::2]
        between = nn.functional.softplus(scores[1::2] - scores[0::2]) * ranked
        by_pair = 0.5 * (single[0::2] + single[1::2]) + between
        parts: dict[str, list[float]] = {}
        for (name, _), value in zip(named, between.tolist(), strict=True):
            parts.setdefault(name, []).append(value)
        log = {name: float(np.mean(values)) for name, values in parts.items()}
        if bool(batch.caption_mask.any()):
            log["caption"] = float(caption.detach())
        loss = by_pair.mean() + caption_weight * caption
        if states.requires_grad and len(states):
            media = [(one, self.bank.scene_of.get(id(one))) for one in batch.media]
            losses, _ = self.heads.losses(states, media)
            loss = loss + self.plan.attribute_weight * torch.stack(list(losses.values())).sum()
        return loss, log

    def _update(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._clip_and_step()

    def _clip_and_step(self) -> None:
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        used = [p for p in parameters if p.grad is not None]
        self.team.average([p.grad for p in used if p.grad is not None])
        nn.utils.clip_grad_norm_(used, 1.0)
        self.optimizer.step()

    def save(self, name: str) -> None:
        """Write everything that a resumed run needs."""
        if self.team.rank:
            return
        state = {
            "model": self.model.state_dict(), "heads": self.heads.state_dict(),
            "optimizer": self.optimizer.state_dict(), "stage": self.stage,
            "elapsed_s": self.elapsed_s, "step": self.step,
        }  # fmt: skip
        torch.save(state, self.out / f"{name}.part")
        (self.out / f"{name}.part").rename(self.out / name)

    def resume(self, path: Path) -> None:
        """Go on from a saved state."""
        state = torch.load(path, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.stage, self.elapsed_s, self.step = state["stage"], state["elapsed_s"], state["step"]
        self.optimizer = self._new_optimizer()
        self.optimizer.load_state_dict(state["optimizer"])
        rng = np.random.default_rng((self.step, self.team.rank))
        self.rng.bit_generator.state = rng.bit_generator.state


_ORDER = ("tower", "text", "all")


def main(argv: list[str] | None = None) -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for bank, states and model")
    parser.add_argument(
        "--minutes", type=float, default=70.0, help="training time, without the bank"
    )
    parser.add_argument("--bank-share", type=float, default=1.0, help="size of the bank of media")
    parser.add_argument("--evaluate-every-min", type=float, default=4.0)
    parser.add_argument("--resume", type=Path, help="a saved state, such as DIR/last.pt")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    make_bank(args.out / "bank.pkl", BankSize().scaled(args.bank_share))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    multiprocessing.spawn(_work, (args, port), args.workers)


def _work(rank: int, args: argparse.Namespace, port: int) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # One thread each: with two, every small operation waits for the slower core.
    torch.set_num_threads(1)
    plan = Plan(minutes=args.minutes, evaluate_every_min=args.evaluate_every_min)
    bank = make_bank(args.out / "bank.pkl", BankSize())
    trainer = Trainer(args.out, plan, bank, Team(rank, args.workers, port))
    if args.resume:
        trainer.resume(args.resume)
    trainer.run()


if __name__ == "__main__":
    main()
