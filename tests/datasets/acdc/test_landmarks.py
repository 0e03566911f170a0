import numpy as np
import pytest
from support.acdc import DRAWN, POINTS, SPACING, TOP, without

from phdnet_tf.datasets.acdc.landmarks import derive_landmarks, mid_ventricular


def test_landmarks_are_where_the_drawn_rv_meets_the_lv():
    np.testing.assert_allclose(derive_landmarks(DRAWN, SPACING, TOP), POINTS, atol=1e-3)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_landmarks_stay_on_the_anatomy_however_the_image_lies(turns, mirrored):
    def lie(rows):
        rows = np.rot90(rows, turns)
        return rows[:, ::-1] if mirrored else rows

    y, x = (lie(index) for index in np.indices(DRAWN.shape).astype(float))
    # The direction in which the former y falls.
    up = (-(y[0, 1] - y[0, 0]), -(y[1, 0] - y[0, 0]))

    found = derive_landmarks(lie(DRAWN), SPACING, up)

    # Look up where the found point was before: exact, for both are linear.
    former = [
        [x[0, 0] + (x[0, 1] - x[0, 0]) * px + (x[1, 0] - x[0, 0]) * py,
         y[0, 0] + (y[0, 1] - y[0, 0]) * px + (y[1, 0] - y[0, 0]) * py]
        for px, py in found
    ]  # fmt: skip
    np.testing.assert_allclose(former, POINTS, atol=1e-3)


def disc(spacing, radius=20.0):
    """An RV that is a disc around (30, 40) mm, and an LV that covers its right side."""
    y, x = np.indices((round(80 / spacing[0]), round(90 / spacing[1])))
    x, y = x * spacing[1], y * spacing[0]
    mask = np.where(np.hypot(x - 30, y - 40) < radius, 1, 0)
    mask[np.hypot(x - 62, y - 40) < 26] = 2
    mask[np.hypot(x - 62, y - 40) < 18] = 3
    return mask


@pytest.mark.parametrize("spacing", [(0.25, 0.25), (0.4, 0.25), (0.25, 0.4)])
def test_the_lateral_reflection_is_the_middle_of_the_arc_that_is_nearly_extreme(
    spacing,
):
    # On a circle of 20 mm the points within 1.4 mm of the extreme are those up to
    # arccos(1 - 1.4 / 20) = 0.3764 either way, and their mean is sin(0.3764) / 0.3764
    # of the radius from its middle: 19.53 mm, in the direction (-1, 1), in mm, however
    # many pixels that is in x and in y.
    found = derive_landmarks(disc(spacing), spacing, TOP)[2] * spacing[::-1]

    x, y = found - [30, 40]
    assert np.hypot(x, y) == pytest.approx(19.53, abs=0.06)
    assert np.degrees(np.arctan2(y, -x)) == pytest.approx(45, abs=1)


def test_a_spur_of_the_outline_hardly_moves_the_lateral_reflection():
    mask = disc((1.0, 1.0))
    still = derive_landmarks(mask, (1.0, 1.0), TOP)[2]
    # Two pixels that stick out beside the extreme, and are more extreme.
    mask[57:59, 19] = 1
    reach = (np.argwhere(mask == 1)[:, ::-1] @ [-1, 1]).max()
    assert 58 - 19 == reach

    found = derive_landmarks(mask, (1.0, 1.0), TOP)[2]

    assert np.linalg.norm(found - still) < 1


def test_stray_pixels_of_the_rv_do_not_count():
    mask = DRAWN.copy()
    mask[22:24, 10:12] = 1  # touches the LV below, and the RV not at all
    mask[21, 3] = 1  # touches the RV by a corner

    np.testing.assert_allclose(derive_landmarks(mask, SPACING, TOP), POINTS, atol=1e-3)


