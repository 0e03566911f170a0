from phdnet_tf.cli.progress_bars import show_training, training_display
from phdnet_tf.training.progress import Progress

LOSSES = {"loss": 0.25}


def test_a_training_without_validation_tells_its_loss(capsys):
    with training_display() as show:
        show(Progress(0, 9, 9, 100, 5.0, (5.0, 5.0), LOSSES, 0))

    told = capsys.readouterr().err
    assert "epoch   0  loss 0.2500" in told
    assert "0:05 spent, 0:05 left" in told


def test_the_time_left_is_a_range_where_a_better_model_would_prolong_it(capsys):
    with training_display() as show:
        show(Progress(9, 500, 16, 16, 54.0, (450.0, 2946.0), LOSSES, 9))
    show_training(
        {"folder": "run/apex", "epoch": 9, "step": 0, "steps": 16, "seconds": 54.0}
        | {"seconds_left": (450.0, 2946.0), "losses": LOSSES, "best_epoch": 9}
    )

    told = capsys.readouterr().err
    assert "0:54 spent, 7:30 to 49:06 left" in told
    assert "0:54 spent, loss 0.2500, 7:30 to 49:06 left" in told
