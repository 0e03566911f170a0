import keras
import pytest
from support.drawn import examples
from support.training import settings

from phdnet_tf.training import schedule
from phdnet_tf.training.loop import train


@pytest.mark.slow
@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("decay", "limit", "highest"),
    [(False, None, 0.01), (True, None, 0.01), (False, 1e6, 0.07), (True, 1e6, 0.07)],
)
def test_the_learning_rate_stays_or_rises_and_falls(
    tmp_path, monkeypatch, decay, limit, highest
):
    monkeypatch.setattr(schedule, "WARM_UP", 2)
    rates = []

    class Noting(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))

    monkeypatch.setattr(keras.callbacks, "TensorBoard", lambda *a, **k: Noting())

    train(
        settings(epochs=5, learning_rate=0.01, decay=decay, time_limit_boost=7.0),
        examples(4),
        examples(2, 1),
        tmp_path,
        time_limit=limit,
    )

    # Ten steps: two to rise, where it rises, and after two in ten the share of the
    # other eight. An ample time limit makes it higher by its boost, and ends nothing.
    rising = [1 / 2, 1] if decay or limit else [1, 1]
    after = [1, *(n / 8 for n in range(7, 0, -1))] if decay else [1] * 8
    wanted = [highest * share for share in rising + after]
    assert rates == pytest.approx(wanted, rel=1e-4)
