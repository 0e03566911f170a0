from phdnet_tf.cli.progress_bars import training_display
from phdnet_tf.training.progress import Progress


def test_a_training_without_validation_tells_its_loss(capsys):
    with training_display() as show:
        show(Progress(0, 9, 9, 100, 5.0, None, {"loss": 0.25}, 0))

    assert "epoch   0  loss 0.2500" in capsys.readouterr().err
