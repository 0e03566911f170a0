import re
from collections import Counter

import numpy as np
import pytest
from support.batch import STUB, do_with_stub, write_study

from phdnet_tf.batch import findings, rows
from phdnet_tf.batch.findings import gather
from phdnet_tf.batch.manifest import claim
from phdnet_tf.batch.pictures import histogram, thumbnail
from phdnet_tf.batch.plan import plan
from phdnet_tf.batch.report import write_report
from phdnet_tf.dicom.image import MRImage


def row(image, radius, confidence=1.0, landmark="one", view="sa", recognised=True):
    empty = dict.fromkeys(rows.SCHEMA.names)
    return empty | {
        **{"image": image, "frame": 1, "view": view, "landmark": landmark},
        **{"radius_90_mm": radius, "confidence": confidence, "recognised": recognised},
        **{"high_confidence": confidence > 0.5, "x": 10.0, "y": 20.0},
    }


def test_what_was_found_is_counted_by_view_and_landmark(tmp_path, monkeypatch):
    monkeypatch.setattr(findings, "LEAST_CERTAIN", 2)
    first = [row("a", 2.5), row("a", 9.0, landmark="two"), row("b", 3.0, 0.3)]
    second = [row("c", 5.0, view="4ch", recognised=False), row("d", 1e6, 1e6)]
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    for path, values in zip(paths, (first, second), strict=True):
        rows.write(path, rows.SCHEMA, values)

    found = gather(paths)

    sa, four = found.views["sa"], found.views["4ch"]
    assert (sa.images, sa.recognised, four.images, four.recognised) == (3, 3, 1, 0)
    # Bins of 1 mm, and of 0.25 of confidence; the last holds what is larger.
    assert sa.landmarks["one"].radii == {2: 1, 3: 1, 60: 1}
    assert sa.landmarks["one"].confidence == {4: 1, 1: 1, 60: 1}
    assert (sa.landmarks["one"].count, sa.landmarks["one"].high) == (3, 2)
    # By the largest radius of an image: d has 1e6, a has 9.
    assert [image[0]["image"] for image in found.least_certain] == ["d", "a"]


def test_a_bar_is_as_high_as_its_share_of_the_largest():
    picture = histogram(Counter({0: 4, 2: 2}), 0.5, "radius < 1")

    assert re.findall(r'<rect .*? height="([0-9.]+)"', picture) == ["100.0", "50.0"]
    assert "<title>1 to 1.5: 2</title>" in picture
    assert "radius &lt; 1" in picture and "radius < 1" not in picture


@pytest.mark.parametrize("point", [(30.0, 20.0), (-500.0, 900.0)])
def test_a_picture_shows_points_in_pixels_and_radii_in_mm(point):
    image = MRImage(np.arange(40 * 60, dtype=np.float32).reshape(40, 60), (2.0, 1.0))
    own = row("a", 6.0) | {"x": point[0], "y": point[1]}

    picture = thumbnail(image, [own])

    # The centre of the first pixel is at (0.5, 0.5) of the picture.
    centre = f'cx="{point[0] + 0.5:.1f}" cy="{point[1] + 0.5:.1f}"'
    assert f'<ellipse {centre} rx="6.0" ry="3.0"' in picture
    # 30 mm to each side: 30 columns, and 15 rows. All, where the point is outside.
    inside = point[0] > 0
    assert f'viewBox="{"0 5 60 30" if inside else "0 0 60 40"}"' in picture


def test_a_page_tells_what_is_gone_and_does_not_run_what_files_are_called(tmp_path):
    archive = tmp_path / "in"
    write_study(archive, "<script>", images=1)
    write_study(archive, "strange", images=1)
    plan([archive], None, tmp_path / "out", readers=1)
    manifest = claim(tmp_path / "out", [STUB], "sa", None, None, 1)
    do_with_stub(tmp_path / "out", 0)
    first = write_report(tmp_path / "out", manifest).read_text()
    do_with_stub(tmp_path / "out", 1)
    (archive / "strange_0.dcm").unlink()

    page = write_report(tmp_path / "out", manifest).read_text()

    assert "1 of 2 shards are not done" in first and "are not done" not in page
    assert "2 images of 2 studies; 50.0 % recognised; 0 files failed" in page
    assert "<script" not in page and "&lt;script&gt;_0.dcm" in page
    assert "no such file" in page and "NOT RECOGNISED" in page
    assert len(re.findall("<figure>", page)) == 2
    assert len(re.findall("data:image/png", page)) == 1
