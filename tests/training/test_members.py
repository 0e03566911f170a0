import functools
from dataclasses import replace

import pytest
from support.training import Drawn, settings

from phdnet_tf.training.data import Folds
from phdnet_tf.training.members import one_after_the_other, train_members


@pytest.mark.slow
@pytest.mark.usefixtures("bare")
def test_a_member_that_is_not_complete_is_left_out_and_the_run_can_go_on(tmp_path):
    config = settings(epochs=1)
    config = replace(config, model=replace(config.model, one_each=True))
    networks = []

    def interrupt(progress):
        # In the second landmark of the second member, before it has a model.
        if len(networks) == 4:
            raise KeyboardInterrupt

    trainer = functools.partial(
        one_after_the_other,
        Drawn(),
        on_progress=interrupt,
        on_network=lambda folder, number, of: networks.append((number, of)),
    )
    folds = Folds([2, 3], [1], [])
    outcomes = train_members(config, folds, tmp_path, trainer, 2)

    assert networks == [(1, 4), (2, 4), (3, 4), (4, 4)]
    # One member of two networks; a run that ended would not be taken up again.
    assert [outcome.ended_by for outcome in outcomes] == ["epochs", "interrupt"]

    trainer = functools.partial(one_after_the_other, Drawn())
    outcomes = train_members(config, folds, tmp_path, trainer, 2)

    assert [outcome.ended_by for outcome in outcomes] == ["epochs"] * 4
    assert {folder.name for folder in tmp_path.iterdir()} == {"member_1", "member_2"}
