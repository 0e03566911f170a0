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


def plane(normal):
    """Six direction cosines of a plane with that normal."""
    normal = np.array(normal) / np.linalg.norm(normal)
    x = np.cross(normal, [0.6, 0, 0.8])
    x /= np.linalg.norm(x)
    return tuple([*x, *np.cross(normal, x)])


SHORT_AXIS = plane([0.70, -0.54, -0.47])
FOUR = plane([0.05, -0.80, 0.60])
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("orientation", "view"), [(SHORT_AXIS, "sa"), (FOUR, "4ch"), (AXIAL, None)]
)
@pytest.mark.parametrize(
    "texts",
    [
        # As GE names the protocol of a whole examination.
        ("", "CARDIAC 2CH 4CH SAX"),
        ("FIESTA cine", "CARDIAC 2CH 4CH SAX"),
        ("4ch 2ch sax",),
        ("SAX + 4CH", "4CH"),
    ],
)
def test_where_several_views_are_named_the_orientation_decides(
    texts, orientation, view
):
    proposal = propose(texts, orientation)

    assert proposal.view == view
    assert "'SAX'" in proposal.reason.upper() and "'4CH'" in proposal.reason.upper()
    assert ("usual one, among '" in proposal.reason) == (view is not None)
    assert "orientation" in proposal.reason


def test_the_series_tells_before_the_protocol_of_the_examination():
    texts = ("cine SAX 12", "CARDIAC 2CH 4CH SAX")

    assert propose(texts, SHORT_AXIS).view == propose(texts, None).view == "sa"


def test_the_view_of_the_outflow_tract_has_two_names():
    assert propose(("3CH LVOT",), None).view == "3ch"
    assert propose(("LVOT",), None).view == "lvot"


@pytest.mark.parametrize(
    ("text", "orientation", "view"),
    [
        ("4CH", SHORT_AXIS, "sa"),
        ("SAX", FOUR, "4ch"),
        ("SAX", AXIAL, None),
        # Of these no plane is usual, but they are far from the other two.
        ("2CH", FOUR, "4ch"),
        ("LVOT", SHORT_AXIS, "sa"),
        ("2CH", AXIAL, "2ch"),
    ],
)
def test_a_name_does_not_stand_against_its_plane(text, orientation, view):
    proposal = propose((text,), orientation)

    assert proposal.view == view
    assert f"'{text}' in its description" in proposal.reason
    assert ("orientation" in proposal.reason) == (text != "2CH" or view != "2ch")


@pytest.mark.parametrize(("degrees", "view"), [(0, "sa"), (29, "sa"), (31, None)])
def test_a_name_stands_up_to_30_degrees_off_its_plane(degrees, view):
    usual = np.array([0.70, -0.54, -0.47]) / np.linalg.norm([0.70, -0.54, -0.47])
    across = np.cross(usual, [0.05, -0.80, 0.60])
    across /= np.linalg.norm(across)
    turn = np.radians(degrees)

    turned = plane(np.cos(turn) * usual + np.sin(turn) * across)

    assert propose(("SAX",), turned).view == view
