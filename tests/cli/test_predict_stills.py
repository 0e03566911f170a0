"""`phdnet-tf predict` on single images."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from support.command import run
from support.drawn import exported

from phdnet_tf.cli import main
from phdnet_tf.dicom.write import write_image

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    exported(folder)
    return folder


def draw(path, name="image.dcm", spacing=(1.5, 1.25), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 900, (80, 100)).astype("uint16")
    write_image(
        path / name,
        pixels,
        spacing,
        uid_seed=f"{name} {seed}",
        series_description="drawn",
        patient_id="drawn",
    )
    return path / name


def test_predictions_are_printed_as_a_table_json_or_csv(models, tmp_path):
    image = draw(tmp_path)

    table = run("predict", image, "--models", models).stdout
    objects = json.loads(
        run("predict", image, "--models", models, "--format", "json").stdout
    )
    rows = run("predict", image, "--models", models, "--format", "csv").stdout

    assert [line.split()[1] for line in table.splitlines()[1:]] == ["bright", "grey"]
    assert "LOW: check by hand" in table.splitlines()[2]
    assert objects[0]["model"] == "phdnet_sa/1" and objects[0]["view"] == "sa"
    first, second = csv.DictReader(rows.splitlines())
    landmark = objects[0]["landmarks"][0]
    assert float(first["x"]) == pytest.approx(landmark["x"])
    assert (first["high_confidence"], second["high_confidence"]) == ("1", "0")


def test_the_output_folder_has_every_format_and_a_picture_for_each_image(
    models, tmp_path
):
    series = tmp_path / "series"
    for seed, name in enumerate(("a", "b"), 1):
        (series / name).mkdir(parents=True)
        draw(series / name, seed=seed)
    output = tmp_path / "out"

    run("predict", series, draw(tmp_path), "--models", models, "--output", output)

    written = sorted(str(p.relative_to(output)) for p in output.rglob("*.*"))
    assert written == [
        ".phdnet-tf.lock",
        "image.png",
        "manifest.txt",
        "predictions.csv",
        "predictions.json",
        "series/a/image.png",
        "series/b/image.png",
    ]
    assert len(json.loads((output / "predictions.json").read_text())) == 3


def test_two_files_of_one_name_have_two_pictures(models, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    images = [draw(tmp_path / name) for name in ("a", "b")]
    output = tmp_path / "out"

    run("predict", *images, "--models", models, "--output", output, "--format", "png")

    assert sorted(p.name for p in output.glob("*.png")) == ["image-2.png", "image.png"]


def test_a_bad_file_does_not_stop_the_others_and_the_exit_code_tells(models, tmp_path):
    bad = tmp_path / "notes.txt"
    bad.write_text("hello")

    result = run(
        *("predict", bad, draw(tmp_path), "--models", models, "--format", "json"),
        code=1,
    )

    first, second = json.loads(result.stdout)
    assert first["image"] == str(bad) and "not a DICOM file" in first["error"]
    assert len(second["landmarks"]) == 2
    assert "Error:" in result.stderr


def test_a_missing_spacing_can_be_given(models, tmp_path):
    image = draw(tmp_path, spacing=(1.5, 1.5))
    import pydicom

    dataset = pydicom.dcmread(image)
    del dataset.PixelSpacing
    dataset.save_as(image)

    refused = run("predict", image, "--models", models, code=1)
    given = run(
        *("predict", image, "--models", models, "--pixel-spacing", "1.5,1.25"),
        *("--format", "json"),
    )

    assert "--pixel-spacing" in refused.stderr
    assert json.loads(given.stdout)[0]["pixel_spacing_mm"] == [1.5, 1.25]


def test_a_spacing_that_is_meant_to_differ_is_taken(models, tmp_path):
    import pydicom

    image = draw(tmp_path)
    dataset = pydicom.dcmread(image)
    del dataset.PixelSpacing
    dataset.save_as(image)

    given = run(
        *("predict", image, "--models", models, "--pixel-spacing", "1.0x4.0"),
        *("--format", "json"),
    )

    assert json.loads(given.stdout)[0]["pixel_spacing_mm"] == [1.0, 4.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "png"], "add --output"),
        (["--format", "json", "--format", "csv"], "Only one format can be printed"),
        (["--pixel-spacing", "1.5"], "not ROW,COLUMN"),
        (["--pixel-spacing", "0.01,0.01"], "not between 0.02 and 20 mm"),
        # A German 1.4, and what it would be taken for; and one that is just as odd.
        (["--pixel-spacing", "1,4"], "write 1x4"),
        (["--pixel-spacing", "1,2"], "write 1x2"),
        (["--pixel-spacing", "3.2,1.5"], "write 3.2x1.5"),
        (["--timeout", "nan"], "not a finite number"),
        (["--timeout", "1e10"], "0.1<=x<=86400"),
        (["--view", "4ch"], "found no model of the view 4ch"),
    ],
)
def test_options_that_do_not_fit_are_refused_with_a_remedy(
    models, tmp_path, options, message
):
    result = CliRunner().invoke(
        main, ["predict", str(draw(tmp_path)), "--models", str(models), *options]
    )

    assert result.exit_code in (1, 2) and message in result.output


def test_models_of_two_views_have_to_be_told_apart(tmp_path):
    exported(tmp_path)
    exported(tmp_path, view="4ch")
    image = draw(tmp_path)

    asked = run("predict", image, "--models", tmp_path, code=2)
    told = run(
        *("predict", image, "--models", tmp_path, "--view", "4ch", "--format", "json")
    )

    assert "--view sa or --view 4ch" in asked.output
    assert json.loads(told.stdout)[0]["model"] == "phdnet_4ch/1"


def test_a_real_image_is_predicted_in_its_own_pixels(models, real_data):
    image = real_data / "acdc_sa" / "DICOM" / "patient001" / "ED_slice03.dcm"

    found = run("predict", image, "--models", models, "--format", "json")

    prediction = json.loads(found.stdout)[0]
    assert prediction["pixel_spacing_mm"] == [1.5625, 1.5625]
    for landmark in prediction["landmarks"]:
        # The canvas is 480 mm wide and centred on the image of 216 x 256.
        assert abs(landmark["x"] - 107.5) < 154 and abs(landmark["y"] - 127.5) < 154
