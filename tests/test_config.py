import json

import pytest

from phdnet_tf.config import Config, CropConfig, ModelConfig, TrainingConfig
from phdnet_tf.presets import VIEWS


def test_settings_survive_json():
    config = Config(
        view="4ch",
        model=ModelConfig(
            VIEWS["4ch"], mapping="binary", strategy="simple", dilations=(1, 2)
        ),
        crops=CropConfig(rotation=5.0),
        training=TrainingConfig(seed=7),
    )

    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelConfig(()), "landmarks: expected one or more"),
        (lambda: ModelConfig(("a", "a")), "landmarks: expected one or more different"),
        (
            lambda: ModelConfig(("a", "macro")),
            "landmarks: expected other names than ov",
        ),
        (lambda: ModelConfig(("a",), mapping="x"), "mapping: .*gaussian.* 'x'"),
        (lambda: ModelConfig(("a",), strategy="x"), "strategy: .*smoothing.* 'x'"),
        (lambda: ModelConfig(("a",), heatmap_std=0), "heatmap_std: .* above 0"),
        (lambda: ModelConfig(("a",), filters=(8, 8)), "filters: .*three or more"),
        (lambda: ModelConfig(("a",), dilations=(0,)), "dilations: .* above 0"),
        (lambda: CropConfig(size=100), "size: expected a multiple of the patch size"),
        (lambda: CropConfig(scale=2), "scale: expected between 0 and 1"),
        (lambda: CropConfig(stretch=1), "stretch: expected below 1"),
        (lambda: CropConfig(exposure=-0.1), "exposure: expected between 0 and 1"),
        (lambda: CropConfig(shading=1.5), "shading: expected between 0 and 1"),
        (lambda: CropConfig(noise=-1), "noise: expected between 0 and 1"),
        (lambda: CropConfig(cut=2), "cut: expected between 0 and 1"),
        (lambda: CropConfig(curve=0.6), r"curve: expected between 0 and 0\.5"),
        (lambda: TrainingConfig(epochs=0), "epochs: expected above 0"),
        (lambda: TrainingConfig(epoch_size=0), "epoch_size: expected above 0"),
        (lambda: TrainingConfig(seed=-1), "seed: expected 0 or more"),
        (lambda: Config("../sa", ModelConfig(("a",))), r"view: .*4ch.* '\.\./sa'"),
    ],
)
def test_values_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("change", [{"model": {}}, {"crops": {"colour": 1}}])
def test_settings_of_another_kind_are_refused(change):
    values = Config("sa", ModelConfig(("a",))).to_dict() | change

    with pytest.raises(ValueError, match="settings: expected those"):
        Config.from_dict(values)
