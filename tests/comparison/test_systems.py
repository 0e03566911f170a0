import numpy as np

from phdnet_tf.comparison.systems import SYSTEMS


def test_all_systems_of_the_paper_and_the_default_are_there():
    networks = {
        (system.preset, system.mapping, system.strategy) for system in SYSTEMS.values()
    }

    assert networks == {
        ("paper", "binary", "simple"),
        ("paper", "gaussian", "smoothing"),
        ("hourglass", "gaussian", "peak"),
        ("unet", "gaussian", "peak"),
        ("default", "gaussian", "augmented"),
    }
    assert np.sum([system.one_each for system in SYSTEMS.values()]) == 1
