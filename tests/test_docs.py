"""The examples of docs/serving.md, run as they stand, but for the addresses."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from phdnet_tf.dicom.write import write_image

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[1] / "docs" / "serving.md"
BLOCKS = re.findall(r"^```(python|sh|json)\n(.*?)^```", PAGE.read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    write_image(
        folder / "image.dcm",
        np.random.default_rng(0).integers(0, 900, (80, 100)).astype("uint16"),
        (1.5, 1.25),
        uid_seed="t",
        series_description="drawn",
        patient_id="drawn",
    )
    return folder


def shape(value):
    """What has to be the same, whatever the model: keys, nesting and types."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    if isinstance(value, list):
        return [shape(value[0])]
    return type(value)


def test_every_example_runs_and_answers_as_the_page_says(server, folder, monkeypatch):
    monkeypatch.chdir(folder)
    answers = []
    compared = 0
    for language, text in BLOCKS:
        text = text.replace("http://localhost:8501", server.rest)
        text = text.replace("grpc://localhost:8500", server.grpc)
        text = text.replace("localhost:8500", server.grpc.split("//")[1])
        if language == "json":
            said = json.loads(text)
            assert shape(said) == shape(answers.pop(0))
            answers.clear()
            compared += 1
            continue
        if language == "python":
            # Here, for another process would load TensorFlow for each of them.
            exec(compile(text, PAGE.name, "exec"), {"__name__": "example"})
            continue
        tools = Path(sys.executable).parent
        text = text.replace("phdnet-tf", str(tools / "phdnet-tf"))
        command = ["bash", "-euc", text.replace("curl ", "curl -sS ")]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, (text, done.stderr[-2000:])
        if "curl" in text:
            answers = list(decoded(done.stdout))
    assert compared == 4 and shutil.which("curl")


def decoded(text):
    """The JSON documents that several calls of curl print one after the other."""
    decoder = json.JSONDecoder()
    while text.strip():
        value, end = decoder.raw_decode(text.strip())
        yield value
        text = text.strip()[end:]


def test_the_refusal_that_the_page_quotes_is_the_real_one(server, tmp_path):
    [said] = [b for language, b in BLOCKS if language == "json" and '"error"' in b]
    asked = {"instances": [{"image": [[1, 2], [3, 4]], "pixel_spacing": [1, 1]}]}
    done = subprocess.run(
        ["curl", "-sS", "--data", json.dumps(asked)]
        + [f"{server.rest}/v1/models/phdnet_sa:predict"],
        capture_output=True,
    )

    assert json.loads(done.stdout) == json.loads(said)
