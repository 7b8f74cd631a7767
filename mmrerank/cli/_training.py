"""What `mmrerank train` runs, and what it leaves: a model, a table, JSON, a page."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from mmrerank.cli._evaluations import Outputs
from mmrerank.cli._options import CommandError
from mmrerank.cli._training_results import show_gain, show_run
from mmrerank.cross_encoder.trainer import CrossEncoderTrainer
from mmrerank.cross_encoder.training_args import CrossEncoderTrainingArguments
from mmrerank.evaluation.measure import Measured, measure
from mmrerank.evaluation.results import report_of
from mmrerank.training.data import as_loss_wants, judged_pairs, read_training_data

if TYPE_CHECKING:
    from datasets import Dataset

    from mmrerank import CrossEncoder
    from mmrerank.evaluation.data import EvalData

__all__ = ["TrainOptions", "run_training"]

_EMBEDDED = "tiny-omni"  # what no name stands for
_WARMUP_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What the flags of the command line say. train_towers: None leaves them as they are."""

    loss: str | None
    is_lora: bool
    train_towers: bool | None
    num_epochs: float
    max_steps: int | None
    batch_size: int
    learning_rate: float
    num_negatives: int
    seed: int
    is_bf16: bool
    is_resumed: bool
    instruction: str | None


def run_training(
    model: CrossEncoder,
    name: str | None,
    options: TrainOptions,
    data: Path,
    eval_data: Path | None,
    out: Path,
    json_file: str | None,
    html_file: Path | None,
) -> None:
    """Read, measure, train, save, measure again, show."""
    loss = _loss_of(model, options.loss)
    takes_media = model.supports_media
    rows = read_training_data(data, takes_media=takes_media)
    held_out = judged = None
    if eval_data is not None:
        held_out = read_training_data(eval_data, takes_media=takes_media)
        judged = judged_pairs(held_out, eval_data.name, takes_media=takes_media)
    instruction = _instruction_of(model, options)
    start = None if judged is None else _measured(model, judged, instruction)[0]
    _choose_weights(model, options)
    trainer = _trainer_of(model, loss, options, rows, held_out, out)
    took_s = _train(trainer, out, is_resumed=options.is_resumed)
    if not trainer.is_world_process_zero():
        return  # one of several processes says it
    named = {"model": name or _EMBEDDED, "out": str(out), "data": str(data)}
    results: dict[str, Any] = named | _numbers_of(trainer, rows, took_s, options)
    outputs = Outputs(json_file, html_file, None, trainer.state.log_history)
    if judged is None or start is None:
        show_run(results, outputs)
        return
    after, scores = _measured(model, judged, instruction)
    results |= {"primary_metric": after.primary, "before": start.metrics, "metrics": after.metrics}
    report = report_of(str(out), judged, after, scores, log_history=outputs.log_history)
    show_gain(results, report, outputs)


def _instruction_of(model: CrossEncoder, options: TrainOptions) -> str | None:
    """What pairs are told in training: the same that `predict` will tell them."""
    if options.instruction is not None:
        return options.instruction
    return model.prompts.get(model.default_prompt_name or "")


def _train(trainer: CrossEncoderTrainer, out: Path, *, is_resumed: bool) -> float:
    """Train and save. Returns the seconds of the training."""
    began_s = time.monotonic()
    trainer.train(resume_from_checkpoint=True if is_resumed else None)
    took_s = time.monotonic() - began_s
    trainer.save_model(str(out))
    trainer.save_state()
    return took_s


def _numbers_of(
    trainer: CrossEncoderTrainer, rows: Dataset, took_s: float, options: TrainOptions
) -> dict[str, Any]:
    history = trainer.state.log_history
    return {
        "num_rows": len(rows),
        "num_steps": trainer.state.global_step,
        "seconds": round(took_s, 2),
        "final_loss": next((row["loss"] for row in reversed(history) if "loss" in row), None),
        "options": {**asdict(options), "loss": type(trainer.loss).__name__},
    }


def _measured(
    model: CrossEncoder, judged: EvalData, instruction: str | None
) -> tuple[Measured, Any]:
    scores = model.predict([one.pair for one in judged.pairs], prompt=instruction)
    return measure(judged, scores), scores


# ------------------------------------------------------------ model and trainer


def _choose_weights(model: CrossEncoder, options: TrainOptions) -> None:
    """Which weights learn: an adapter's, all, or all without the towers."""
    if options.is_lora:
        from mmrerank.training.presets import lora_config

        model.add_adapter(lora_config(model))
    if options.train_towers is not None:
        from mmrerank.training.towers import freeze_towers

        freeze_towers(model, trained=options.train_towers)


def _loss_of(model: CrossEncoder, name: str | None) -> Any:
    """A loss by its name, in any case and with or without "Loss" at its end."""
    from mmrerank.training import losses

    if name is None:
        name = "BinaryCrossEntropyLoss" if model.num_labels == 1 else "CrossEntropyLoss"
    known = {one.lower(): one for one in losses.__all__ if one.endswith("Loss")}
    wanted = name.lower().removesuffix("loss") + "loss"
    if wanted not in known:
        raise CommandError(f"--loss {name}: known are {', '.join(sorted(known.values()))}")
    return vars(losses)[known[wanted]](model)


def _trainer_of(
    model: CrossEncoder,
    loss: Any,
    options: TrainOptions,
    rows: Dataset,
    held_out: Dataset | None,
    out: Path,
) -> CrossEncoderTrainer:
    """A trainer that writes checkpoints to `out` and nothing to stdout."""
    dataset, evaluated = (
        None
        if part is None
        else as_loss_wants(part, loss.label_rule, num_negatives=options.num_negatives)
        for part in (rows, held_out)
    )
    assert dataset is not None
    arguments = _arguments_of(model, options, len(dataset), out, is_evaluated=evaluated is not None)
    trainer = CrossEncoderTrainer(
        model=model, args=arguments, train_dataset=dataset, eval_dataset=evaluated, loss=loss
    )
    # Theirs write the numbers to stdout, which is for results.
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Progress())
    return trainer


def _arguments_of(
    model: CrossEncoder, options: TrainOptions, num_rows: int, out: Path, *, is_evaluated: bool
) -> CrossEncoderTrainingArguments:
    num_steps = max(1, round(num_rows * options.num_epochs / options.batch_size))
    num_steps = min(num_steps, options.max_steps or num_steps)
    return CrossEncoderTrainingArguments(
        output_dir=str(out),
        num_train_epochs=options.num_epochs,
        max_steps=options.max_steps or -1,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        warmup_steps=round(_WARMUP_SHARE * num_steps),
        seed=options.seed,
        bf16=options.is_bf16,
        use_cpu=model.device.type == "cpu",
        prompts=_instruction_of(model, options),
        eval_strategy="epoch" if is_evaluated else "no",
        save_strategy="epoch",
        save_total_limit=2,
        logging_steps=max(1, num_steps // 50),
        report_to="none",
    )


class _Progress(TrainerCallback):
    """A bar on stderr with the last loss."""

    def __init__(self) -> None:
        self._bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start at the step of the checkpoint, where there is one."""
        if state.is_world_process_zero:
            start = state.global_step
            self._bar = tqdm(total=state.max_steps, initial=start, desc="Steps", disable=None)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One step more."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Show the losses of this moment."""
        logs = kwargs.get("logs") or {}
        shown = {name: f"{logs[name]:.4f}" for name in ("loss", "eval_loss") if name in logs}
        if self._bar is not None and shown:
            self._bar.set_postfix(shown)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the full bar on the screen."""
        if self._bar is not None:
            self._bar.close()
