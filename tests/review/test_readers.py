import json
import math

import pytest
from support.cines import oblique
from support.review import ADA, change

from phdnet_tf.review.readers import disagreements, second_look, to_decide
from phdnet_tf.review.stats import statistics
from phdnet_tf.review.trail import Lane, append

BO = Lane("reader", "Bo")
CY = Lane("judge", "Cy")


def test_readers_are_apart_by_mm_not_pixels(project):
    # Pixels of 1.25 mm along x and 1.5 mm along y: 4 and 2 of them are 5 and 3 mm.
    append(project.store, ADA, [change(x=10.0, y=20.0)])
    append(project.store, BO, [change(x=14.0, y=22.0)])

    [found] = disagreements(project)

    assert (found.image, found.landmark, found.readers) == (1, "apex", ("Ada", "Bo"))
    assert found.distance == pytest.approx(math.hypot(5, 3))


def test_absent_against_placed_is_the_largest_disagreement(project):
    append(project.store, ADA, [change(x=10.0, y=20.0), change(2, x=1.0)])
    append(
        project.store,
        BO,
        [change(x=99.0, y=20.0), change(2, status="absent", x=None, y=None)],
    )
    both_absent = {"image": 3, "status": "absent", "x": None, "y": None}
    for lane in (ADA, BO):
        append(project.store, lane, [change(**both_absent)])

    assert [each.image for each in disagreements(project)] == [2, 1]
    assert disagreements(project)[0].distance == math.inf


def test_the_judge_sees_the_farthest_apart_first_until_they_are_decided(project):
    append(project.store, ADA, [change(x=10.0), change(2, x=10.0), change(3)])
    append(project.store, BO, [change(x=12.0), change(2, x=40.0)])

    assert [item["id"] for item in to_decide(project, CY, True)] == [2, 1]

    done = {"status": "done", "action": "done", "x": None, "y": None}
    append(project.store, CY, [change(2, "", **done)])
    assert [item["id"] for item in to_decide(project, CY, True)] == [1]
    assert [item["id"] for item in to_decide(project, CY, False)] == [2, 1]


def in_a_cine(project, places):
    """Three phases with points at these columns; the model's are at (30, 30)."""
    with project.store.writing() as connection:
        connection.execute("UPDATE images SET cine = 1, phase = id")
    for image, x in enumerate(places, 1):
        append(project.store, ADA, [change(image, x=x, y=30.0)])


def test_a_point_far_from_model_and_neighbours_is_looked_at_again(project):
    in_a_cine(project, [30.0, 51.0, 32.0])

    [found] = second_look(project, ADA)

    assert (found["id"], found["landmark"]) == (2, "apex")
    assert found["from_neighbours"] == pytest.approx(20 * 1.25)
    assert found["from_model"] == pytest.approx(21 * 1.25)


# The 95 % radius is 8 mm, 6.4 pixels.
@pytest.mark.parametrize("places", [[60.0, 31.0, 60.0], [60.0, 66.0, 60.0]])
def test_a_point_near_the_model_or_its_neighbours_is_not(project, places):
    in_a_cine(project, places)

    assert second_look(project, ADA) == []


def test_slices_are_neighbours_in_the_patient(project):
    import numpy as np

    x, y = np.reshape(oblique(), (2, 3))
    normal = np.cross(x, y)
    with project.store.writing() as connection:
        for image in (1, 2, 3):
            # 10 mm apart, and the middle one moved along x by 5 mm, 4 pixels.
            position = 10.0 * image * normal + 5.0 * (image == 2) * x
            connection.execute(
                "UPDATE images SET position = ?, orientation = ? WHERE id = ?",
                (json.dumps(position.tolist()), json.dumps(oblique()), image),
            )
    for image in (1, 2, 3):
        # One place in the patient, but for the middle one, 16 pixels beside it.
        column = 50.0 + (16 - 4) * (image == 2)
        append(project.store, ADA, [change(image, x=column, y=30.0)])

    [found] = second_look(project, ADA)

    assert found["id"] == 2
    assert found["from_neighbours"] == pytest.approx(20.0)


def test_slices_without_directions_at_right_angles_are_no_neighbours(project):
    with project.store.writing() as connection:
        for image in (1, 2, 3):
            connection.execute(
                "UPDATE images SET position = ?, orientation = ? WHERE id = ?",
                (json.dumps([0, 0, 10 * image]), "[1, 0, 0, 0.6, 0.8, 0]", image),
            )
    for image, column in ((1, 50.0), (2, 66.0), (3, 50.0)):
        append(project.store, ADA, [change(image, x=column, y=30.0)])

    assert second_look(project, ADA) == []


def test_the_statistics_count_and_measure_by_landmark(project):
    append(project.store, ADA, [change(x=34.0, y=30.0), change(2, x=30.0, y=34.0)])
    accepted = {"status": "accepted", "x": 30.0, "y": 30.0}
    append(project.store, ADA, [change(3, **accepted)])
    append(project.store, ADA, [change(3, "base", status="absent", x=None, y=None)])

    apex = statistics(project)["landmarks"]["apex"]

    assert (apex["accepted"], apex["corrected"]) == (1, 2)
    # Moved by 4 pixels of 1.25 and by 4 of 1.5 mm.
    assert apex["moved_mm"] == {"points": 2, "mean": 5.5, "median": 5.5, "p95": 5.95}
    assert statistics(project)["landmarks"]["base"]["absent"] == 1


def test_the_radii_are_judged_by_the_tenth_that_chance_has_drawn(project):
    with project.store.writing() as connection:
        connection.execute("UPDATE images SET sampled = 1 WHERE id < 3")
    # Radii of 2, 5 and 8 mm; of the second image the 90 % radius is 6.
    append(project.store, ADA, [change(x=34.4, y=30.0), change(2, x=30.0, y=33.8)])
    append(project.store, ADA, [change(3, x=90.0, y=30.0)])

    radii = statistics(project)["landmarks"]["apex"]["radii"]

    # 5.5 mm is outside 5, 5.7 inside 6.
    assert radii == {"points": 2, "within": {"50": 0, "90": 1, "95": 2}}


def test_agreement_has_mean_and_outliers_of_each_pair(project):
    append(project.store, ADA, [change(x=10.0), change(2, x=10.0)])
    append(project.store, BO, [change(x=12.0), change(2, x=42.0)])

    [pair] = statistics(project)["readers"]

    assert pair["readers"] == ["Ada", "Bo"]
    # 2.5 and 40 mm.
    assert pair["mm"]["apex"]["mean"] == pytest.approx(21.25)
    assert pair["outliers"] == [{"image": 2, "landmark": "apex", "mm": 40.0}]


def test_the_time_of_an_image_is_that_of_the_step_that_ends_it(project):
    done = {"status": "done", "action": "done", "x": None, "y": None}
    for image, seconds in ((1, 2.0), (2, 4.0), (3, 9.0)):
        append(project.store, ADA, [change(image, "", seconds=seconds, **done)])

    assert statistics(project)["seconds"] == {"Ada": 4.0}


def test_what_one_reader_alone_is_unsure_of_is_to_be_decided(project):
    unsure = {"status": "unsure", "action": "unsure"}
    append(project.store, ADA, [change(1, **unsure), change(2, **unsure)])
    append(project.store, BO, [change(1, uuid="b1"), change(2, uuid="b2", **unsure)])

    [found] = to_decide(project, Lane("judge", "Cy"), open_only=True)

    assert (found["id"], found["distance"]) == (1, None)
