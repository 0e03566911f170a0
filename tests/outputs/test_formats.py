import csv
import io
import json

import numpy as np
import pytest
from support.cines import RADII, oblique

from phdnet_tf.dicom.image import MRImage
from phdnet_tf.inference.results import Landmark, Prediction
from phdnet_tf.outputs.formats import write_csv, write_json, write_markups


def prediction(place=(1.5, -2.25, 3.125), **origin):
    return Prediction(
        "a.dcm",
        "4ch",
        "phdnet_4ch/1",
        (1.5, 1.25),
        True,
        (
            Landmark("mitral_valve", 10.0, 20.0, 1.5, True, RADII, place),
            Landmark("lv_apex", 11.0, 21.0, 0.5, False, RADII, place, 9.0, 0.6),
        ),
        origin,
    )


def written(write, *arguments):
    stream = io.StringIO()
    write(*arguments, stream)
    return stream.getvalue()


def test_json_says_only_what_is_known():
    (still,) = json.loads(written(write_json, [prediction()]))
    (cine,) = json.loads(written(write_json, [prediction(cine=2, phase=3, time_ms=7)]))

    assert set(still) == {
        *("image", "view", "model", "pixel_spacing_mm", "recognised", "landmarks")
    }
    assert still["landmarks"][0]["error_radius_mm"] == RADII
    assert (cine["cine"], cine["phase"], cine["time_ms"]) == (2, 3, 7)
    assert still["landmarks"][0]["position_lps"] == [1.5, -2.25, 3.125]
    assert "jump_mm" not in still["landmarks"][0]
    assert still["landmarks"][1]["jump_mm"] == 9


def test_csv_has_the_same_columns_for_all_and_uids_only_if_there_are():
    uids = {"study": "1.2", "series": "1.3", "instance": "1.4"}
    rows = list(
        csv.DictReader(
            io.StringIO(
                written(write_csv, [prediction(), {"error": "x"}, prediction(None)])
            )
        )
    )
    (row, _) = csv.DictReader(io.StringIO(written(write_csv, [prediction(uids=uids)])))

    assert len(rows) == 4
    assert [rows[0][f"position_lps_{axis}"] for axis in "xyz"] == [
        *("1.5", "-2.25", "3.125")
    ]
    assert rows[2]["position_lps_x"] == rows[0]["phase"] == rows[0]["jump_mm"] == ""
    assert not any("uid" in name for name in rows[0])
    assert (row["study_uid"], row["series_uid"], row["instance_uid"]) == (
        *("1.2", "1.3", "1.4"),
    )


def test_markups_are_what_slicer_reads():
    markups = json.loads(written(write_markups, prediction()))

    # Of Slicer's schema 1.0.3: names, types and enumerations of what is written.
    assert set(markups) == {"@schema", "markups"}
    assert markups["@schema"].endswith("/markups-schema-v1.0.3.json#")
    (markup,) = markups["markups"]
    assert markup["type"] == "Fiducial" and markup["coordinateSystem"] == "LPS"
    assert markup["coordinateUnits"] == "mm" and markup["locked"] is False
    types = {
        **{"id": str, "label": str, "description": str, "associatedNodeID": str},
        **{"position": list, "orientation": list, "selected": bool, "locked": bool},
        **{"visibility": bool, "positionStatus": str},
    }
    for point, landmark in zip(
        markup["controlPoints"], prediction().landmarks, strict=True
    ):
        assert {name: type(value) for name, value in point.items()} == types
        assert point["label"] == landmark.name
        assert point["position"] == list(landmark.position_lps)
        assert len(point["orientation"]) == 9
        assert point["positionStatus"] in ("undefined", "preview", "defined")
        assert point["selected"] is landmark.high_confidence


def test_markups_of_a_cine_are_told_apart_by_name():
    def name(**origin):
        (markup,) = json.loads(written(write_markups, prediction(**origin)))["markups"]
        return markup["name"]

    assert name() == "phdnet_4ch/1 4ch"
    assert name(cine=2, phase=3) == "phdnet_4ch/1 4ch cine 2 phase 3"
    assert name(cine=2, phase=3, frame=4).endswith("cine 2 phase 3 frame 4")


def test_markups_lie_on_the_oblique_slice():
    image = MRImage(
        np.zeros((80, 100)), (1.5, 1.25), (-120.5, 40.25, 60.125), oblique()
    )
    points = np.array([[10.0, 20.0], [50.5, 33.25]])
    places = image.patient_positions(points)
    landmarks = tuple(
        Landmark(str(n), *point, 1.0, True, RADII, tuple(place))
        for n, (point, place) in enumerate(zip(points, places, strict=True))
    )
    found = Prediction("a", "4ch", "m", image.pixel_spacing, True, landmarks)

    (markup,) = json.loads(written(write_markups, found))["markups"]

    positions = np.array([point["position"] for point in markup["controlPoints"]])
    axes = np.reshape(oblique(), (2, 3))
    # Back into the plane: mm along each axis, and none across.
    flat = (positions - image.position) @ axes.T
    np.testing.assert_allclose(flat / [1.25, 1.5], points, atol=1e-9)
    across = (positions - image.position) @ np.cross(*axes)
    np.testing.assert_allclose(across, 0, atol=1e-9)


def test_without_a_place_there_are_no_markups():
    with pytest.raises(ValueError, match="a.dcm: has no position"):
        written(write_markups, prediction(None))
