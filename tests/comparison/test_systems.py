from phdnet_tf.comparison.systems import SYSTEMS, system_config
from phdnet_tf.presets import VIEWS


def test_all_systems_of_the_paper_and_ours_are_there():
    systems = {
        (system.preset, system.mapping, system.strategy) for system in SYSTEMS.values()
    }

    assert systems == {
        ("paper", "binary", "simple"),
        ("paper", "gaussian", "smoothing"),
        ("phdnet-small", "gaussian", "smoothing"),
        ("hourglass", "gaussian", "peak"),
        ("unet", "gaussian", "peak"),
        ("default", "gaussian", "augmented"),
    }


def test_what_is_called_the_papers_is_trained_as_the_paper_says():
    for name in ("baseline", "phdnet"):
        config = system_config(name, "sa", VIEWS["sa"], seed=3)

        assert config.model.one_each and config.training.seed == 3
        assert (config.crops.rotation, config.crops.near_landmark) == (0, 0)
