"""A view that is not built in, from its table to a server: its name is all it needs."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from support.cines import edit
from support.command import run
from support.drawn import exported
from support.training import shrink

from phdnet_tf.client.client import Client, connect
from phdnet_tf.dicom.read import read_image
from phdnet_tf.export.versions import model_folders
from phdnet_tf.inference.errors import NotServedError
from phdnet_tf.inference.predictor import Predictor
from phdnet_tf.phantom.folder import write_folder
from phdnet_tf.server.app import Server, ServerConfig

pytestmark = pytest.mark.slow

VIEW = "2ch"
LANDMARKS = ["anterior_mitral_hinge", "inferior_mitral_hinge", "apex"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Drawn images with landmarks that no built-in view has, said to be of another."""
    folder = tmp_path_factory.mktemp("data") / "two_chamber"
    write_folder(folder, "4ch", 8, 3)
    for image in folder.rglob("*.dcm"):
        edit(image, SeriesDescription="cine 2CH")
    table = folder / "landmarks.csv"
    with table.open(newline="") as file:
        header, *rows = csv.reader(file)
    columns = [f"{name}_{axis}" for name in LANDMARKS for axis in "xy"]
    others = [name for name in header if not name.endswith(("_x", "_y"))]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([[*others, *columns], *rows])
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, "phdnet-small", filters=(8, 8, 8))
        run(
            *("train", "--view", VIEW, "--data", data, "--test-fold", 1),
            *("--models", folder / "models", "--runs", folder / "runs"),
            *("--preset", "phdnet-small", "--time-limit", 0.02),
        )
    return folder / "models"


def test_training_publishes_the_view_under_its_name(trained):
    predictor = Predictor(trained / f"phdnet_{VIEW}")

    assert (predictor.view, list(predictor.landmarks)) == (VIEW, LANDMARKS)


def test_its_data_have_no_problem(data):
    assert "0 warnings" in run("dataset", "check", data, "--view", VIEW).output
    # The same table is not one of a built-in view.
    assert LANDMARKS[0] in run("dataset", "check", data).output
    assert "lacks the columns" in run("dataset", "check", data, "--view", "4ch").output


def test_prediction_and_evaluation_find_its_model(trained, data):
    image = next(data.rglob("*.dcm"))

    told = run("predict", image, "--models", trained, "--format", "json")
    scored = run("evaluate", "--data", data, "--view", VIEW, "--models", trained)

    [prediction] = json.loads(told.stdout)
    assert prediction["view"] == VIEW
    assert [landmark["name"] for landmark in prediction["landmarks"]] == LANDMARKS
    assert f"phdnet_{VIEW}/1 on two_chamber" in scored.output
    assert "1 images of 1 subjects" in scored.output


def test_a_server_and_its_client_find_its_model(trained, data):
    image = read_image(next(data.rglob("*.dcm")))
    here = Predictor(trained / f"phdnet_{VIEW}").predict(image)

    with Server(ServerConfig(trained, rest_port=0, grpc_port=0)) as server:
        for address in (server.rest, server.grpc):
            with Client(address, view=VIEW) as client:
                assert client.predict(image) == here
        with pytest.raises(NotServedError, match="--view for another view"):
            connect(server.rest)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Models of two networks of one view, and one network of another."""
    models = tmp_path_factory.mktemp("several")
    # Which network it is does not matter here, but for the name.
    exported(models, view="sa")
    shutil.copytree(models / "phdnet_sa", models / "unet_sa")
    exported(models, view="rvot")
    (models / "phdnet_rvot").rename(models / "hourglass_rvot")
    (models / "phdnet_empty").mkdir()
    (models / "notes").mkdir()
    return models


def test_the_models_of_every_network_are_found(several):
    assert model_folders(several) == {
        "rvot": [several / "hourglass_rvot"],
        "sa": [several / "phdnet_sa", several / "unet_sa"],
    }
    assert model_folders(several / "missing") == {}


def test_where_a_view_has_two_networks_the_one_taken_is_named(several, data):
    image = next(data.rglob("*.dcm"))
    arguments = ["predict", image, "--models", several, "--format", "json"]

    default = run(*arguments, "--view", "sa")
    other = run(*arguments, "--view", "rvot")

    assert json.loads(default.stdout)[0]["model"] == "phdnet_sa/1"
    assert "uses phdnet_sa. For another" in default.stderr
    assert str(several / "unet_sa") in default.stderr
    assert json.loads(other.stdout)[0]["model"] == "hourglass_rvot/1"
    assert "For another" not in other.stderr


def test_a_server_is_asked_for_the_models_of_every_network(several):
    with Server(ServerConfig(several, rest_port=0, grpc_port=0)) as server:
        assert [client.name for client in connect(server.rest).values()] == [
            "phdnet_sa/1"
        ]
        assert connect(server.grpc, view="rvot")["rvot"].name == "hourglass_rvot/1"


@pytest.mark.parametrize("view", ["", "two chamber", "../sa", "-x", "ä", "a/b", ".."])
def test_what_cannot_name_a_folder_names_no_view(view):
    refused = run("train", f"--view={view}", code=2).output

    assert "letters, digits" in refused


def test_no_phantom_is_drawn_of_another_view(tmp_path):
    folders = ["--models", tmp_path / "models", "--runs", tmp_path / "runs"]

    refused = run("train", "--view", VIEW, *folders, code=1)

    assert (
        "only sa and 4ch have a phantom. Give the folder with --data" in refused.output
    )
    assert not list(Path(tmp_path).iterdir())
