"""Files that nobody should send: pydicom's test files, mutants of real ones, bombs.

And folders of what hospitals have and is easily read wrong without a word.

Each is looked at, predicted and written in every format as `phdnet-tf predict FILE
--output DIR --maps` does it, in one process after the other, and has to give landmarks
or one line that says why not. So has each file that is written of it.

    python benchmarks/speed/hostile.py --model models/phdnet_sa [--mutants 2000]
        [--real FILE ...] [--corpus docs/results/dicom_corpus.md] [--fuzz 20000]
        [--formats png sr ...]
"""

import argparse
import collections
import contextlib
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from phdnet_tf.startup import load_tensorflow

load_tensorflow()

import numpy as np
import pydicom.data
from hypothesis import given, seed, settings
from hypothesis import strategies as st

TESTS = Path(__file__).parents[2] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "dicom")]

from support.edges import edges
from support.hostile import drawn, mutate
from test_hostile import elements, read_or_refuse

from phdnet_tf.cli.outputs import show
from phdnet_tf.dicom.sandbox import Sandbox
from phdnet_tf.dicom.survey import survey
from phdnet_tf.files import OutputFolder
from phdnet_tf.inference.many_images import plan, predict_jobs
from phdnet_tf.inference.predictor import Predictor
from phdnet_tf.outputs.formats import FORMATS, PRINTED
from phdnet_tf.outputs.writer import PredictionWriter

TEST_FILES = Path(pydicom.data.__file__).parent / "test_files"

ENCODINGS = (
    "MR_small.dcm MR_small_bigendian.dcm MR_small_implicit.dcm MR_small_RLE.dcm "
    "MR_small_jp2klossless.dcm MR_small_jpeg_ls_lossless.dcm MR_small_expb.dcm"
).split()


class Tester:
    """Predicts one file after another, and keeps count of time and memory.

    Args:
        predictor: The model.
        sandbox: Reads the files.
        output: Folder for what is written of a file; it is removed for the next.
        formats: What is written.
    """

    def __init__(
        self, predictor: Predictor, sandbox: Sandbox, output: Path, formats: set[str]
    ) -> None:
        """Nothing was tried yet."""
        self.predictor, self.sandbox, self.output = predictor, sandbox, output
        self.formats = formats
        self.slowest = 0.0
        self.reasons: collections.Counter = collections.Counter()
        self.counts = 0, 0
        """Images that were predicted, and files that failed, of what was met last."""

    def outcome(self, path: Path, which: str = "first") -> tuple[str, str]:
        """("predicted", of what), or ("refused", why); anything else is a bug."""
        started = time.monotonic()
        view = self.predictor.view
        # Many of the files tell no spacing, and the question here is another.
        spacing = (1.0, 1.0)
        locators = {view: self.predictor}
        try:
            found = survey([path], self.sandbox)
            planned = plan(found.cines, [view], view, which)
            skipped = [*found.skipped, *planned.skipped]
            refused = [each.reason for each in skipped]
            predictions, finished = [], []
            unwritten = []
            with OutputFolder(self.output, False, print) as output:
                # Hardly one of the files shows a heart, and all has to be written.
                writer = PredictionWriter(
                    *(output, self.formats, self.sandbox, spacing, locators),
                    include_unrecognised=True,
                )
                for _, done in predict_jobs(
                    planned.jobs, locators, self.sandbox, spacing
                ):
                    if done:
                        finished.append(done)
                        predictions += done.predictions
                        refused += [str(error) for _, error in done.errors]
                        unwritten += writer.write(done)
                unwritten += writer.finish(predictions, finished)
            with contextlib.redirect_stdout(io.StringIO()):
                for form in PRINTED:
                    show(predictions, finished, form)
            for line in [*refused, *unwritten, *found.notes]:
                if not line.isprintable():
                    raise ValueError(f"more than a line: {line!r}")
        finally:
            self.slowest = max(self.slowest, time.monotonic() - started)
            shutil.rmtree(self.output, ignore_errors=True)
        failed = len(refused) - sum(not each.failed for each in skipped)
        self.counts = len(predictions), failed
        if predictions:
            frames = sum(len(cine.frames) for cine in found.cines)
            what = f"{len(predictions)} of {frames} frames" if frames > 1 else "1 frame"
            if unwritten:
                reasons = {line.rpartition(" not written: ")[2] for line in unwritten}
                self.reasons.update(reasons)
                what += f"; not all of it is written: {' '.join(sorted(reasons))}"
            return "predicted", what
        reason = refused[0].removeprefix(f"{path}: ").removeprefix(f"{path}/")
        return "refused", reason


class Watch(threading.Thread):
    """Keeps the peak memory of this process and the decoding one, together and apart.

    Of the decoding processes, the killed ones count, too.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        """Has seen nothing yet."""
        super().__init__(daemon=True)
        self.sandbox = sandbox
        self.peak = self.together = 0.0

    def run(self) -> None:
        """Looks twenty times a second."""
        while True:
            # A process that ends now has no file, or one without this line.
            with contextlib.suppress(OSError, KeyError):
                decoding = _memory(self.sandbox.process_id)
                self.peak = max(self.peak, decoding["VmHWM"])
                now = decoding["VmRSS"] + _memory("self")["VmRSS"]
                self.together = max(self.together, now)
            time.sleep(0.05)


def _memory(process: int | str | None) -> dict[str, float]:
    """What /proc tells of a process's memory, in MB, by name."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    parts = [line.split() for line in lines if line.startswith("Vm")]
    return {name.rstrip(":"): int(value) / 1000 for name, value, _ in parts}


