from dataclasses import replace

import pytest
from support.drawn import examples
from support.training import settings

from phdnet_tf.training.members import train_members


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

    outcomes = train_members(
        config,
        examples(4),
        examples(2, 1),
        tmp_path,
        2,
        on_progress=interrupt,
        on_network=lambda number, of: networks.append((number, of)),
    )

    assert networks == [(1, 4), (2, 4), (3, 4), (4, 4)]
    # One member of two networks; a run that ended would not be taken up again.
    assert [outcome.ended_by for outcome in outcomes] == ["epochs", "interrupt"]

    outcomes = train_members(config, examples(4), examples(2, 1), tmp_path, 2)

    assert [outcome.ended_by for outcome in outcomes] == ["epochs"] * 4
    assert {folder.name for folder in tmp_path.iterdir()} == {"member_1", "member_2"}
