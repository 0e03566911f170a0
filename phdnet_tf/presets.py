"""The built-in views, and presets: named settings for each network."""

from dataclasses import dataclass, replace

from phdnet_tf.config import (
    MAPPINGS,
    PAPER_FILTERS,
    PRECISIONS,
    Config,
    CropConfig,
    ModelConfig,
    TrainingConfig,
)

VIEWS: dict[str, tuple[str, ...]] = {
    "sa": (
        "superior_rv_insertion",
        "inferior_rv_insertion",
        "inferior_rv_lateral_reflection",
    ),
    "4ch": ("tricuspid_valve", "mitral_valve", "lv_apex"),
}
"""The built-in views and their landmarks, in the paper's order (figures 1b and 1c). A
phantom can be drawn of these. Any other name is a view of the user's own landmarks.
"""


USUAL_ORIENTATIONS: dict[str, tuple[tuple[float, ...], ...]] = {
    # Seen from the apex, as scanners show it: x goes to the patient's left and back,
    # from the right ventricle to the free wall of the left; y goes down to the
    # diaphragm. So lie the images of ACDC, whose headers were lost on the way and say
    # "axial" of all of them.
    "sa": ((1, 0, 0, 0, 1, 0), (0.611, 0.792, 0, -0.373, 0.288, -0.882)),
    # From the feet: x goes to the left, y down and forward, to the apex. What says
    # "axial" is of converters that knew no better, too, the phantom's among them.
    "4ch": ((1, 0, 0, 0, 1, 0), (0.995, 0, 0.0999, 0.082, -0.571, -0.817)),
}
"""Usual orientations of the built-in views, as six direction cosines in patient space,
those of x first; see `dicom.turning`. Other views have none."""


@dataclass(frozen=True)
class Preset:
    """A row of settings. Its attributes are those of `ModelConfig` and `Config`."""

    network: str
    strategy: str
    heatmap_std: float
    training: TrainingConfig
    crops: CropConfig = CropConfig()
    filters: tuple[int, ...] = PAPER_FILTERS
    dilations: tuple[int, ...] = ()
    strided: bool = False
    pool_last: bool = False
    one_each: bool = False


PRESETS: dict[str, Preset] = {
    # The best that is known here.
    "default": Preset(
        network="phdnet",
        strategy="augmented",
        heatmap_std=2.0,
        filters=(16, 32, 64, 80),
        dilations=(1, 2, 4, 8, 4, 2, 1),
        strided=True,
        crops=CropConfig(
            rotation=35.0,
            scale=0.25,
            stretch=0.2,
            gain=0.0,
            exposure=0.5,
            curve=0.3,
            shading=0.4,
            noise=0.15,
            cut=0.4,
        ),
        training=TrainingConfig(
            batch_size=16,
            learning_rate=0.003,
            epochs=40,
            epoch_size=6400,
            time_limit_boost=1.0,
            decay=True,
        ),
    ),
    # PHD-Net as in the paper (sections 2 and 3); docs/paper.md has each choice.
    "paper": Preset(
        network="phdnet",
        strategy="smoothing",
        heatmap_std=2.0,
        pool_last=True,
        one_each=True,
        crops=CropConfig(
            near_landmark=0.0, rotation=0.0, scale=0.0, gain=0.0, gamma=0.0
        ),
        training=TrainingConfig(
            batch_size=32,
            learning_rate=0.001,
            epochs=500,
            epoch_size=1,
            patience=75,
            time_limit_boost=1.0,
        ),
    ),
    # The paper's network for all landmarks at once, with augmentation.
    "phdnet-small": Preset(
        network="phdnet",
        strategy="smoothing",
        heatmap_std=2.0,
        training=TrainingConfig(batch_size=32, epochs=500, epoch_size=6400),
    ),
    # The networks that the paper compares it with (section 3.3). They learn from
    # whole images, validated every 500 steps.
    "hourglass": Preset(
        network="hourglass",
        strategy="peak",
        heatmap_std=1.0,
        training=TrainingConfig(
            batch_size=3,
            epochs=1000,
            epoch_size=1500,
            patience=20,
            time_limit_boost=1.0,
        ),
    ),
    "unet": Preset(
        network="unet",
        strategy="peak",
        heatmap_std=8.0,
        training=TrainingConfig(
            batch_size=2,
            epochs=1000,
            epoch_size=1000,
            patience=20,
            time_limit_boost=1.0,
        ),
    ),
}
"""The default, which is the best so far; the paper's network; and its competitors."""


def make_config(
    preset: str,
    view: str,
    landmarks: tuple[str, ...],
    mapping: str = MAPPINGS[0],
    strategy: str | None = None,
    seed: int = 0,
    deterministic: bool = False,
    precision: str = PRECISIONS[0],
) -> Config:
    """The settings of a training run.

    Args:
        preset: One of `PRESETS`.
        view: Name of the view.
        landmarks: Names of the landmarks to locate.
        mapping: See `ModelConfig`.
        strategy: See `ModelConfig`. Default: the preset's.
        seed: See `TrainingConfig`.
        deterministic: Likewise.
        precision: Likewise.

    Returns:
        The settings.

    Raises:
        ValueError: If a value is not valid.
    """
    if preset not in PRESETS:
        raise ValueError(
            f"preset: expected one of {tuple(PRESETS)}. Received: {preset!r}."
        )
    row = PRESETS[preset]
    return Config(
        view=view,
        model=ModelConfig(
            landmarks=landmarks,
            network=row.network,
            mapping=mapping,
            strategy=strategy or row.strategy,
            heatmap_std=row.heatmap_std,
            filters=row.filters,
            dilations=row.dilations,
            strided=row.strided,
            pool_last=row.pool_last,
            one_each=row.one_each,
        ),
        crops=row.crops,
        training=replace(
            row.training, seed=seed, deterministic=deterministic, precision=precision
        ),
    )
