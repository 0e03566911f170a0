import numpy as np
import pytest
from support.drawn import LANDMARKS, examples
from support.perfect import SHIFTS, perfect_but_for

from phdnet_tf.evaluation.predictions import predict_examples
from phdnet_tf.evaluation.summary import confidence_report, report
from phdnet_tf.trust.bins import Bins

BINS = [Bins((0.3, 0.4, 0.5, 0.6), (None, 4.0, 3.0, 2.0, 1.0))] * 2


def test_the_report_separates_landmarks_and_high_confidence():
    predictions = predict_examples(perfect_but_for(SHIFTS), examples())
    errors = np.arange(16.0).reshape(8, 2)
    errors[0, 0] = np.nan
    high = errors < 7
    high[0, 0] = True
    changed = predictions.__class__(
        **{**vars(predictions), "errors": errors, "high_confidence": high}
    )

    result = report(changed, LANDMARKS, BINS)

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
    predictions = predict_examples(perfect_but_for(SHIFTS), examples())
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

    found = confidence_report(changed, LANDMARKS, BINS)

    # 15 points, 14 of them 1 mm off and the least trusted one 12 mm.
    assert set(found["rankings"]) == {"confidence", "error_radius"}
    trusted = found["rankings"]["confidence"]
    assert trusted["auroc_10"] == 1
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
    predictions = predict_examples(perfect_but_for(SHIFTS), examples())
    errors = np.arange(16.0).reshape(8, 2)
    changed = predictions.__class__(
        **{**vars(predictions), "errors": errors, "member_spread": errors / 2}
    )

    found = confidence_report(changed, LANDMARKS, BINS)["rankings"]

    # The first k of 0, 1, 2, ... have a mean of (k - 1) / 2.
    assert found["member_spread"]["aurc"] == np.mean(np.arange(16) / 2)
    assert found["member_spread"]["auroc_10"] == 1
