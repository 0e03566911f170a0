import json

import pytest

from phdnet_tf.config import Config, CropConfig, ModelConfig, TrainingConfig
from phdnet_tf.models.build import build_network
from phdnet_tf.presets import VIEWS, make_config


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


@pytest.mark.parametrize("preset", ["paper", "default"])
def test_a_preset_survives_json(preset):
    config = make_config(preset, "sa", VIEWS["sa"])

    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_paper_preset_is_the_papers():
    config = make_config("paper", "sa", VIEWS["sa"])
    model, training = config.model, config.training

    assert (model.filters, model.dilations, model.strided) == ((32,) * 6, (), False)
    assert (model.mapping, model.strategy, model.heatmap_std) == (
        "gaussian",
        "smoothing",
        2,
    )
    assert training.decay is False
    assert (training.batch_size, training.learning_rate) == (32, 0.001)
    assert (training.epochs, training.patience) == (500, 75)
    assert config.crops.size == 128
    assert config.crops.stretch == 0


@pytest.mark.parametrize("preset", ["paper", "unet", "hourglass"])
def test_an_epoch_of_the_papers_networks_has_200_steps_as_ever(preset):
    config = make_config(preset, "sa", VIEWS["sa"])
    values = config.to_dict()
    del values["training"]["epoch_size"]  # as runs of before have it
    del values["crops"]["stretch"]

    assert config.training.epoch_size == 200 * config.training.batch_size
    assert Config.from_dict(values) == config


def test_the_default_is_a_light_network_that_sees_the_whole_heart():
    config = make_config("default", "sa", VIEWS["sa"])
    model, training = config.model, config.training

    assert build_network(model).count_params() < 700_000
    # Half of the 512 pixels of the canvas and more, which is 240 mm: by hand, 2 patches
    # either way for every unit of dilation, and what the last poolings have seen.
    assert 8 * 2 * sum(model.dilations) > 256
    assert model.strategy == "augmented"
    assert (training.learning_rate, training.decay) == (0.003, True)
    assert (training.batch_size, training.epoch_size) == (16, 6400)
    assert (config.crops.rotation, config.crops.scale) == (35, 0.25)
    assert config.crops.stretch == 0.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelConfig(()), "landmarks: expected one or more"),
        (lambda: ModelConfig(("a", "a")), "landmarks: expected one or more different"),
        (lambda: ModelConfig(("a",), mapping="x"), "mapping: .*gaussian.* 'x'"),
        (lambda: ModelConfig(("a",), strategy="x"), "strategy: .*smoothing.* 'x'"),
        (lambda: ModelConfig(("a",), heatmap_std=0), "heatmap_std: .* above 0"),
        (lambda: ModelConfig(("a",), filters=(8, 8)), "filters: .*three or more"),
        (lambda: ModelConfig(("a",), dilations=(0,)), "dilations: .* above 0"),
        (lambda: CropConfig(size=100), "size: expected a multiple of the patch size"),
        (lambda: CropConfig(scale=2), "scale: expected between 0 and 1"),
        (lambda: CropConfig(stretch=1), "stretch: expected below 1"),
        (lambda: TrainingConfig(epochs=0), "epochs: expected above 0"),
        (lambda: TrainingConfig(epoch_size=0), "epoch_size: expected above 0"),
        (lambda: TrainingConfig(seed=-1), "seed: expected 0 or more"),
        (lambda: Config("2ch", ModelConfig(("a",))), "view: .*4ch.* '2ch'"),
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
