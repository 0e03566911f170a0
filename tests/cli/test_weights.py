"""Weights as a user meets them: found, listed, named, fine-tuned and packed."""

import importlib.util
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from support.cines import oblique
from support.command import run
from support.drawn import exported
from support.weights import install

from phdnet_tf.dicom.read import read_image
from phdnet_tf.dicom.write import write_image
from phdnet_tf.export.checksums import require_complete
from phdnet_tf.export.description import load_description
from phdnet_tf.export.networks import load_networks
from phdnet_tf.export.seen_images import load_seen_images
from phdnet_tf.export.weights import installed_weights
from phdnet_tf.inference.predictor import Predictor
from phdnet_tf.presets import VIEWS
from phdnet_tf.training.keeper import best_model

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    # `models` and `runs` are folders here.
    monkeypatch.chdir(tmp_path)
    return tmp_path / "site"


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.dcm"
    pixels = np.random.default_rng(0).integers(0, 900, (80, 100)).astype("uint16")
    write_image(
        *(path, pixels, (1.5, 1.25)),
        uid_seed="t",
        series_description="4ch",
        patient_id="drawn",
        position=(0, 0, 1),
        orientation=oblique(),
    )
    return path


@pytest.fixture
def version(trained) -> Path:
    return trained[1] / "models/phdnet_4ch/1"


def test_predict_takes_installed_weights_and_says_whose_they_are(site, image, version):
    install(site, version, "4ch-drawn")

    result = run("predict", image, "--format", "json")

    [found] = json.loads(result.stdout)
    assert (
        found["view"] == "4ch" and found["model"] == "4ch-drawn/1 (trained on drawings)"
    )
    [line] = [line for line in result.stderr.splitlines() if "weights" in line]
    assert line == (
        "view 4ch: uses the weights 4ch-drawn of drawn-weights 0.3. Their licence is "
        "CC-BY-NC-SA-4.0."
    )


def test_a_model_of_ones_own_comes_before_installed_weights(
    site, image, version, tmp_path
):
    install(site, version, "4ch-drawn")
    exported(tmp_path / "models", view="4ch")

    own = run("predict", image, "--format", "json")
    said = run("predict", image, "--format", "json", "--model", version)

    assert json.loads(own.stdout)[0]["model"] == "phdnet_4ch/1"
    assert len(json.loads(said.stdout)[0]["landmarks"]) == 3
    for result in (own, said):
        assert "weights" not in result.stderr


def test_weights_of_another_view_stand_beside_ones_own(site, image, version, tmp_path):
    install(site, version, "4ch-drawn")
    exported(tmp_path / "models", view="sa")

    result = run("predict", image, "--format", "json")

    # Its orientation tells that it is of four chambers.
    assert json.loads(result.stdout)[0]["model"].startswith("4ch-drawn/1 ")


def test_without_any_model_the_ways_to_one_are_told(site, image):
    result = run("predict", image, code=1)

    assert "models: found no model, and no weights are installed." in result.stderr


def test_models_are_listed_with_source_and_licence(site, version, tmp_path):
    none = run("models", code=1)
    install(site, version, "4ch-drawn")
    listed = run("models").stdout.splitlines()

    assert "found no model" in none.stderr
    assert listed[0].split() == "view model from trained_on landmarks".split()
    assert "4ch-drawn/1" in listed[1]
    assert "drawn-weights 0.3 (CC-BY-NC-SA-4.0)" in listed[1]
    assert "6 drawings" in listed[1] and "lv_apex" in listed[1]


