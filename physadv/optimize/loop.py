"""The loop: Adam on EOT estimates, held-out selection, history, checkpoints that resume exactly."""

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from physadv.checks import UserError
from physadv.data.files import atomic_path
from physadv.optimize.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from physadv.optimize.task import Estimate, Progress, Schedule, Task
from physadv.seeding import generator_for

HISTORY = "history.jsonl"
_LOG_EVERY = 10


@dataclass(frozen=True)
class Result:
    """The best colours [3,C,C] as printed, their held-out success, and the mean of them all.

    ``raw`` are the parameters after the last step, which the sticker search reads.
    """

    colours: Tensor
    success: float
    raw: Tensor


@dataclass
class _State:
    """What changes from step to step."""

    raw: Tensor
    adam: torch.optim.Adam
    step: int
    best_raw: Tensor
    best_success: float
    best_margin: float


def learning_rate(step: int, settings: Schedule) -> float:
    """Cosine from ``learning_rate`` at step 0 to ``final_learning_rate`` at the last step."""
    share = step / max(settings.steps - 1, 1)
    low, high = settings.final_learning_rate, settings.learning_rate
    return low + 0.5 * (high - low) * (1 + math.cos(math.pi * share))


def optimise(
    task: Task,
    settings: Schedule,
    *,
    stage: str,
    initial: Tensor | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """Minimise the EOT loss over the artwork's parameters.

    Every random draw of step n is keyed by (seed, stage, n), so a run that continues from a
    checkpoint takes the same steps as one that was never interrupted; on the CPU the results are
    equal bit for bit with the same number of threads.

    Args:
        task: What is optimised against what.
        settings: Length and learning rate.
        stage: Name of this stage in checkpoint and history.
        initial: Parameters to start from; drawn by the parameterization by default.
        folder: Where checkpoint and history go; a checkpoint of this stage there is continued.
            None keeps nothing.
        progress: Called after every logged step.

    Returns:
        The artwork with the best success on held-out views (ties: the smaller margin loss).
    """
    state = _restore(task, settings, stage, folder, initial)
    started = time.monotonic()
    while state.step < settings.steps:
        estimate, rate = _advance(task, settings, stage, state)
        last = state.step == settings.steps
        selecting = state.step % settings.held_out_every == 0 or last
        saving = folder is not None and (state.step % settings.checkpoint_every == 0 or last)
        logging = state.step % _LOG_EVERY == 0 or selecting or state.step == 1
        if logging or saving:
            figures = _figures(estimate, rate, state)
        if selecting:
            figures["held_out"] = _select(task, state)
        if logging:
            figures["elapsed_s"] = round(time.monotonic() - started, 2)
            if folder is not None:
                _append_history(folder, {"stage": stage, "step": state.step, **figures})
            if progress is not None:
                progress(stage, state.step, settings.steps, figures)
        if saving and folder is not None:
            save_checkpoint(_checkpoint(task, stage, state), folder)
    printed = task.parameterization.hard(state.best_raw)
    return Result(printed, state.best_success, state.raw.detach())


def _advance(task: Task, settings: Schedule, stage: str, state: _State) -> tuple[Estimate, float]:
    """One step of Adam, in place: what was estimated before it, and its learning rate."""
    rate = learning_rate(state.step, settings) * task.parameterization.rate
    for group in state.adam.param_groups:
        group["lr"] = rate
    state.adam.zero_grad(set_to_none=True)
    colours = task.parameterization.colours(state.raw)
    result = task.estimate(colours, stage, state.step)
    result.terms.total().backward()
    state.adam.step()
    with torch.no_grad():
        task.parameterization.project_(state.raw)
    state.step += 1
    return result, rate


def _figures(estimate: Estimate, rate: float, state: _State) -> dict[str, Any]:
    """What the history says of a step. It waits for the device, so not every step is asked.

    Raises:
        UserError: If the optimisation has left the finite numbers since it was last looked at.
    """
    loss = estimate.terms.total().detach()
    if not (math.isfinite(float(loss)) and bool(state.raw.isfinite().all())):
        raise UserError(
            f"optimise, step {state.step}",
            "the loss or its gradient is not a finite number",
            "Check the victim: does it give finite logits and gradients for images in [0, 1]?",
        )
    return {
        "loss": round(float(loss), 6),
        "success": round(float(estimate.success), 4),
        "lr": rate,
        "terms": estimate.terms.logged(),
    }


@torch.no_grad()
def _select(task: Task, state: _State) -> float:
    """Try what would be printed on the held-out views; keep it if it is the best so far."""
    success, loss = task.held_out(task.parameterization.hard(state.raw))
    if (success, -loss) > (state.best_success, -state.best_margin):
        state.best_raw = state.raw.detach().clone()
        state.best_success, state.best_margin = success, loss
    return round(success, 4)


def _restore(
    task: Task,
    settings: Schedule,
    stage: str,
    folder: Path | None,
    initial: Tensor | None,
) -> _State:
    checkpoint = load_checkpoint(folder) if folder is not None else None
    if checkpoint is not None and checkpoint.stage != stage:
        checkpoint = None
    if checkpoint is not None:
        raw = checkpoint.tensors["raw"]
    elif initial is not None:
        raw = initial
    else:
        raw = task.parameterization.initial(generator_for(settings.seed, "initial", stage))
    raw = raw.to(task.device).clone().requires_grad_(True)
    adam = torch.optim.Adam([raw], lr=settings.learning_rate)
    if folder is not None:
        _truncate_history(folder, stage, checkpoint.step if checkpoint else 0)
    if checkpoint is None:
        return _State(raw, adam, 0, raw.detach().clone(), -1.0, math.inf)
    names = ("exp_avg", "exp_avg_sq")
    moments = {name: checkpoint.tensors[name].to(task.device) for name in names}
    adam.state[raw] = {"step": torch.tensor(float(checkpoint.step)), **moments}
    return _State(
        raw,
        adam,
        checkpoint.step,
        checkpoint.tensors["best_raw"].to(task.device),
        checkpoint.best_success,
        checkpoint.best_margin,
    )


def _checkpoint(task: Task, stage: str, state: _State) -> Checkpoint:
    moments = state.adam.state[state.raw]
    tensors = {
        "raw": state.raw,
        "best_raw": state.best_raw,
        "mask": task.mask,
        "exp_avg": moments["exp_avg"],
        "exp_avg_sq": moments["exp_avg_sq"],
    }
    return Checkpoint(stage, state.step, tensors, state.best_success, state.best_margin)


def _append_history(folder: Path, line: dict[str, object]) -> None:
    try:
        with (folder / HISTORY).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
    except OSError as error:
        raise UserError(
            f"write {folder / HISTORY}",
            error.strerror or str(error),
            "Free some space and continue with --resume; the last checkpoint is whole.",
        ) from error


def _truncate_history(folder: Path, stage: str, step: int) -> None:
    """Drop lines of ``stage`` beyond ``step`` and a half-written last line: they are redone."""
    path = folder / HISTORY
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            break
        if entry["stage"] == stage and entry["step"] > step:
            break
        kept.append(line + "\n")
    with atomic_path(path) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")
