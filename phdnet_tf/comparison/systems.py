"""The compared systems: the paper's (tables 1 and 2), and the default."""

from dataclasses import dataclass

from phdnet_tf.config import PRECISIONS, Config
from phdnet_tf.presets import make_config


@dataclass(frozen=True)
class System:
    """One of the compared systems.

    Attributes:
        label: What tables call it.
        preset: One of `PRESETS`.
        mapping: See `ModelConfig`.
        strategy: See `ModelConfig`.
    """

    label: str
    preset: str
    mapping: str = "gaussian"
    strategy: str = "peak"


SYSTEMS = {
    "baseline": System("Baseline [9]", "paper", "binary", "simple"),
    "hourglass": System("Hourglass [5]", "hourglass"),
    "unet": System("U-Net [4]", "unet"),
    "phdnet": System("PHD-Net", "paper", strategy="smoothing"),
    "phdnet-small": System(
        "PHD-Net, augmented, all landmarks in one", "phdnet-small", strategy="smoothing"
    ),
    "default": System("This package's default", "default", strategy="augmented"),
}
"""The systems of table 2, [4], [5] and [9] being the paper's references; and ours."""


def system_config(
    name: str,
    view: str,
    landmarks: tuple[str, ...],
    seed: int = 0,
    deterministic: bool = False,
    precision: str = PRECISIONS[0],
) -> Config:
    """The settings of a system's training.

    Args:
        name: One of `SYSTEMS`.
        view: Name of the view.
        landmarks: What to locate.
        seed: See `TrainingConfig`.
        deterministic: Likewise.
        precision: Likewise.
    """
    system = SYSTEMS[name]
    return make_config(
        system.preset,
        view,
        landmarks,
        system.mapping,
        system.strategy,
        seed,
        deterministic,
        precision,
    )
