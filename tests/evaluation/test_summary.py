import csv
from pathlib import Path

import numpy as np
import pytest
from support.drawn import LANDMARKS, examples
from support.perfect import SHIFTS, perfect_but_for

from phdnet_tf.evaluation.predictions import predict_examples
from phdnet_tf.evaluation.summary import (
    confidence_figures,
    evaluation_figures,
    radii_coverage,
    ranking_figures,
)
from phdnet_tf.geometry import CANVAS_DIAGONAL
from phdnet_tf.trust.bins import Bins

BINS = [Bins((0.3, 0.4, 0.5, 0.6), (None, 4.0, 3.0, 2.0, 1.0))] * 2


def test_the_report_separates_landmarks_and_high_confidence():
    predictions = predict_examples(perfect_but_for(SHIFTS), examples(), ())
    errors = np.arange(16.0).reshape(8, 2)
    errors[0, 0] = np.nan
    high = errors < 7
    high[0, 0] = True
    changed = predictions.__class__(
        **{**vars(predictions), "errors": errors, "high_confidence": high}
    )

    result = evaluation_figures(changed, LANDMARKS, BINS)

    first = result["landmarks"][LANDMARKS[0]]
    assert first["all"]["points"] == 7  # one is not annotated
    assert first["all"]["mean"] == np.mean([2, 4, 6, 8, 10, 12, 14])
    assert first["high_confidence"]["points"] == 3
    assert first["high_confidence"]["mean"] == 4
    assert first["high_confidence"]["share"] == pytest.approx(3 / 7)
    overall = result["landmarks"]["overall"]
    assert overall["all"]["points"] == 15
    assert overall["high_confidence"]["mean"] == np.mean([1, 2, 3, 4, 5, 6])
    assert result["high_confidence_images"] == 3 / 8
    assert result["strategies"]["simple"]["points"] == 16
    assert (result["images"], result["subjects"]) == (8, 8)


def test_the_confidence_report_tells_what_was_foreseen():
    predictions = predict_examples(perfect_but_for(SHIFTS), examples(), ())
    errors = np.ones((8, 2))
    errors[1] = [12, np.nan]
    confidence = np.ones((8, 2))
    confidence[1] = 0.1
    radii = np.full((8, 2, 3), 2.0)
    radii[:, 1] = 0.5
    radii[1, 0] = [3, 20, 20]
    changed = predictions.__class__(
        **{
            **vars(predictions),
            "errors": errors,
            "confidence": confidence,
            "radii": radii,
        }
    )

    found = confidence_figures(changed, LANDMARKS, BINS)

    # 15 points, 14 of them 1 mm off and the least trusted one 12 mm.
    assert set(found["rankings"]) == {"confidence", "error_radius"}
    trusted = found["rankings"]["confidence"]["pooled"]
    assert trusted["auroc_10"] == 1 and trusted["beyond_10"] == 1
    assert trusted["aurc"] == pytest.approx((14 + (14 + 12) / 15) / 15)
    assert trusted["mean_at_56"] == 1
    first, second, overall = found["radii"].values()
    assert [each["level"] for each in first] == [0.5, 0.9, 0.95]
    assert [each["coverage"] for each in first] == [7 / 8, 1, 1]
    assert [each["coverage"] for each in second] == [0, 0, 0]
    assert overall[1]["coverage"] == 8 / 15
    assert first[1]["median_mm"] == 2
    # All subjects drawn at once: of 8, one is not covered.
    low, high = first[0]["interval"]
    assert 0.5 <= low < 7 / 8 < high == 1
    doubted, *_, best = found["bins"][LANDMARKS[0]]
    assert (doubted["share"], doubted["mean_mm"], doubted["bound_mm"]) == (
        *(1 / 8, 12, None),
    )
    assert (best["share"], best["mean_mm"], best["within_bound"]) == (7 / 8, 1, 1)


