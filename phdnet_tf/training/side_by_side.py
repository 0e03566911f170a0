"""Trainings side by side in other processes, each of which is as it would be alone."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

from phdnet_tf.export.networks import load_network
from phdnet_tf.training.keeper import best_model
from phdnet_tf.training.networks import Network
from phdnet_tf.training.progress import Outcome
from phdnet_tf.training.worker import Workplace, named, train_apart
from phdnet_tf.workers.processes import Result, Task

Engine = Callable[[Task, Iterable[int]], Iterator[tuple[int, Result]]]


def side_by_side(
    engine: Engine, place: Workplace, networks: Sequence[Network]
) -> Iterator[Outcome]:
    """Trains networks on workers; with its first arguments bound, a `Trainer`.

    Each is trained as `one_after_the_other` would train it, in the same folder, so that
    either goes on with what the other has begun.

    Args:
        engine: `engine.run_on` with its client.
        place: What workers have to work with.
        networks: What to train.

    Yields:
        The outcomes, in the order of the networks.

    Raises:
        ConnectionError: If the scheduler is gone.
        ValueError: If a network cannot be trained. The others can be resumed.
    """
    task = functools.partial(train_apart, place, tuple(networks))
    trained: dict[int, dict] = {}
    following = 0
    for number, result in engine(task, range(len(networks))):
        if isinstance(result, str):
            raise ValueError(named(networks[number].folder, result))
        trained[number] = result
        while following in trained:
            model = load_network(best_model(networks[following].folder))
            yield Outcome(model=model, **trained.pop(following))
            following += 1
