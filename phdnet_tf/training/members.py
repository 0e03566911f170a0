"""The networks of one model, trained one after the other."""

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
    validation: tf.data.Dataset | None,
    run: Path,
    members: int = 1,
    *,
    init: Sequence[keras.Model] = (),
    time_limit: float | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_network: Callable[[int, int], None] = lambda number, networks: None,
) -> list[Outcome]:
    """Trains the networks of a model, one after the other.

    Members differ in their seed. Where each landmark has a network of its own, a member
    is one network for each landmark.

    Args:
        config: Settings; the first member has its seed, the next the one after it.
        training: As for `loop.train`.
        validation: As for `loop.train`.
        run: Folder of the run; it must exist. Several members have a folder each in it,
            `member_1` and so on; where each landmark has a network, that has a folder
            of its name.
        members: Number of members.
        init: Networks with whose weights they begin, in turn.
        time_limit: Most seconds to train, of all of them together.
        on_progress: As for `loop.train`.
        on_network: Called before the training of each network with its number, from 1,
            and how many there are.

    Returns:
        The outcomes, member by member in the order of the landmarks; after Ctrl-C of
        those members that are complete.

    Raises:
        KeyboardInterrupt: If it comes before there is a member to keep.
        ValueError: As for `loop.train`.
    """
    landmarks = config.model.landmarks
    parts = [(name,) for name in landmarks] if config.model.one_each else [landmarks]
    networks = members * len(parts)
    outcomes: list[Outcome] = []
    for number in range(networks):
        member, part = divmod(number, len(parts))
        own = replace(
            config,
            model=replace(config.model, landmarks=parts[part]),
            training=replace(config.training, seed=config.training.seed + member),
        )
        folder = run / f"member_{member + 1}" if members > 1 else run
        training_part, validation_part = training, validation
        if config.model.one_each:
            folder /= parts[part][0]
            training_part = _only(training, part)
            validation_part = validation and _only(validation, part)
        folder.mkdir(parents=True, exist_ok=True)
        on_network(number + 1, networks)
        try:
            outcome = train(
                own,
                training_part,
                validation_part,
                folder,
                init=init[number % len(init)] if init else None,
                time_limit=time_limit and time_limit / networks,
                on_progress=on_progress,
            )
        except KeyboardInterrupt:
            break
        outcomes.append(outcome)
        if outcome.ended_by == "interrupt":
            break
    complete = outcomes[: len(outcomes) // len(parts) * len(parts)]
    if not complete:
        raise KeyboardInterrupt
    if len(complete) < networks:
        # Members that lack were interrupted: what there is can be resumed.
        complete[-1] = replace(complete[-1], ended_by="interrupt")
    return complete


def _only(examples: tf.data.Dataset, part: int) -> tf.data.Dataset:
    """The examples with one of their landmarks."""

    def cut(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {**example, "landmarks": example["landmarks"][part : part + 1]}

    return examples.map(cut)
