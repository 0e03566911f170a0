"""What several images a call gain: time and memory by batch size.

    python benchmarks/speed/images_a_call.py models/phdnet_sa
    TF_NUM_INTRAOP_THREADS=1 python benchmarks/speed/images_a_call.py models/phdnet_sa

Each batch size has a process of its own, so that its peak of memory is its own. The
images are noise of 256 x 216 pixels of 1.5 mm: the work does not depend on what they
show. On a machine with a GPU, that is what is timed.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from phdnet_tf.startup import load_tensorflow

SIZES = (1, 2, 4, 8, 16)
IMAGES = 64


def measure(model: Path, size: int) -> dict[str, float]:
    """Milliseconds, of the clock and of CPU, an image, and the peak of memory, MB."""
    load_tensorflow()
    import tensorflow as tf

    from phdnet_tf.export.saved_model import load_signatures
    from phdnet_tf.export.versions import resolve_version

    locate = load_signatures(resolve_version(model))["serving_default"]
    image = tf.random.uniform([size, 256, 216], seed=0)
    spacing = tf.fill([size, 2], 1.5)
    for _ in range(3):
        locate(image=image, pixel_spacing=spacing)
    started, used = time.perf_counter(), time.process_time()
    for _ in range(IMAGES // size):
        locate(image=image, pixel_spacing=spacing)["landmarks"].numpy()
    return {
        "ms": 1000 * (time.perf_counter() - started) / IMAGES,
        "cpu_ms": 1000 * (time.process_time() - used) / IMAGES,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="a model, or a version")
    parser.add_argument("--size", type=int, help="measure this one, in this process")
    options = parser.parse_args()
    if options.size:
        print(json.dumps(measure(options.model, options.size)))
        return
    print(
        "| images a call | ms an image | CPU ms an image | images a second | peak MB |"
    )
    print("| --- | --- | --- | --- | --- |")
    for size in SIZES:
        command = [sys.executable, __file__, str(options.model), "--size", str(size)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"| {size} | {found['ms']:.1f} | {found['cpu_ms']:.1f} | "
            f"{1000 / found['ms']:.1f} | {found['mb']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