def test_the_ends_of_an_arc_are_not_the_points_furthest_apart():
    # A ring from 10 to 13 pixels around (30, 30), and an RV that hugs it but for 45
    # degrees on either side of the upper right diagonal.
    y, x = np.indices((60, 60)) - 30
    radius = np.hypot(x, y)
    mask = np.zeros((60, 60), np.uint8)
    mask[radius < 13] = 2
    mask[radius < 10] = 3
    mask[(radius >= 13) & (radius < 18) & ~((x > 0) & (y < 0))] = 1

    superior, inferior, _ = derive_landmarks(mask, SPACING, TOP)

    # The RV begins at x = 0 above the LV and ends at y = 0 right of it.
    np.testing.assert_allclose(superior, [30.5, 17], atol=0.5)
    np.testing.assert_allclose(inferior, [43, 29.5], atol=0.5)


def apart():
    mask = DRAWN.copy()
    mask[:, 10:12] = 0
    return mask


def short():
    mask = DRAWN.copy()
    mask[:11][mask[:11] == 1] = 0
    mask[17:][mask[17:] == 1] = 0
    return mask


@pytest.mark.parametrize(
    ("mask", "up", "reason"),
    [
        (without(1), TOP, r"no RV cavity \(label 1\)"),
        (without(2), TOP, r"no LV myocardium \(label 2\)"),
        (without(3), TOP, r"no LV cavity \(label 3\)"),
        (apart(), TOP, "the RV does not touch the LV myocardium"),
        # From (11.5, 10.5) to (11.5, 16.5) are 6 pixels of 1.5 mm.
        (short(), TOP, "over 9 mm. Expected at least 15 mm"),
        (DRAWN, (1.0, 0.0), "neither is the superior one"),
    ],
)
def test_a_mask_that_determines_no_landmarks_is_refused(mask, up, reason):
    with pytest.raises(ValueError, match=reason):
        derive_landmarks(mask, SPACING, up)


@pytest.mark.parametrize(
    ("first", "count", "kept"),
    [
        # Of 11 levels 0 to 100 % in steps of 10.
        (0, 11, [2, 3, 4, 5, 6]),
        (2, 11, [4, 5, 6, 7, 8]),
        # 0, 20, 40, 60, 80, 100 %.
        (1, 6, [2, 3, 4]),
        # 0, 12.5, 25, 37.5, 50, 62.5, ... %.
        (1, 9, [3, 4, 5]),
        (0, 1, [0]),
        (0, 0, []),
    ],
)
def test_mid_ventricular_is_20_to_60_percent_of_the_lv_cavity(first, count, kept):
    mask = np.zeros((4, 4, 15), np.uint8)
    mask[..., :] = 2  # myocardium alone does not count
    mask[1, 1, first : first + count] = 3

    assert mid_ventricular(mask) == kept


def relabelled(*labels):
    """The drawn mask with other labels for 1, 2 and 3."""
    return np.array([0, *labels], np.uint8)[DRAWN]


def with_a_gap(mask):
    """A wall that is open to the right, as near the base."""
    mask = mask.copy()
    mask[10:14, 22:25][mask[10:14, 22:25] == 2] = 0
    return mask


def with_a_scar(mask):
    """Label 3 as another challenge has it: a part of what the wall surrounds."""
    mask = mask.copy()
    mask[12:15, 17:19] = 3
    return mask


@pytest.mark.parametrize(
    "mask",
    [
        relabelled(3, 2, 1),  # M&Ms
        with_a_scar(relabelled(0, 2, 1)),
        with_a_gap(relabelled(3, 2, 1)),
        relabelled(1, 3, 2),  # wall and cavity exchanged
        relabelled(2, 1, 3),
        relabelled(2, 3, 1),
        relabelled(3, 1, 2),
    ],
)
def test_labels_in_another_order_are_refused_with_the_remedy(mask):
    with pytest.raises(ValueError, match="label 2.* does not surround .* renumber"):
        derive_landmarks(mask, SPACING, TOP)


def test_a_wall_with_a_gap_still_surrounds_the_cavity():
    found = derive_landmarks(with_a_gap(DRAWN), SPACING, TOP)

    np.testing.assert_allclose(found, POINTS, atol=1e-3)
