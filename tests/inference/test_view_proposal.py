import numpy as np
import pytest

from phdnet_tf.inference.view_proposal import propose

FOUR_CHAMBER = (0.9954, -2.8e-07, 0.0958, 0.0788, -0.5693, -0.8183)  # of a real scan


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("cine_trufi_retro 4CH", "4ch"),
        ("4-Kammer", "4ch"),
        ("Four chamber SSFP", "4ch"),
        ("HLA", "4ch"),
        ("cine SAX stack", "sa"),
        ("short axis", "sa"),
        ("tfi2d_SA_mid", "sa"),
        ("Kurzachse", "sa"),
        ("2ch", "2ch"),
        ("3CH LVOT", "3ch"),
        ("RVOT", "lvot"),
        ("SAX_32ch", "sa"),
        ("SAX 64ch", "sa"),
        ("sax 4 channel coil", "sa"),
        ("4ch_32ch", "4ch"),
        ("24 channel", None),
        ("HASTE T2 chest", None),
        ("tfi2d_HLA", "4ch"),
        ("cine_VLA_retro", "2ch"),
        ("3-CH", "3ch"),
        ("short acquisition", None),
        ("visage of an arsenal", None),
        ("T1 map", None),
        ("", None),
    ],
)
def test_descriptions_name_views(text, view):
    proposal = propose((text,), None)

    assert proposal.view == view
    assert "description" in proposal.reason


def test_the_first_description_that_names_a_view_counts():
    assert propose(("cine", "tfi 4ch", "SAX"), None).view == "4ch"


def test_the_reason_quotes_only_what_names_the_view():
    reason = propose(("Mrs Miller 4CH follow-up",), None).reason

    assert reason == "'4CH' in its description"


def test_orientation_tells_where_the_description_does_not():
    proposal = propose(("cine",), FOUR_CHAMBER)

    assert proposal.view == "4ch" and "degrees" in proposal.reason


def test_a_plane_across_the_long_axis_is_a_short_axis():
    # The long axis of the left ventricle: to the left, forward, down.
    axis = np.array([0.7, -0.55, -0.45]) / np.linalg.norm([0.7, -0.55, -0.45])
    x = np.cross(axis, [0, 0, 1])
    x /= np.linalg.norm(x)
    y = np.cross(axis, x)

    assert propose((), tuple([*x, *y])).view == "sa"
    assert propose((), tuple([*-y, *x])).view == "sa"


@pytest.mark.parametrize(
    "orientation",
    [
        (1, 0, 0, 0, 1, 0),  # axial
        (1, 0, 0, 0, 0, -1),  # coronal
        (0, 1, 0, 0, 0, -1),  # sagittal
        (0, 0, 0, 0, 0, 0),
        None,
    ],
)
def test_other_planes_tell_nothing(orientation):
    assert propose(("cine",), orientation).view is None