def test_networks_are_made_again_from_what_was_published(trained, version):
    [network] = load_networks(version)

    kept = keras.models.load_model(best_model(trained[1] / "runs/4ch/first"))
    for one, other in zip(network.variables, kept.variables, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.usefixtures("small")
def test_training_goes_on_from_weights_and_keeps_what_they_have_seen(
    site, version, data, tmp_path
):
    install(site, version, "4ch-drawn")
    options = ["train", "--view", "4ch", "--data", data, "--time-limit", "0.05"]

    run(*options, "--test-fold", "3", "--init", "4ch-drawn")

    tuned = tmp_path / "models/phdnet_4ch/1"
    description = json.loads((tuned / "phdnet.json").read_text())
    assert description["training"]["init"] == "4ch-drawn/1"
    # Fold 3 is apart now, and was not then.
    both = load_seen_images(tuned)
    assert load_seen_images(version).keys() <= both.keys() and len(both) == 8
    judged = run(*options, "--validation-fold", "2", "--init", "4ch-drawn", code=1)
    assert "trained on 1 of the 1 images of the validation fold" in judged.stderr
    crossed = run(*options, "--calibrate", "crossfit", "--init", "4ch-drawn", code=1)
    assert "trained on 6 of the 8 images" in crossed.stderr
    turned = [word for name in reversed(VIEWS["4ch"]) for word in ("--landmark", name)]
    others = run(*options, *turned, "--init", "4ch-drawn", code=1)
    assert "expected initial weights for 4ch with lv_apex, mitral" in others.stderr
    missing = run(*options, "--init", "none", code=1)
    assert "--init none: expected the folder of a published model" in missing.stderr
    assert "4ch-drawn" in missing.stderr


@pytest.fixture(scope="module")
def build():
    """The script that packs weights."""
    script = Path(__file__).parents[2] / "weights/build.py"
    spec = importlib.util.spec_from_file_location("build_weights", script)
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    return build


def test_an_incomplete_model_is_not_packed_and_costs_no_weights(
    build, version, tmp_path
):
    shutil.copytree(version, tmp_path / "phdnet_4ch/2")
    (tmp_path / "phdnet_4ch/2/variables/variables.index").unlink()
    earlier = tmp_path / "package/4ch-drawn/1"
    earlier.mkdir(parents=True)

    with pytest.raises(ValueError, match=r"missing or different 'variables/variables"):
        build.take(tmp_path / "phdnet_4ch", "4ch-drawn", tmp_path / "package")

    assert [*earlier.parent.iterdir()] == [earlier]


def test_weights_are_named_as_folders_may_be(build, tmp_path):
    with pytest.raises(ValueError, match=r"^--name: expected letters.*\'sa\.acdc\'\.$"):
        build.take(tmp_path, "sa.acdc", tmp_path)


def test_a_published_model_is_packed_with_its_networks_and_a_card(
    build, version, data, image, tmp_path
):
    build.take(version, "4ch-drawn", tmp_path)
    packed = build.take(version.parent, "4ch-drawn", tmp_path)

    assert [each.name for each in packed.parent.iterdir() if each.is_dir()] == ["2"]
    require_complete(packed)
    network = keras.models.load_model(packed / "networks/001.keras")
    [again] = load_networks(packed)
    for one, other in zip(network.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    card = (packed.parent / "MODEL_CARD.md").read_text()
    assert "6 images of the folds 2, 3, 4, 5, 6, 7" in card
    assert "Kept apart: 1." in card
    assert "On the images that chose weights and thresholds, which flatters:" in card
    assert installed_weights() == []

    # It learnt from drawings, so it promises nothing.
    found = Predictor(packed).predict(read_image(image))
    assert found.model == "4ch-drawn/2 (trained on drawings)"
    for landmark in found.landmarks:
        assert not landmark.high_confidence
        assert landmark.error_radius_mm["50"] > 600
    scored = run("evaluate", "--data", data, "--model", packed, "--details").stdout
    _, _, bins = scored.partition("bin of confidence")
    rows = [line for line in bins.splitlines()[1:] if line]
    # A share of the points, and nothing within a bound.
    assert len(rows) == 15 and {row.count("%") for row in rows} == {1}

    description = load_description(version)
    description["data"] |= {"validation_folds": []}
    crossfit = build.model_card("4ch-drawn", description)
    assert "each predicted by networks that learnt from other folds" in crossfit
    assert "flatters" not in crossfit
