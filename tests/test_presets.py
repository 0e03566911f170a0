import json
from pathlib import Path

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


PAGE = Path(__file__).parents[1] / "docs" / "paper.md"
UNUSED = {
    "phdnet": {"crops.shift"},
    "hourglass": {
        *("model.filters", "model.dilations", "model.strided", "model.pool_last"),
        *("crops.size", "crops.near_landmark"),
    },
}
UNUSED["unet"] = UNUSED["hourglass"]


def page_settings(preset):
    """What the page's first table says of a preset, by setting."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    header, _, *rows = [[c.strip() for c in line.split("|")[1:-1]] for line in lines]
    column = header.index(f"`{preset}`")
    return {row[0]: row[column] for row in rows if len(row) == len(header)}


@pytest.mark.parametrize("preset", ["paper", "hourglass", "unet"])
def test_the_page_on_the_paper_has_every_setting_as_the_preset_has_it(preset):
    values = json.loads(json.dumps(make_config(preset, "sa", VIEWS["sa"]).to_dict()))
    del values["view"], values["model"]["landmarks"]
    wanted = {
        f"{part}.{name}": json.dumps(value)
        for part, settings in values.items()
        for name, value in settings.items()
    }
    for name in UNUSED[values["model"]["network"]]:
        wanted[name] = "-"

    assert page_settings(preset) == wanted
