"""All settings, as frozen dataclasses that validate themselves.

A `Config` is built in one place (the command line, or a program), passed whole, and
saved as JSON beside the weights that were trained with it. Functions deep inside take
plain arguments.
"""

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any, Self

FOLDS = 8
"""Folds of the cross-validation (section 3)."""

MAPPINGS = ("gaussian", "binary")

TOGETHER = ("overall", "macro", "pooled")
"""Names under which reports keep the figures of all landmarks together."""

PRECISIONS = ("float32", "bfloat16")

PAPER_FILTERS = (32,) * 6
"""Filters of PHD-Net's convolutions, as in the paper."""


@dataclass(frozen=True)
class Network:
    """The input and the output of a network.

    Attributes:
        step: Side of an input pixel, in canvas pixels.
        stride: Side of a heatmap value, in input pixels.
        whole_images: Whether it learns from whole images, rather than from crops.
        strategies: Strategies that turn its outputs into a coordinate, its default
            first.
    """

    step: int
    stride: int
    whole_images: bool
    strategies: tuple[str, ...]

    @property
    def cell(self) -> int:
        """Side of a heatmap value, in canvas pixels."""
        return self.step * self.stride


PHDNET_STRATEGIES = ("smoothing", "simple", "weighted", "augmented")
"""Strategies that turn PHD-Net's heads into a coordinate; see `ModelConfig`."""

NETWORKS: dict[str, Network] = {
    "phdnet": Network(
        step=1, stride=8, whole_images=False, strategies=PHDNET_STRATEGIES
    ),
    "hourglass": Network(step=2, stride=4, whole_images=True, strategies=("peak",)),
    "unet": Network(step=2, stride=1, whole_images=True, strategies=("peak",)),
}
"""The paper's network and the two it is compared with (section 3.3)."""

STRATEGIES = (*PHDNET_STRATEGIES, "peak", "mean")
"""Strategies in a `reading.Reading`. Only several networks have "mean"."""


VIEW_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def require_view(view: str) -> None:
    """Refuses a name that a view cannot have, as it becomes part of a folder's name.

    Raises:
        ValueError: If it has characters other than letters, digits, "-" and "_".
    """
    _require(
        VIEW_NAME.fullmatch(view) is not None,
        "view",
        'a name of letters, digits, "-" and "_", such as sa, 4ch or 2ch',
        view,
    )


def _require(condition: bool, name: str, expected: str, received: object) -> None:
    if not condition:
        raise ValueError(f"{name}: expected {expected}. Received: {received!r}.")


