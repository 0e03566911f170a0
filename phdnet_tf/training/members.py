"""Several networks of one model, trained one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import tensorflow as tf

from phdnet_tf.config import Config
from phdnet_tf.training.loop import train
from phdnet_tf.training.progress import Outcome, Progress


def train_members(
    config: Config,
    training: tf.data.Dataset,
    validation: tf.data.Dataset,
    run: Path,
    members: int,
    *,
    init: Sequence[keras.Model] = (),
    time_limit: float | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_member: Callable[[int], None] = lambda number: None,
) -> list[Outcome]:
    """Trains networks that differ in their seed, one after the other.

    Args:
        config: Settings; the first network has its seed, the next the one after it.
        training: As for `loop.train`.
        validation: As for `loop.train`.
        run: Folder of the run; it must exist. Several networks have a folder each in
            it, `member_1` and so on.
        members: Number of networks.
        init: Networks with whose weights they begin, in turn.
        time_limit: Most seconds to train, of all of them together.
        on_progress: As for `loop.train`.
        on_member: Called with the number, from 1, of a network before its training.

    Returns:
        The outcomes; after Ctrl-C of those networks that there are.

    Raises:
        KeyboardInterrupt: If it comes before there is a model to keep.
        ValueError: As for `loop.train`.
    """
    outcomes: list[Outcome] = []
    for number in range(1, members + 1):
        folder = run if members == 1 else run / f"member_{number}"
        folder.mkdir(exist_ok=True)
        seed = config.training.seed + number - 1
        own = replace(config, training=replace(config.training, seed=seed))
        on_member(number)
        try:
            outcome = train(
                own,
                training,
                validation,
                folder,
                init=init[(number - 1) % len(init)] if init else None,
                time_limit=time_limit and time_limit / members,
                on_progress=on_progress,
            )
        except KeyboardInterrupt:
            if not outcomes:
                raise
            return outcomes
        outcomes.append(outcome)
        if outcome.ended_by == "interrupt":
            return outcomes
    return outcomes