def corpus(tester: Tester) -> str:
    """The page of what becomes of each of pydicom's test files."""
    files = sorted(path for path in TEST_FILES.rglob("*") if path.is_file())
    return corpus_page(
        [(path.relative_to(TEST_FILES), *tester.outcome(path)) for path in files],
        pydicom.__version__,
    )


def corpus_page(outcomes: list[tuple[Path, str, str]], version: str) -> str:
    """A page of what becomes of many files, those of one outcome in one row.

    Args:
        outcomes: Of each file its path below the folder, "predicted" or "refused", and
            of what, or why not.
        version: Of pydicom.
    """
    alike: dict[tuple[str, str], list[Path]] = collections.defaultdict(list)
    for path, result, why in outcomes:
        alike[result, why.replace("|", "/")].append(path)
    # The predicted files first, then the most frequent reasons.
    ordered = sorted(alike.items(), key=lambda row: (row[0][0], -len(row[1])))
    counts = collections.Counter(result for _, result, _ in outcomes)
    return "\n".join(
        [
            "# pydicom's test files",
            "",
            "| result | files | of what, or why not | which |",
            "| --- | --- | --- | --- |",
            *(
                f"| {result} | {len(paths)} | {why} | {_listed(paths)} |"
                for (result, why), paths in ordered
            ),
            "",
            f"`phdnet-tf predict` predicts {counts['predicted']} of the "
            f"{len(outcomes)} files and refuses {counts['refused']}. It states a "
            "reason for each file that it refuses, and it never ends in a traceback. "
            "Most refused files are not MR images, or have no pixels. A number after a "
            "folder counts its files.",
            "",
            "## Method",
            "",
            "The files are those in `pydicom/data/test_files` of pydicom "
            f"{version}. The command gives a pixel spacing of 1 mm to files that have "
            "none, and writes landmarks in every format, reports and markups included. "
            "It writes this page:",
            "",
            "```sh",
            "python benchmarks/speed/hostile.py --model models/phdnet_sa "
            "--corpus docs/results/dicom_corpus.md",
            "```",
            "",
        ]
    )


def _listed(paths: list[Path]) -> str:
    """The names of files; of several in a folder below, the folder and their number."""
    folders = collections.Counter(path.parent for path in paths)
    several = [f for f, number in folders.items() if f != Path() and number > 1]
    names = [f"`{path}`" for path in paths if path.parent not in several]
    return ", ".join([*names, *(f"`{f}/` ({folders[f]})" for f in several)])


def mutants(tester: Tester, sources: list[Path], count: int, folder: Path) -> None:
    """Predicts damaged copies, and prints how many gave what."""
    rng = np.random.default_rng(0)
    contents = [path.read_bytes() for path in sources]
    counts: collections.Counter = collections.Counter()
    path = folder / "mutant.dcm"
    for number in range(count):
        kind, content = mutate(contents[number % len(contents)], rng)
        path.write_bytes(content)
        result, _ = tester.outcome(path)
        counts[kind, result] += 1
    for (kind, result), n in sorted(counts.items()):
        print(f"{kind:24} {result:10} {n:5}")
    print(f"{sum(counts.values())} mutants of {len(sources)} files")


def made_bombs(folder: Path) -> list[Path]:
    """Bombs, made by another process: the memory for that is not the prediction's."""
    code = (
        "import pathlib, sys\n"
        "from support.hostile import bombs\n"
        "for path in bombs(pathlib.Path(sys.argv[1])): print(path)"
    )
    made = subprocess.run(
        [sys.executable, "-c", code, folder],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        check=True,
        capture_output=True,
        text=True,
    )
    return [Path(line) for line in made.stdout.splitlines()]


def fuzz(count: int, path: Path) -> None:
    """Reads data sets of elements that hypothesis thinks up, the same every time."""
    contents = st.lists(elements(), max_size=14).map(b"".join)

    @seed(0)
    @settings(max_examples=count, deadline=None, database=None)
    @given(contents)
    def read(content: bytes) -> None:
        read_or_refuse(content, path)

    read()
    print(f"{count} data sets that hypothesis made: each read or refused in a line")


def main() -> None:
    """Runs all of it and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--real", type=Path, nargs="*", default=[])
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--fuzz", type=int, default=0)
    parser.add_argument("--formats", nargs="*", default=FORMATS)
    arguments = parser.parse_args()
    started = time.monotonic()
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        watch = Watch(sandbox)
        watch.start()
        tester = Tester(
            Predictor(arguments.model),
            sandbox,
            folder / "output",
            set(arguments.formats),
        )
        if arguments.corpus:
            arguments.corpus.write_text(corpus(tester))
        sources = [TEST_FILES / name for name in ENCODINGS]
        sources += [drawn(folder), *arguments.real]
        mutants(tester, sources, arguments.mutants, folder)
        for path in made_bombs(folder):
            result, why = tester.outcome(path)
            print(f"{path.name:28} {result:10} {why}")
            path.unlink()
        met = folder / "edges"
        met.mkdir()
        for name, path, expected in edges(met):
            result, why = tester.outcome(path, "all")
            print(f"{name:28} {result:10} {why}")
            if tester.counts != expected:
                raise SystemExit(f"{name}: expected {expected}, got {tester.counts}")
        if arguments.fuzz:
            fuzz(arguments.fuzz, folder / "fuzz.dcm")
    for reason, count in tester.reasons.items():
        print(f"{count} predicted files lack an output: {reason}")
    seconds = time.monotonic() - started
    print(f"slowest file: {tester.slowest:.1f} s; all: {seconds:.0f} s")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(
        f"peak memory: {own:.0f} MB (predicting), {watch.peak:.0f} MB (decoding), at "
        f"one time {watch.together:.0f} MB (looked at every 50 ms)"
    )


if __name__ == "__main__":
    main()
