import json

import pytest

from phdnet_tf.config import Config
from phdnet_tf.models.build import build_network
from phdnet_tf.presets import PRESETS, VIEWS, make_config


@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_preset_survives_json(preset):
    config = make_config(preset, "sa", VIEWS["sa"])

    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


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
