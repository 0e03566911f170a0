from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from support.folders import DATA, with_data

from phdnet_tf.datasets.folder import check
from phdnet_tf.datasets.folder.arrangement import arrangement_problems
from phdnet_tf.datasets.folder.images import ImageFacts
from phdnet_tf.datasets.folder.table import Row, Table
from phdnet_tf.presets import VIEWS

LANDMARKS = VIEWS["sa"]
# In mm: the septum runs down and to the right, the lateral point lies left of its end.
USUAL = np.array([[100, 100], [115, 150], [75, 158]])


def drawn(subjects=30, images=2, seed=0):
    """Hearts of 0.7 to 1.3 times the usual size, turned by up to about 20 degrees."""
    rng = np.random.default_rng(seed)
    rows, facts = [], {}
    for number in range(subjects):
        angle = rng.normal(0, np.radians(10))
        turn = np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        size = rng.uniform(0.7, 1.3)
        spacing = rng.uniform(0.8, 2.0, 2)
        for image in range(images):
            mm = (USUAL - 110) @ turn.T * size + 150 + rng.normal(0, 2, (3, 2))
            row = Row(
                f"s{number}", f"{number}_{image}.dcm", mm / spacing[::-1], len(rows) + 2
            )
            rows.append(row)
            facts[row.id] = ImageFacts(400, 400, tuple(spacing), None, row.id)
    return Table("landmarks.csv", LANDMARKS, tuple(rows)), facts


def changed(table, change, wanted):
    rows = [
        replace(row, points=change(row.points)) if wanted(row) else row
        for row in table.rows
    ]
    return replace(table, rows=tuple(rows))


def of_subject(*numbers):
    return lambda row: row.subject in {f"s{number}" for number in numbers}


def exchange(i, j):
    order = [0, 1, 2]
    order[i], order[j] = j, i
    return lambda points: points[order]


@pytest.mark.parametrize("seed", range(10))
def test_hearts_of_usual_variety_are_no_problem(seed):
    assert list(arrangement_problems(*drawn(60, seed=seed))) == []


@pytest.mark.parametrize("landmarks", [(0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_exchanged_landmarks_are_named(landmarks):
    table, facts = drawn()
    for i, j in permutations(landmarks, 2):
        found = list(
            arrangement_problems(changed(table, exchange(i, j), of_subject(4)), facts)
        )

        (problem,) = found
        one, other = (LANDMARKS[k] for k in sorted((i, j)))
        assert problem.severity == "warning" and problem.row == 10
        assert f"subject s4: {one} and {other} seem to be exchanged" in problem.message
        assert "here and in 1 more rows" in problem.message


def test_x_and_y_exchanged_are_named_in_mm_not_in_pixels():
    table, facts = drawn()
    # Where x is a row, it is a row of the image, with the distance of rows.
    table = changed(table, lambda points: points[:, ::-1], of_subject(0, 7, 8))

    problems = [problem.message for problem in arrangement_problems(table, facts)]

    assert [message.partition(" seem")[0] for message in problems] == [
        f"subject s{number}: x and y" for number in (0, 7, 8)
    ]


def test_one_image_of_a_subject_is_found():
    table, facts = drawn(images=5)
    table = changed(table, exchange(0, 1), lambda row: row.image == "3_2.dcm")

    (problem,) = arrangement_problems(table, facts)

    assert problem.row == table.rows[3 * 5 + 2].line
    assert "more rows" not in problem.message


def test_points_of_a_picture_of_another_size_are_found():
    table, facts = drawn()
    table = changed(table, lambda points: points / 4, of_subject(6))

    (problem,) = arrangement_problems(table, facts)

    assert "subject s6: the distances between its landmarks are out" in problem.message


def test_a_third_of_the_subjects_may_be_wrong():
    table, facts = drawn(30)
    wrong = range(0, 30, 3)
    table = changed(table, exchange(0, 1), of_subject(*wrong))

    found = [problem.message for problem in arrangement_problems(table, facts)]

    subjects = {
        int(message.split(":")[0].removeprefix("subject s")) for message in found
    }
    assert subjects <= set(wrong) and len(subjects) >= 9


def turned(points):
    return np.stack([points[:, 1], 200 - points[:, 0]], axis=1)


def mirrored(points):
    return points * [1, -1] + [0, 200]


@pytest.mark.parametrize("change", [turned, mirrored])
def test_pictures_that_lie_otherwise_are_no_problem(change):
    table, facts = drawn()

    assert (
        list(arrangement_problems(changed(table, change, of_subject(5)), facts)) == []
    )


def test_two_landmarks_are_compared_and_one_is_not():
    table, facts = drawn()
    table = changed(table, exchange(0, 1), of_subject(4))
    two = replace(
        changed(table, lambda p: p[:2], lambda r: True), landmarks=LANDMARKS[:2]
    )
    one = replace(
        changed(table, lambda p: p[:1], lambda r: True), landmarks=LANDMARKS[:1]
    )

    assert [p.row for p in arrangement_problems(two, facts)] == [10]
    assert list(arrangement_problems(one, facts)) == []


def test_nothing_is_said_of_few_subjects_or_absent_landmarks():
    table, facts = drawn(9)
    exchanged = changed(table, exchange(0, 1), of_subject(4))
    assert list(arrangement_problems(exchanged, facts)) == []

    table, facts = drawn()
    exchanged = changed(table, exchange(0, 1), of_subject(4))
    absent = np.array([[1, 1], [1, 1], [np.nan, np.nan]])
    partly = changed(exchanged, lambda points: points * absent, of_subject(4))
    assert list(arrangement_problems(partly, facts)) == []


@with_data
@pytest.mark.parametrize("name", ["acdc_sa", "mscmr_c0", "mscmr_lge"])
def test_no_subject_of_real_data_is_suspected_without_cause(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"real images: no {DATA / name}")
    inspection = check.inspect(DATA / name)

    assert not [
        problem for problem in arrangement_problems(inspection.table, inspection.images)
    ]


def test_who_lies_transposed_and_says_so_is_no_problem():
    table, facts = drawn()
    transposed = changed(table, lambda points: points[:, ::-1], of_subject(8))

    def lying(orientation):
        return {
            name: replace(
                each,
                orientation=orientation,
                pixel_spacing=each.pixel_spacing[::-1],
            )
            if name.startswith("8_")
            else each
            for name, each in facts.items()
        }

    def problems(facts):
        return list(arrangement_problems(transposed, facts, [(1, 0, 0, 0, 1, 0)]))

    assert problems(lying((0, 1, 0, 1, 0, 0))) == []
    # x and y are compared in pixels, which hardly differ in size here.
    (problem,) = problems(lying(None))
    assert "subject s8: x and y" in problem.message


def test_x_and_y_exchanged_are_named_in_a_mirrored_image():
    table, facts = drawn()
    facts = {
        name: replace(
            each, orientation=(-1 if name.startswith("8_") else 1, 0, 0, 0, 1, 0)
        )
        for name, each in facts.items()
    }
    right = changed(table, lambda points: points * [-1, 1] + [399, 0], of_subject(8))
    wrong = changed(right, lambda points: points[:, ::-1], of_subject(8))

    def problems(table):
        return list(arrangement_problems(table, facts, [(1, 0, 0, 0, 1, 0)]))

    assert problems(right) == []
    (problem,) = problems(wrong)
    assert "subject s8: x and y seem to be exchanged" in problem.message
