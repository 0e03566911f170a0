import os
import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from phdnet_tf.cli.dataset import dataset
from phdnet_tf.config import FOLDS
from phdnet_tf.dicom.write import write_image


@pytest.fixture
def folder(tmp_path):
    """Eight subjects; the last of them has two images."""
    lines = ["subject,image,lv_apex_x,lv_apex_y"]
    for number in range(1, FOLDS + 2):
        image = f"{number}.dcm"
        write_image(
            tmp_path / image,
            np.arange(number, number + 320, dtype=np.uint16).reshape(16, 20),
            (1 + number / 10, 1),
            uid_seed="test",
            series_description="drawn",
            patient_id=str(number),
        )
        lines.append(f"s{min(number, FOLDS)},{image},1,2")
    (tmp_path / "landmarks.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def check(*arguments):
    return CliRunner().invoke(dataset, ["check", *map(str, arguments)])


def test_a_good_folder_is_summed_up_in_one_line(folder):
    result = check(folder)

    assert result.exit_code == 0
    assert result.output == (
        "0 errors, 0 warnings; 9 images of 8 subjects; landmarks lv_apex; 16 to 16 "
        "rows; 20 to 20 columns; pixel spacing 1 to 1.9 mm; "
        "folds of 1, 1, 1, 1, 1, 1, 1, 2 images.\n"
    )


def test_warnings_alone_are_no_failure(folder):
    result = check(folder, "--view", "4ch")

    assert result.exit_code == 0
    first, summary = result.output.splitlines()
    assert first.startswith("warning: landmarks.csv (row 1): lacks the columns of")
    assert summary.startswith("0 errors, 1 warning; ")


def test_every_error_has_a_line_and_the_exit_code_is_one(folder):
    (folder / "1.dcm").unlink()
    (folder / "2.dcm").write_text("not an image")

    result = check(folder)

    assert result.exit_code == 1
    one, two, summary = result.output.splitlines()
    assert one.startswith("error: 1.dcm (row 2): no such file")
    assert two.startswith("error: 2.dcm (row 3): not a DICOM file")
    assert summary.startswith("2 errors, 0 warnings; 7 images of 8 subjects")


def test_a_folder_without_table_is_an_error_and_no_traceback(tmp_path):
    result = check(tmp_path)

    assert result.exit_code == 1
    assert re.match(r"error: landmarks\.csv: there is no such table", result.output)
    assert "1 error, 0 warnings; 0 images of 0 subjects" in result.output


def test_the_folds_are_written_on_request(folder):
    result = check(folder, "--write-folds")

    assert result.exit_code == 0
    assert result.output.endswith("landmarks.csv: the column fold now has the folds.\n")
    header, *rows = (folder / "landmarks.csv").read_text().splitlines()
    assert header == "subject,image,lv_apex_x,lv_apex_y,fold"
    # The last of the eight subjects has two images.
    assert [row[-1] for row in rows] == [*"01234567", "7"]
    assert check(folder).output.startswith("0 errors, 0 warnings; 9 images")


def test_no_folds_are_written_where_there_is_an_error(folder):
    (folder / "1.dcm").unlink()
    before = (folder / "landmarks.csv").read_bytes()

    result = check(folder, "--write-folds")

    assert result.exit_code == 1
    assert "no folds were written. Correct the errors first" in result.output
    assert (folder / "landmarks.csv").read_bytes() == before


@pytest.mark.parametrize(
    "arguments", [[], ["nowhere"], [".", "--view", "../sa"], [__file__]]
)
def test_a_slip_in_the_command_is_exit_code_two(arguments):
    result = check(*arguments)

    assert result.exit_code == 2
    assert "Usage:" in result.output


def test_the_command_needs_no_tensorflow(folder):
    program = (
        "import sys; from phdnet_tf.cli.dataset import dataset;"
        f"dataset(['check', {str(folder)!r}], standalone_mode=False);"
        "sys.exit(any('tensorflow' in name for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_output_is_one_line(folder, unbuffered):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from phdnet_tf.cli import main; main()"]
            + ["dataset", "check", str(folder)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )

    assert done.returncode == 1
    assert done.stderr == (
        "Error: standard output cannot be written: No space left on device. "
        "Redirect it elsewhere, or free some disk space.\n"
    )
