"""The compared systems: the paper's (tables 1 and 2), and the default."""

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """One of the compared systems: the paper's (tables 1 and 2), and the default.

    Attributes:
        label: What tables call it.
        preset: One of `PRESETS`.
        mapping: See `ModelConfig`.
        strategy: See `ModelConfig`.
        one_each: Whether each landmark has a network of its own.
    """

    label: str
    preset: str
    mapping: str = "gaussian"
    strategy: str = "peak"
    one_each: bool = False


SYSTEMS = {
    "baseline": System("Baseline [9]", "paper", "binary", "simple"),
    "hourglass": System("Hourglass [5]", "hourglass"),
    "unet": System("U-Net [4]", "unet"),
    "phdnet": System("PHD-Net, all landmarks in one", "paper", strategy="smoothing"),
    "phdnet_one_each": System(
        "PHD-Net, one network a landmark",
        "paper",
        strategy="smoothing",
        one_each=True,
    ),
    "default": System("This package's default", "default", strategy="augmented"),
}
"""The systems of table 2; [4], [5] and [9] are the paper's references."""
