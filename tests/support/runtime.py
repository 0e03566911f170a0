"""Runs an exported model in TensorFlow's C++ runtime, in a process without Python.

It is what TF Serving runs models with; its own server is on no package registry.
"""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

SOURCE = Path(__file__).parent / "c" / "run_saved_model.c"
OUTPUTS = ("landmarks", "confidence", "high_confidence")


def build(folder: Path) -> Path:
    """Compiles the program against the TensorFlow wheel."""
    if not shutil.which("gcc"):
        pytest.skip("no C compiler: gcc is not installed")
    wheel = Path(tf.__file__).parent
    program = folder / "run_saved_model"
    subprocess.run(
        ["gcc", "-O1", "-Wall", "-Werror", SOURCE, "-o", program]
        + [f"-I{wheel / 'include'}", f"-L{wheel}", f"-Wl,-rpath,{wheel}"]
        + ["-Wl,--no-as-needed", "-l:libtensorflow_cc.so.2"]
        + ["-l:libtensorflow_framework.so.2"],
        check=True,
    )
    return program


class Runtime:
    """The program with a model."""

    def __init__(self, program: Path, version: Path, scratch: Path):
        self.program, self.version, self.scratch = program, version, scratch
        saved = saved_model_pb2.SavedModel.FromString(
            (version / "saved_model.pb").read_bytes()
        )
        self.signatures = saved.meta_graphs[0].signature_def

    def run(self, requests):
        """(signature, inputs) each -> outputs each."""
        done, sizes = self._run(requests)
        if done.returncode:
            raise RuntimeError(done.stderr.decode()[-2000:])
        return list(_parse(done.stdout, sizes))

    def refusals(self, requests):
        """What the runtime says of each of requests that all have to fail."""
        done, sizes = self._run(requests)
        said = re.findall(r"^\d+: .*", done.stderr.decode(), re.MULTILINE)
        assert len(said) == len(sizes) and not done.stdout, said
        return said

    def _run(self, requests):
        job, sizes = [], []
        for number, (signature, inputs) in enumerate(requests):
            spec = self.signatures[signature]
            for name, value in inputs.items():
                file = self.scratch / f"{number}_{name}"
                tensor = spec.inputs[name].name.replace(":", " ")
                if isinstance(value, bytes):
                    file.write_bytes(value)
                    job.append(f"string {tensor} {file}")
                else:
                    value = np.asarray(value, np.float32)
                    file.write_bytes(value.tobytes())
                    shape = " ".join(map(str, (value.ndim, *value.shape)))
                    job.append(f"float {tensor} {file} {shape}")
            for name in OUTPUTS:
                job.append("fetch " + spec.outputs[name].name.replace(":", " "))
            job.append("run")
            landmarks = spec.outputs["landmarks"].tensor_shape.dim[1].size
            sizes.append((len(inputs["pixel_spacing"]), landmarks))
        done = subprocess.run(
            [self.program, self.version],
            input="\n".join(job).encode(),
            capture_output=True,
            timeout=300,
        )
        return done, sizes


def _parse(data, sizes):
    for batch, landmarks in sizes:
        count = batch * landmarks
        floats = np.frombuffer(data, np.float32, 3 * count)
        flags = np.frombuffer(data, bool, count, offset=12 * count)
        data = data[13 * count :]
        yield {
            "landmarks": floats[: 2 * count].reshape(batch, landmarks, 2),
            "confidence": floats[2 * count :].reshape(batch, landmarks),
            "high_confidence": flags.reshape(batch, landmarks),
        }
    assert not data
