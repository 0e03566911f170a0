"""The networks of one model, trained one after the other or side by side."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from phdnet_tf.config import Config
from phdnet_tf.export.networks import load_networks
from phdnet_tf.training.data import AnnotatedImages, Folds
from phdnet_tf.training.folder_lock import folder_lock
from phdnet_tf.training.kept import CACHE_MEMORY
from phdnet_tf.training.loop import train
from phdnet_tf.training.networks import Network, networks_of
from phdnet_tf.training.progress import Outcome, Progress

Trainer = Callable[[Sequence[Network]], Iterator[Outcome]]
"""Trains networks, and yields their outcomes in their order; raises KeyboardInterrupt
after Ctrl-C."""


def train_network(
    network: Network,
    source: AnnotatedImages,
    *,
    cache_memory: float = CACHE_MEMORY,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Outcome:
    """Trains a network, or goes on with it; see `loop.train`.

    Args:
        network: What to train; its folder is made where it does not exist.
        source: The data.
        cache_memory: As for `loop.train`.
        on_progress: Likewise.

    Raises:
        KeyboardInterrupt: As for `loop.train`.
        ValueError: Likewise.
    """
    landmarks, folds = network.config.model.landmarks, network.folds
    starts = load_networks(network.init) if network.init else []
    network.folder.mkdir(parents=True, exist_ok=True)
    with folder_lock(network.folder):
        return train(
            network.config,
            source.examples(folds.training, landmarks),
            source.examples(folds.validation, landmarks) if folds.validation else None,
            network.folder,
            init=starts[network.number % len(starts)] if starts else None,
            time_limit=network.time_limit,
            cache_memory=cache_memory,
            on_progress=on_progress,
        )


def one_after_the_other(
    source: AnnotatedImages,
    networks: Sequence[Network],
    *,
    cache_memory: float = CACHE_MEMORY,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_network: Callable[[Path, int, int], None] = lambda folder, number, of: None,
) -> Iterator[Outcome]:
    """Trains networks in this process; with its first argument bound, a `Trainer`.

    Args:
        source: The data.
        networks: What to train.
        cache_memory: As for `loop.train`.
        on_progress: Likewise.
        on_network: Called before the training of each network with its folder, its
            number, from 1, and how many there are.

    Yields:
        The outcomes.

    Raises:
        KeyboardInterrupt: As for `loop.train`.
        ValueError: Likewise.
    """
    for number, network in enumerate(networks, 1):
        on_network(network.folder, number, len(networks))
        yield train_network(
            network, source, cache_memory=cache_memory, on_progress=on_progress
        )


def train_members(
    config: Config,
    folds: Folds,
    run: Path,
    trainer: Trainer,
    members: int = 1,
    *,
    init: Path | None = None,
    time_limit: float | None = None,
) -> list[Outcome]:
    """Trains the networks of a model.

    Args:
        config: As for `networks_of`, and so are the others.
        folds: Likewise.
        run: Likewise.
        trainer: How they are trained.
        members: As for `networks_of`.
        init: Likewise.
        time_limit: Likewise.

    Returns:
        The outcomes, member by member in the order of the landmarks; after Ctrl-C of
        those members that are complete.

    Raises:
        KeyboardInterrupt: If it comes before there is a member to keep.
        ValueError: As for `loop.train`.
    """
    networks = networks_of(
        config, folds, run, members, init=init, time_limit=time_limit
    )
    outcomes: list[Outcome] = []
    try:
        for outcome in trainer(networks):
            outcomes.append(outcome)
            if outcome.ended_by == "interrupt":
                break
    except KeyboardInterrupt:
        pass
    each = len(networks) // members
    complete = outcomes[: len(outcomes) // each * each]
    if not complete:
        raise KeyboardInterrupt
    if len(complete) < len(networks):
        # Members that lack were interrupted: what there is can be resumed.
        complete[-1] = replace(complete[-1], ended_by="interrupt")
    return complete
