"""Progress bars, on standard error, so that results can be piped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from phdnet_tf.batch import run
    from phdnet_tf.training import progress

Result = TypeVar("Result")

QUIET_SECONDS = 20.0
"""Longest time between two lines in a log file, where a bar cannot move."""


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Shows a bar for a known number of items.

    Args:
        what: Name of the items.
        total: Number of items.

    Yields:
        A function to call after each item.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


@contextmanager
def count_up(what: str) -> Iterator[Callable[[], None]]:
    """Shows a counter for items whose total number is not known.

    Args:
        what: Name of the work, such as "reading headers".

    Yields:
        A function to call after each item.
    """
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}: {task.completed}"),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task(what, total=None)
        yield lambda: progress.advance(task)


@contextmanager
def batch_display() -> Iterator[Callable[[run.Progress], None]]:
    """Shows a bar for the shards of a batch, and the time that is left.

    In a log file it prints a line now and then instead.

    Yields:
        A function that shows a `run.Progress`.
    """
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TextColumn("shards, {task.fields[line]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("batch", total=None, line="starting")
        began = told = time.monotonic()

        def show(now: run.Progress) -> None:
            nonlocal told
            if now.trouble is not None:
                console.print(now.trouble, soft_wrap=True, markup=False)
            left = "time left unknown"
            if now.shards:
                spent = time.monotonic() - began
                left = f"{_clock(spent / now.shards * (now.of - now.shards))} left"
            line = f"{now.images} images ({now.unrecognised} not recognised), "
            line += f"{now.failed} failed, {left}"
            bar.update(task, completed=now.shards, total=now.of, line=line)
            due = time.monotonic() - told > QUIET_SECONDS
            if due and not console.is_terminal:
                told = time.monotonic()
                text = f"{now.shards}/{now.of} shards, {line}"
                console.print(text, soft_wrap=True)

        yield show


def wait_for(work: Future[Result], what: str, count: Callable[[], int]) -> Result:
    """Waits for the work of another thread, and shows its progress.

    Args:
        work: The work to wait for.
        what: Name of the work.
        count: Returns the number of items done so far.

    Returns:
        The result of the work.
    """
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), console=console, transient=True
    ) as progress:
        task = progress.add_task(what, total=None)
        while not work.done():
            progress.update(task, description=f"{what}: {count()}")
            wait([work], timeout=0.2)
    return work.result()


@contextmanager
def training_display() -> Iterator[Callable[[progress.Progress], None]]:
    """Shows the progress of a training, and prints a line for every better model.

    On a terminal the progress is one moving line; in a log file it is printed now and
    then.

    Yields:
        A function that shows a `progress.Progress`.
    """
    console = Console(stderr=True, highlight=False)
    columns = (BarColumn(bar_width=20), TextColumn("{task.description}"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("starting", total=None)
        told = time.monotonic()
        losses = ""

        def show(now: progress.Progress) -> None:
            nonlocal told, losses
            spent, longest = now.seconds, now.seconds_left[1]
            times = f"{_clock(spent)} spent, {_range(now.seconds_left)} left"
            line = f"epoch {now.epoch}, step {now.step}/{now.steps}  {times}"
            bar.update(task, description=line, completed=spent, total=spent + longest)
            if now.losses:
                losses = f"loss {now.losses['loss']:.4f}"
                # A network without displacements has one loss, so there are no parts.
                if "displacement_loss" in now.losses:
                    losses += (
                        f" (heatmap {now.losses['heatmap_loss']:.4f}, displacement "
                        f"{now.losses['displacement_loss']:.4f})"
                    )
                if "val_loss" in now.losses:
                    losses += f"  validation {now.losses['val_loss']:.4f}"
            better = now.losses is not None and now.best_epoch == now.epoch
            due = now.losses and time.monotonic() - told > QUIET_SECONDS
            if better or (due and not console.is_terminal):
                told = time.monotonic()
                mark = "  best so far" if better else f"  best: epoch {now.best_epoch}"
                text = f"epoch {now.epoch:3d}  {losses}{mark}"
                if not console.is_terminal:
                    text += f"  {times}"
                console.print(text, soft_wrap=True)

        yield show


def show_training(message: dict[str, Any]) -> None:
    """Prints a line that tells how one of several trainings goes.

    Args:
        message: What `training.worker` tells: "folder", and a `progress.Progress`.
    """
    line = f"{message['folder']}: epoch {message['epoch']}, step {message['step']}/"
    line += f"{message['steps']}, {_clock(message['seconds'])} spent"
    if message["losses"]:
        line += f", loss {message['losses']['loss']:.4f}"
    if "val_loss" in message["losses"]:
        line += f", validation {message['losses']['val_loss']:.4f}"
        line += f", best: epoch {message['best_epoch']}"
    line += f", {_range(message['seconds_left'])} left"
    Console(stderr=True, highlight=False).print(line, soft_wrap=True, markup=False)


def _range(seconds: tuple[float, float]) -> str:
    shortest, longest = map(_clock, seconds)
    return shortest if shortest == longest else f"{shortest} to {longest}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    )
