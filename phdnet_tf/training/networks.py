"""The networks that a model consists of, each trained by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from phdnet_tf.config import Config
from phdnet_tf.training.data import Folds


@dataclass(frozen=True)
class Network:
    """A network to train.

    Attributes:
        config: Its settings: its own landmarks and seed.
        folds: What it learns from. Without a validation fold nothing ends it early.
        folder: Of its training.
        init: The version with whose weights it begins, or None.
        number: Its place among the networks of its model, from 0.
        time_limit: Most seconds to train it, or None.
    """

    config: Config
    folds: Folds
    folder: Path
    init: Path | None
    number: int
    time_limit: float | None


def networks_of(
    config: Config,
    folds: Folds,
    run: Path,
    members: int = 1,
    *,
    init: Path | None = None,
    time_limit: float | None = None,
) -> list[Network]:
    """The networks of a model.

    Members differ in their seed. Where each landmark has a network of its own, a member
    is one network for each landmark.

    Args:
        config: Settings; the first member has its seed, the next the one after it.
        folds: What they learn from.
        run: Folder of the run. Several members have a folder each in it, `member_1` and
            so on; where each landmark has a network, that has a folder of its name.
        members: Number of members.
        init: The version with whose networks they begin, in turn.
        time_limit: Most seconds to train, of all of them together.

    Returns:
        Member by member, in the order of the landmarks.
    """
    landmarks = config.model.landmarks
    parts = [(name,) for name in landmarks] if config.model.one_each else [landmarks]
    count = members * len(parts)
    networks = []
    for number in range(count):
        member, part = divmod(number, len(parts))
        folder = run / f"member_{member + 1}" if members > 1 else run
        own = replace(
            config,
            model=replace(config.model, landmarks=parts[part]),
            training=replace(config.training, seed=config.training.seed + member),
        )
        networks.append(
            Network(
                config=own,
                folds=folds,
                folder=folder / parts[part][0] if config.model.one_each else folder,
                init=init,
                number=number,
                time_limit=time_limit and time_limit / count,
            )
        )
    return networks