def test_the_spread_of_an_ensemble_orders_points_too():
    predictions = predict_examples(perfect_but_for(SHIFTS), examples(), ())
    errors = np.arange(16.0).reshape(8, 2)
    changed = predictions.__class__(
        **{**vars(predictions), "errors": errors, "member_spread": errors / 2}
    )

    found = confidence_figures(changed, LANDMARKS, BINS)["rankings"]

    # The first k of 0, 1, 2, ... have a mean of (k - 1) / 2.
    pooled = found["member_spread"]["pooled"]
    assert pooled["aurc"] == np.mean(np.arange(16) / 2)
    assert pooled["auroc_10"] == 1


def test_each_landmark_is_judged_by_itself_and_the_macro_average_is_theirs():
    # The second landmark has ten times the confidence of the first, whatever its error.
    errors = np.array([[1.0, 30.0], [20.0, 2.0], [2.0, 1.0], [np.nan, 12.0]])
    confidence = np.array([[3.0, 10.0], [1.0, 40.0], [2.0, 30.0], [9.0, 20.0]])

    found = ranking_figures(errors, confidence, ("a", "b"))

    assert found["a"]["auroc_10"] == found["b"]["auroc_10"] == 1
    assert found["macro"]["auroc_10"] == 1
    # Pooled, of the 3 x 4 pairs the large errors of b beat all that is right of a.
    assert found["pooled"]["auroc_10"] == pytest.approx((4 + 2 + 2) / 12)
    assert (found["a"]["beyond_10"], found["b"]["beyond_10"]) == (1, 2)
    assert found["a"]["aurc"] == pytest.approx((1 + 1.5 + 23 / 3) / 3)


def test_a_landmark_without_large_errors_is_left_out_of_the_macro_average():
    errors = np.array([[1.0, 30.0], [2.0, 2.0]])
    confidence = np.array([[1.0, 1.0], [2.0, 1.0]])

    found = ranking_figures(errors, confidence, ("a", "b"))

    assert found["a"]["auroc_10"] is None
    assert found["b"]["auroc_10"] == found["macro"]["auroc_10"] == 0.5


def test_a_radius_that_promises_nothing_holds_nothing():
    predictions = predict_examples(perfect_but_for(SHIFTS), examples(), ())
    radii = np.full((8, 2, 3), np.float32(CANVAS_DIAGONAL))
    radii[:4, 0, 0] = 2
    changed = predictions.__class__(
        **{**vars(predictions), "errors": np.ones((8, 2)), "radii": radii}
    )

    found = radii_coverage(changed, LANDMARKS)

    first = found[LANDMARKS[0]]
    assert (first[0]["coverage"], first[0]["promised"]) == (1, 0.5)
    assert first[0]["median_mm"] == 2
    for each in (*first[1:], *found[LANDMARKS[1]]):
        assert each["promised"] == 0
        assert each["coverage"] is each["interval"] is each["median_mm"] is None


def test_the_published_predictions_rank_as_is_known():
    """PHD-Net with smoothing on 179 images of `docs/results/benchmark_sa`."""
    file = Path(__file__).parents[2] / "docs/results/benchmark_sa/predictions.csv"
    with file.open(newline="") as stream:
        rows = [
            row
            for row in csv.DictReader(stream)
            if (row["system"], row["strategy"]) == ("phdnet-small", "smoothing")
        ]
    names = sorted({row["landmark"] for row in rows})
    columns = {name: [row for row in rows if row["landmark"] == name] for name in names}
    errors, confidence = (
        np.array([[float(r[key]) for r in columns[n]] for n in names]).T
        for key in ("error_mm", "confidence")
    )

    found = ranking_figures(errors, confidence, tuple(names))

    inferior, lateral, superior = (
        "inferior_rv_insertion",
        "inferior_rv_lateral_reflection",
        "superior_rv_insertion",
    )
    assert round(found["pooled"]["auroc_10"], 3) == 0.818
    assert {n: round(found[n]["auroc_10"], 3) for n in names} == {
        inferior: 0.861,
        lateral: 0.782,
        superior: 0.771,
    }
    assert [found[n]["beyond_10"] for n in (inferior, lateral, superior)] == [9, 27, 17]