@dataclass(frozen=True)
class ModelConfig:
    """The landmarks, the network that locates them, and how its outputs are read.

    Attributes:
        landmarks: Names of the L landmarks.
        one_each: Whether each landmark has its own network, as in the paper. Otherwise
            one network locates them all.
        network: One of `NETWORKS`.
        mapping: Heatmap label. "gaussian" is the paper's (section 2.1). "binary" is
            its baseline's (Noothout et al., 2018): 1 for the patch with the landmark.
        strategy: How the outputs become a coordinate. "smoothing" is candidate
            smoothing (section 2.2). "weighted" is candidate smoothing with votes
            weighted by heat. "augmented" also reads turned and enlarged pictures
            around the points found first. "simple" is the best patch's own
            displacement, as in the baseline. "peak", for networks without
            displacements, is the peak of the heatmap.
        heatmap_std: Standard deviation of the Gaussian around the landmark, in values
            of the heatmap. For PHD-Net these are patches.
        filters: For PHD-Net only; see `phdnet.build_phdnet`.
        dilations: Likewise.
        strided: Likewise.
        pool_last: Likewise.

    Raises:
        ValueError: If a value is not valid.
    """

    landmarks: tuple[str, ...]
    network: str = "phdnet"
    mapping: str = "gaussian"
    strategy: str = "smoothing"
    heatmap_std: float = 2.0
    filters: tuple[int, ...] = PAPER_FILTERS
    dilations: tuple[int, ...] = ()
    strided: bool = False
    pool_last: bool = False
    one_each: bool = False

    def __post_init__(self) -> None:
        """Refuse invalid values."""
        _require(
            0 < len(self.landmarks) == len(set(self.landmarks)),
            "landmarks",
            "one or more different names",
            self.landmarks,
        )
        _require(
            not {*TOGETHER} & {*self.landmarks},
            "landmarks",
            f"other names than {', '.join(TOGETHER)}, which reports use",
            self.landmarks,
        )
        networks = tuple(NETWORKS)
        _require(
            self.network in NETWORKS, "network", f"one of {networks}", self.network
        )
        mappings = MAPPINGS if self.network == "phdnet" else MAPPINGS[:1]
        _require(
            self.mapping in mappings, "mapping", f"one of {mappings}", self.mapping
        )
        strategies = NETWORKS[self.network].strategies
        _require(
            self.strategy in strategies,
            "strategy",
            f"one of {strategies}",
            self.strategy,
        )
        _require(self.heatmap_std > 0, "heatmap_std", "above 0", self.heatmap_std)
        _require(
            len(self.filters) >= 3 and min(self.filters) > 0,
            "filters",
            "three or more numbers above 0",
            self.filters,
        )
        _require(
            min(self.dilations, default=1) > 0, "dilations", "above 0", self.dilations
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The settings from plain values, such as those read from JSON.

        Raises:
            KeyError: If a list is missing.
            TypeError: If a name is unknown.
            ValueError: If a value is not valid.
        """
        lists = ("landmarks", "filters", "dilations")
        return cls(**values | {name: tuple(values[name]) for name in lists})


@dataclass(frozen=True)
class CropConfig:
    """How training crops are drawn from an image.

    Attributes:
        size: Side of the square crop, in canvas pixels (section 3). The networks that
            learn from whole images see the canvas instead, moved by up to `shift`.
        near_landmark: Share of crops whose centre lies within half a crop of a
            landmark. The others lie anywhere in the image.
        shift: Largest shift of a whole image in either direction, in canvas pixels.
        rotation: Largest rotation in either direction, in degrees.
        scale: Largest relative change of size, up or down.
        stretch: Largest relative change of scale along one random direction, up or
            down. Across it the scale changes inversely, so the area stays the same.
        gain: Largest relative change of brightness, up or down.
        gamma: Largest relative change of the exponent of the intensities, up or down.
        exposure: Largest change of the logarithm of the brightness, up or down.
        curve: Largest change of the intensity curve's knots, up or down, in units of a
            normalised image. Above 0.25, the order of two intensities can be reversed.
        shading: Largest change of the logarithm of the coil's sensitivity, up or down,
            from the middle of the crop to its sides, for each of its components.
        noise: Largest standard deviation of the noise, in units of a normalised image.
        cut: Share of the crops whose image is cut off 15 to 100 mm beyond the
            landmarks; for networks of whole images, share of the images.

    Raises:
        ValueError: If a value is not valid.
    """

    size: int = 128
    near_landmark: float = 2 / 3
    shift: float = 32.0
    rotation: float = 20.0
    scale: float = 0.15
    stretch: float = 0.0
    gain: float = 0.15
    gamma: float = 0.2
    exposure: float = 0.0
    curve: float = 0.0
    shading: float = 0.0
    noise: float = 0.0
    cut: float = 0.0

    def __post_init__(self) -> None:
        """Refuse invalid values."""
        _require(
            self.size > 0 and self.size % 8 == 0,
            "size",
            "a multiple of the patch size, 8",
            self.size,
        )
        for name in (
            *("near_landmark", "scale", "stretch", "gain", "gamma", "exposure"),
            *("shading", "noise", "cut"),
        ):
            value = getattr(self, name)
            _require(0 <= value <= 1, name, "between 0 and 1", value)
        # The first knot that moves is at 0.5, and no intensity is below 0.
        _require(0 <= self.curve <= 0.5, "curve", "between 0 and 0.5", self.curve)
        _require(self.stretch < 1, "stretch", "below 1", self.stretch)
        _require(self.shift >= 0, "shift", "0 or more", self.shift)
        _require(0 <= self.rotation <= 180, "rotation", "0 to 180", self.rotation)


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast to train. The defaults are the paper's for PHD-Net.

    Attributes:
        batch_size: Number of crops per step.
        learning_rate: Learning rate of the Adam optimiser.
        epochs: Largest number of epochs.
        epoch_size: Smallest number of crops in an epoch. With 1, an epoch is a pass
            over the training images, one crop each. Crops are random, so a pass over a
            small data set is too short for a validation after each.
        patience: Epochs without a better validation loss after which training stops.
        time_limit_boost: Under a time limit, the highest learning rate divided by
            `learning_rate`.
        decay: Whether the learning rate warms up and decays over the epochs, as it
            always does under a time limit. Otherwise it is constant, as in the paper.
        seed: Seed of the weights, the order of the images and the crops.
        deterministic: Whether the same seed gives bit-identical results, which takes
            longer. Otherwise sums depend on the order in which threads finish.
        precision: "float32", or "bfloat16" for the layers between input and heads,
            which is faster on hardware that supports it.

    Raises:
        ValueError: If a value is not valid.
    """

    batch_size: int = 32
    learning_rate: float = 0.001
    epochs: int = 500
    epoch_size: int = 6400
    patience: int = 75
    time_limit_boost: float = 3.0
    decay: bool = False
    seed: int = 0
    deterministic: bool = False
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Refuse invalid values."""
        for name in (
            *("batch_size", "learning_rate", "epochs", "epoch_size", "patience"),
            "time_limit_boost",
        ):
            value = getattr(self, name)
            _require(value > 0, name, "above 0", value)
        _require(self.seed >= 0, "seed", "0 or more", self.seed)
        _require(
            self.precision in PRECISIONS,
            "precision",
            f"one of {PRECISIONS}",
            self.precision,
        )


@dataclass(frozen=True)
class Config:
    """Settings of one training run: a view, its model, its crops and its training."""

    view: str
    model: ModelConfig
    crops: CropConfig = field(default_factory=CropConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        """Refuse a view without a valid name."""
        require_view(self.view)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The settings from the values of `to_dict`, such as those read from JSON.

        Raises:
            ValueError: If a name is missing or unknown, or a value is not valid.
        """
        try:
            return cls(
                view=values["view"],
                model=ModelConfig.from_dict(values["model"]),
                crops=CropConfig(**values["crops"]),
                training=TrainingConfig(**values["training"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(
                "settings: expected those that this version of phdnet-tf writes. "
                f"Received others: {error!r}."
            ) from error
