"""How fast the package is, as ratios of one run: `make benchmark`.

Absolute times depend on the machine and on what else it does; what is compared takes
turns within one process. Run it on an otherwise idle machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from phdnet_tf.startup import load_tensorflow

load_tensorflow()

import tensorflow as tf
from untrained import CONFIG, VIEW, export_untrained

from phdnet_tf.datasets.annotated import open_dataset
from phdnet_tf.export.graph import ServedGraph
from phdnet_tf.export.saved_model import load_signatures
from phdnet_tf.models.build import build_network
from phdnet_tf.phantom.folder import write_folder
from phdnet_tf.presets import USUAL_ORIENTATIONS, VIEWS, make_config
from phdnet_tf.training import input_pipeline
from phdnet_tf.training.kept import Kept
from phdnet_tf.training.loop import compile_model


def seconds(call: Callable[[], object]) -> float:
    """Time that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def in_turns(
    one: Callable[[], object], two: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Median times of two calls that take turns, after one call of each."""
    one(), two()
    times = [(seconds(one), seconds(two)) for _ in range(rounds)]
    return tuple(statistics.median(column) for column in zip(*times, strict=True))


def training_steps(data: Path | None, rounds: int) -> dict[str, float]:
    """Training steps on the real pipeline and on one cached batch."""
    source = open_dataset(data, VIEW)
    folds = list(range(2, 8))
    batches = input_pipeline.training_batches(
        Kept(
            input_pipeline.normalised(
                source.examples(folds, CONFIG.model.landmarks),
                USUAL_ORIENTATIONS[CONFIG.view],
            )
        ),
        CONFIG.model,
        CONFIG.crops,
        CONFIG.training.batch_size,
        seed=0,
    )
    model = compile_model(CONFIG, 1000)
    model.make_train_function()
    real = iter(batches)
    cached = iter(tf.data.Dataset.from_tensors(next(real)).cache().repeat())

    def steps(iterator: object) -> Callable[[], None]:
        def run() -> None:
            for _ in range(20):
                logs = model.train_function(iterator)
            float(logs["loss"])  # waits for the last step

        return run

    slow, fast = in_turns(steps(real), steps(cached), rounds)
    return {"real_s": slow / 20, "cached_s": fast / 20, "speed_ratio": fast / slow}


def exported_graph(folder: Path, rounds: int) -> dict[str, float]:
    """The exported graph against the bare network, 512 x 512, three landmarks."""
    model, version = export_untrained(folder)
    locate = load_signatures(version)["serving_default"]
    image = tf.random.uniform([1, 512, 512], seed=0)
    spacing = tf.constant([[0.9375, 0.9375]])
    bare = tf.function(lambda x: model(x, training=False))

    slow, fast = in_turns(
        lambda: locate(image=image, pixel_spacing=spacing)["landmarks"].numpy(),
        lambda: bare(image[..., None])["heatmap"].numpy(),
        rounds,
    )
    return {"exported_s": slow, "network_s": fast, "latency_ratio": slow / fast}


def answers(rounds: int) -> dict[str, float]:
    """One image of 256 x 216 pixels of 1.5 mm: the default against the paper's network.

    The default as it looks once, as it looks again, and as an ensemble of two.
    """
    image = tf.random.uniform([1, 256, 216], seed=0)
    spacing = tf.constant([[1.5, 1.5]])

    def answer(
        preset: str, strategy: str | None = None, members: int = 1
    ) -> Callable[[], object]:
        config = make_config(preset, VIEW, VIEWS[VIEW], strategy=strategy)
        networks = [build_network(config.model) for _ in range(members)]
        served = ServedGraph(networks, config, [0.0] * 3)
        return lambda: served.locate(image, spacing)["landmarks"].numpy()

    paper = answer("phdnet-small")
    once, reference = in_turns(answer("default", "weighted"), paper, rounds)
    thrice, again = in_turns(answer("default"), paper, rounds)
    both, beside = in_turns(answer("default", members=2), paper, rounds)
    return {
        "paper_s": reference,
        "one_look_s": once,
        "default_s": thrice,
        "two_members_s": both,
        "one_look_ratio": once / reference,
        "default_ratio": thrice / again,
        "two_members_ratio": both / beside,
    }


def help_text(rounds: int) -> dict[str, float]:
    """`phdnet-tf --help`, from start to end of the process."""
    command = [Path(sys.executable).with_name("phdnet-tf"), "--help"]
    times = [
        seconds(lambda: subprocess.run(command, check=True, capture_output=True))
        for _ in range(rounds)
    ]
    return {"help_s": statistics.median(times)}


def prediction_memory(folder: Path) -> dict[str, float]:
    """Peak memory of predicting 30 and 300 files, pictures included."""
    write_folder(folder / "images", VIEW, 300, seed=5)
    _, version = export_untrained(folder / "models")
    files = sorted((folder / "images").rglob("*.dcm"))
    peaks = {}
    for number in (30, 300):
        # Not getrusage, whose peak starts at that of the process that started this one.
        code = (
            "import sys\n"
            "from phdnet_tf.cli import main\n"
            "try: main(sys.argv[1:])\n"
            "except SystemExit: print(*(line.split()[1] for line in "
            "open('/proc/self/status') if line.startswith('VmHWM')), file=sys.stderr)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "predict", *files[:number]]
            + ["--model", version, "--output", folder / f"out{number}"],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks[number] = int(done.stderr.splitlines()[-1]) / 1024
    return {
        "peak_30_mb": peaks[30],
        "peak_300_mb": peaks[300],
        "memory_ratio": peaks[300] / peaks[30],
    }


def main() -> None:
    """Prints every figure, and as JSON at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="ASPIRE-style folder; default: phantom"
    )
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, result in (
            # Before training, which makes every operation deterministic, and slower.
            ("answers", answers(5 * arguments.rounds)),
            ("training", training_steps(arguments.data, arguments.rounds)),
            ("exported graph", exported_graph(Path(folder), 5 * arguments.rounds)),
            ("help", help_text(arguments.rounds)),
            ("memory", prediction_memory(Path(folder))),
        ):
            print(f"{name}: " + ", ".join(f"{k} {v:.3f}" for k, v in result.items()))
            figures |= result
    print(json.dumps({"cores": len(os.sched_getaffinity(0)), **figures}))


if __name__ == "__main__":
    main()
