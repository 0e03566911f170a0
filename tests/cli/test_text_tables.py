from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from support.tracks import circle, predictions

from phdnet_tf.cli.text_tables import prediction_rows, summary, track_rows
from phdnet_tf.evaluation.predictions import Predictions
from phdnet_tf.evaluation.summary import evaluation_figures
from phdnet_tf.geometry import CANVAS_DIAGONAL
from phdnet_tf.inference.tracks import find_tracks
from phdnet_tf.trust.bins import Bins


def test_a_cine_is_shown_in_a_line_whatever_its_file_is_called():
    done = SimpleNamespace(
        tracks=find_tracks(predictions(circle()), range(1, 26), 25),
        predictions=predictions(circle()),
        job=SimpleNamespace(
            number=3,
            frames=[SimpleNamespace(file=SimpleNamespace(name=Path("a\n\x1bb\udcfc")))],
        ),
    )

    ((name, *_),) = track_rows(done)

    assert name == "3 (a??b?)"


def test_frames_of_one_file_are_told_apart():
    first, second = (
        replace(each, image="enhanced.dcm", origin={"frame": number, "phase": number})
        for number, each in enumerate(predictions(circle(2)), 1)
    )
    still = replace(first, image="still.dcm", origin={})

    rows = [row for each in (first, second, still) for row in prediction_rows(each)]

    assert [name for name, *_ in rows] == [
        "enhanced.dcm frame 1",
        "enhanced.dcm frame 2",
        "still.dcm",
    ]


def test_an_evaluation_is_summed_up_in_one_table():
    # Of the valve one of four is 12 mm off, trusted least; the apex has no radius.
    errors = np.array([[1, 2], [2, 4], [3, 6], [12, 24]], float)
    trust = np.array([[4, 4], [3, 3], [2, 2], [1, 1]], np.float32)
    radii = np.full((4, 2, 3), 5, np.float32)
    radii[:, 1] = CANVAS_DIAGONAL
    found = Predictions(
        images=list("abcd"),
        subjects=list("aabb"),
        errors=errors,
        errors_by={},
        points=np.zeros((4, 2, 2)),
        truth=np.zeros((4, 2, 2)),
        confidence=trust,
        high_confidence=trust > 1.5,
        recognised=np.array([True, True, True, False]),
        radii=radii,
        evidence=np.zeros((4, 2, 1)),
        member_spread=np.zeros((4, 2)),
    )
    bins = [Bins((), (None,))] * 2

    lines = summary(evaluation_figures(found, ("valve", "apex"), bins)).splitlines()

    # Their mean is 18 / 4; the deviations' squares sum to 77, the root of a quarter.
    assert lines[1].split() == (
        "valve 4 4.50 ± 4.39 2.50 25.0% 0.0% 75% 5.0 75%".split()
    )
    assert lines[2].split()[-4:] == ["25.0%", "25.0%", "75%", "none"]
    assert lines[4].startswith("4 images of 2 subjects, 75.0% of them recognised")
    assert lines[5] == (
        "AUROC for errors beyond 10 mm: 1.00 by confidence, 0.50 by error radius."
    )
    assert "No 90% radius is known for 50% of the points." in lines
    assert len(lines) < 12
