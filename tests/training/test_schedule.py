import numpy as np
import pytest
from support.drawn import examples
from support.training import settings

from phdnet_tf.config import TrainingConfig
from phdnet_tf.training import schedule
from phdnet_tf.training.keeper import STATE
from phdnet_tf.training.loop import train
from phdnet_tf.training.schedule import WarmUpAndDecay, learning_rate


def test_the_papers_learning_rate_is_constant():
    settings = TrainingConfig(learning_rate=0.001)

    assert learning_rate(settings, 1000, time_limit=False) == 0.001


@pytest.mark.parametrize(
    ("decay", "time_limit", "highest"),
    [(True, False, 0.01), (False, True, 0.07), (True, True, 0.07)],
)
def test_the_learning_rate_rises_stays_and_falls(
    monkeypatch, decay, time_limit, highest
):
    monkeypatch.setattr(schedule, "WARM_UP", 2)
    settings = TrainingConfig(learning_rate=0.01, decay=decay, time_limit_boost=7.0)

    rate = learning_rate(settings, 10, time_limit=time_limit)

    # Ten steps: two to rise, and after two in ten the share of the other eight. A time
    # limit makes it higher by its boost.
    wanted = [1 / 2, 1, 1, *(n / 8 for n in range(7, 0, -1)), 0, 0]
    rates = [float(rate(step)) for step in range(12)]
    np.testing.assert_allclose(rates, highest * np.array(wanted), rtol=1e-4)


def test_a_schedule_is_restored_as_keras_saves_it():
    one = WarmUpAndDecay(0.02, 500)
    one.planned_steps.assign(321)

    two = WarmUpAndDecay.from_config(one.get_config())

    assert float(two(200)) == pytest.approx(float(one(200)))


@pytest.mark.slow
@pytest.mark.usefixtures("bare")
def test_under_a_time_limit_the_learning_rate_falls_to_zero_as_it_ends(tmp_path):
    # The epochs are so many that without the plan it would not fall at all.
    config = settings(epochs=10_000, epoch_size=200)

    outcome = train(config, examples(4), examples(2), tmp_path, time_limit=6)

    assert outcome.ended_by == "time limit"
    with np.load(tmp_path / STATE) as state:
        planned = float(state["planned_steps"])
    assert 0.5 * outcome.steps < planned < 1.5 * outcome.steps
