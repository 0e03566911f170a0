"""Whether jumps are found in drawn tracks, and what other tools say of a real cine.

    python benchmarks/studies/cine_quality.py --model models/phdnet_4ch
        --source bivme_4ch --enhanced enhanced.dcm

The source has a folder DICOM, the phases of one four-chamber slice, and landmarks.csv,
their reference points in pixels. The cine is also written as one Enhanced file, and
both are predicted with `phdnet-tf predict`. Needs dciodvfy (Debian: dicom3tools).
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
from highdicom import sr
from highdicom.spatial import ImageToReferenceTransformer
from results import print_header

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.cines import write_enhanced
from support.tracks import circle

from phdnet_tf.inference.tracks import TOLERANCE_MM, expected_points

PHASES = 25


def drawn_jumps() -> None:
    """Moves phases of a drawn track by 40 mm, at every place, and looks for them."""
    print_header("phases in a row", "found", "false, a cine")
    for length in (1, 2, 3):
        found = false = cines = 0
        for period in (PHASES, None):
            for start in range(PHASES):
                track = circle(PHASES)
                moved = (start + np.arange(length)) % PHASES
                track[moved] += [40, 0]
                beyond = _jumps(track, period) > TOLERANCE_MM
                found += beyond[moved].sum()
                false += beyond.sum() - beyond[moved].sum()
                cines += 1
        print(f"| {length} | {found} of {cines * length} | {false / cines:.2g} |")


def _jumps(track: np.ndarray, period: int | None) -> np.ndarray:
    phases = np.arange(1, len(track) + 1)
    return np.linalg.norm(track - expected_points(track, phases, period), axis=1)


def reference_jumps(table: Path, spacing: tuple[float, float]) -> None:
    """Looks for jumps in reference points, which have none."""
    values = np.genfromtxt(table, delimiter=",", names=True)
    names = [name[:-2] for name in values.dtype.names if name.endswith("_x")]
    jumps = []
    for name in names:
        points = np.stack([values[f"{name}_x"], values[f"{name}_y"]], axis=1)
        # DICOM's spacing is (y, x).
        jumps.append(_jumps(points * spacing[::-1], len(points)))
    print(f"reference points: {np.mean(jumps):.1f} mm, at most {np.max(jumps):.1f} mm")


def predict(path: Path, model: Path, output: Path) -> list[list[dict]]:
    """The landmarks of all phases, from the command; its files are in `output`."""
    command = [Path(sys.executable).with_name("phdnet-tf"), "predict", path]
    command += ["--model", model, "--frames", "all", "--output", output]
    for form in ("json", "tracks", "sr"):
        command += ["--format", form]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    predictions = json.loads((output / "predictions.json").read_text())
    return [each["landmarks"] for each in predictions]


def check_report(report: Path, images: list[Path]) -> None:
    """Prints what dciodvfy says, and how far SCOORD is from SCOORD3D."""
    done = subprocess.run(
        ["dciodvfy", report], capture_output=True, text=True, errors="replace"
    )
    said = (done.stdout + done.stderr).splitlines()
    lines = Counter(line for line in said if line.startswith(("Error", "Warning")))
    print(f"dciodvfy {report.name}: exit code {done.returncode}")
    for line, count in lines.items():
        print(f"  {count} x {line}")
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in images]
    transformers = {
        ds.SOPInstanceUID: ImageToReferenceTransformer(
            ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing
        )
        for ds in headers
    }
    content = sr.srread(report).content
    flat, solid = (
        content.get_planar_roi_measurement_groups(graphic_type=kind.POINT)
        for kind in (sr.GraphicTypeValues, sr.GraphicTypeValues3D)
    )
    distances = []
    for in_image, in_patient in zip(flat, solid, strict=True):
        image = in_image.roi.ContentSequence[0].ReferencedSOPSequence[0]
        transform = transformers[image.ReferencedSOPInstanceUID]
        moved = transform(in_image.roi.value) - in_patient.roi.value
        distances.append(np.linalg.norm(moved))
    print(
        f"{len(flat)} points in the image, {len(solid)} in the patient, at most "
        f"{max(distances):.1e} mm from where highdicom's transformer takes them"
    )


def main() -> None:
    """Runs all of it and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--enhanced", type=Path, help="Keep the Enhanced file here.")
    arguments = parser.parse_args()
    if not shutil.which("dciodvfy"):
        parser.error("expected the program dciodvfy. Install Debian's dicom3tools.")
    drawn_jumps()
    images = sorted((arguments.source / "DICOM").iterdir())
    spacing = pydicom.dcmread(images[0], stop_before_pixels=True).PixelSpacing
    reference_jumps(arguments.source / "landmarks.csv", tuple(map(float, spacing)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        enhanced = arguments.enhanced or folder / "enhanced.dcm"
        write_enhanced(enhanced, images)
        classic = predict(arguments.source / "DICOM", arguments.model, folder / "a")
        same = classic == predict(enhanced, arguments.model, folder / "b")
        print(f"landmarks of the Enhanced file: {'identical' if same else 'OTHERS'}")
        (cine,) = json.loads((folder / "a" / "cines.json").read_text())
        for track in cine["landmarks"]:
            print(f"{track['name']}: consistency {track['consistency']:.2f}")
        check_report(folder / "a" / "DICOM" / "cine-1-sr.dcm", images)
        done = subprocess.run(
            ["dciodvfy", folder / "b" / "cine-1-sr.dcm"], capture_output=True
        )
        print(f"dciodvfy on the report of the Enhanced file: {done.returncode}")


if __name__ == "__main__":
    main()
