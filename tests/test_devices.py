"""What is done with accelerators, of which this machine may have none."""

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from phdnet_tf import devices


def test_a_gpus_memory_is_taken_as_needed(monkeypatch):
    grown = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a", "b"])
    monkeypatch.setattr(
        tf.config.experimental,
        "set_memory_growth",
        lambda gpu, grows: grown.append((gpu, grows)),
    )

    devices.take_memory_as_needed()

    assert grown == [("a", True), ("b", True)]


def test_a_program_that_uses_the_gpu_already_keeps_its_own_choice(monkeypatch):
    def begun(gpu, grows):
        raise RuntimeError("Physical devices cannot be modified after initialization")

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", begun)

    devices.take_memory_as_needed()


def test_one_device_needs_no_strategy():
    assert devices.training_strategy().num_replicas_in_sync == 1


TWO_DEVICES = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import numpy as np
import tensorflow as tf
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
from support.drawn import examples
from support.training import settings
from phdnet_tf.training import loop

both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert both.num_replicas_in_sync == 2
loop.training_strategy = lambda: both
run = Path({run!r})
config = settings(epochs=2)
def interrupt(progress):
    if (progress.epoch, progress.step) == (1, 1):
        raise KeyboardInterrupt
first = loop.train(
    config, examples(4), examples(2, 1), run, on_progress=interrupt
)
assert first.ended_by == "interrupt"
second = loop.train(config, examples(4), examples(2, 1), run)
assert (second.epochs, second.ended_by) == (2, "epochs")
assert all(np.isfinite(w).all() for w in second.model.get_weights())
print("losses", first.validation_loss, second.validation_loss)
"""


@pytest.mark.slow
def test_several_devices_train_one_network_and_write_it_once(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    code = TWO_DEVICES.format(tests=str(Path(__file__).parent), run=str(run))

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert "losses" in done.stdout
    assert len(list(run.glob("best-*.keras"))) == 1
    assert len((run / "log.csv").read_text().splitlines()) == 3
