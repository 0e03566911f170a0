import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from support.cines import edit, write_cine
from support.hostile import BOMBS

from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.read import DicomFile, read_image
from phdnet_tf.dicom.sandbox import FileLocation, Sandbox
from phdnet_tf.dicom.sandbox_folder import remove_leftovers
from phdnet_tf.dicom.sandbox_process import SandboxProcess
from phdnet_tf.dicom.write import write_image


@pytest.fixture
def cine(tmp_path):
    return write_cine(tmp_path / "cine")


def test_another_process_reads_the_same(sandbox, cine):
    image, here = sandbox.image(FileLocation(cine[2])), read_image(cine[2])

    np.testing.assert_array_equal(image.pixels, here.pixels)
    assert image.pixels.dtype == np.float32 and image.pixels.flags.writeable
    assert image.pixel_spacing == here.pixel_spacing
    assert image.position == here.position
    assert image.orientation == here.orientation
    assert sandbox.header(FileLocation(cine[2])) == DicomFile(cine[2]).header()
    assert sandbox.identity(FileLocation(cine[2])) == DicomFile(cine[2]).identity()
    assert sandbox.process_id != os.getpid()


def test_an_error_is_the_same_line_as_here(sandbox, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello")

    with pytest.raises(DicomError) as there:
        sandbox.image(FileLocation(path))
    with pytest.raises(DicomError) as here:
        read_image(path)

    assert str(there.value) == str(here.value)


def test_a_file_that_changes_is_read_again(sandbox, cine):
    before = sandbox.image(FileLocation(cine[0]))
    cine[0].write_bytes(cine[1].read_bytes())

    assert (sandbox.image(FileLocation(cine[0])).pixels != before.pixels).any()


@pytest.mark.parametrize("met", [0, 1, 3])
def test_a_file_is_not_blamed_for_what_ended_the_process_before(cine, met):
    with Sandbox() as sandbox:
        for path in cine[:met]:
            sandbox.header(FileLocation(path))
        first = sandbox.process_id
        os.kill(first, signal.SIGKILL)

        for path in cine:
            assert sandbox.image(FileLocation(path)).pixels.shape == (80, 100)
        assert sandbox.process_id != first


def test_a_file_that_ends_the_process_is_blamed_and_the_next_is_read(tmp_path, cine):
    archive = tmp_path / "evil.zip"
    BOMBS["dictionary.zip"](archive)
    with Sandbox() as sandbox:
        sandbox.header(FileLocation(cine[0]))
        with pytest.raises(DicomError, match=r"zip/a\.dcm: it crashes the decoder"):
            sandbox.header(FileLocation(archive, "a.dcm"))

        assert sandbox.image(FileLocation(cine[1])).pixels.shape == (80, 100)


def test_a_file_that_takes_too_long_is_left(tmp_path, cine):
    slow = tmp_path / "slow.dcm"
    BOMBS["items.dcm"](slow)
    with Sandbox(seconds=2) as sandbox:
        sandbox.header(FileLocation(cine[0]))  # It is up.
        with pytest.raises(DicomError, match="slow.dcm: reading it takes longer"):
            sandbox.header(FileLocation(slow))

        assert sandbox.image(FileLocation(cine[1])).pixels.shape == (80, 100)


def test_a_file_that_takes_too_much_memory_is_left(tmp_path, cine):
    large = tmp_path / "large.dcm"
    write_image(
        large,
        np.ones((2048, 2048), "uint16"),
        (1, 1),
        uid_seed="l",
        series_description="l",
        patient_id="l",
    )
    with Sandbox(memory=12 << 20) as sandbox:
        first = sandbox.process_id
        with pytest.raises(DicomError, match=r"large\.dcm: .*memory"):
            sandbox.image(FileLocation(large))

        assert sandbox.image(FileLocation(cine[1])).pixels.shape == (80, 100)
        # What such a file left of the memory is not for others.
        assert sandbox.process_id != first


def test_what_is_no_dicom_does_not_seem_to_take_too_much_memory(sandbox):
    """Read as DICOM, this begins with an element of gigabytes."""
    path = Path(get_testdata_file("crayons.icc", download=False))

    with pytest.raises(DicomError, match=r"crayons\.icc: not a DICOM file"):
        sandbox.header(FileLocation(path))


def test_images_come_in_order_with_errors_in_their_place(sandbox, cine, tmp_path):
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"bad")
    files = [*cine, bad, *reversed(cine)]

    found = list(
        sandbox.images((n, FileLocation(path), 1) for n, path in enumerate(files))
    )

    assert [n for n, _ in found] == list(range(13))
    for (_, image), path in zip(found, files, strict=True):
        if path == bad:
            assert isinstance(image, DicomError)
        else:
            np.testing.assert_array_equal(image.pixels, read_image(path).pixels)


def test_only_a_few_images_are_decoded_ahead(sandbox, cine):
    asked = []

    def wanted():
        for number in range(100):
            asked.append(number)
            yield number, FileLocation(cine[number % 6]), 1

    images = sandbox.images(wanted())
    next(images)
    assert len(asked) < 10
    images.close()


def test_a_file_of_an_archive_is_read_as_if_it_were_there(sandbox, cine, tmp_path):
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(cine[0], "a/one.dcm")
        file.writestr("bad.dcm", b"\x08\0bad")

    assert [name for name, _ in sandbox.members(archive)] == ["a/one.dcm", "bad.dcm"]
    image = sandbox.image(FileLocation(archive, "a/one.dcm"))
    np.testing.assert_array_equal(image.pixels, read_image(cine[0]).pixels)
    with pytest.raises(DicomError, match=r"study\.zip/bad\.dcm: not a DICOM file"):
        sandbox.image(FileLocation(archive, "bad.dcm"))


def test_a_damaged_file_in_an_archive_spares_the_others(sandbox, cine, tmp_path):
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for number, path in enumerate(cine):
            file.write(path, f"{number}.dcm")
        file.writestr("folder/", "")
        file.writestr("nameless", cine[0].read_bytes())
        at = [info.header_offset for info in file.infolist()]
    # A name ends at its first zero, and this one before it begins.
    content = bytearray(archive.read_bytes().replace(b"nameless", b"\0ameless"))
    content[at[1]] = 0  # no signature
    content[at[2] + 6] |= 1  # encrypted: the flags, in both directories
    entries = [n for n in range(len(content)) if content[n:].startswith(b"PK\x01\x02")]
    content[entries[2] + 8] |= 1
    content[entries[3] + 10] = 9  # Deflate64, as Windows packs large files
    archive.write_bytes(content)

    starts = dict(sandbox.members(archive))

    assert [name for name in starts if starts[name] is None] == [
        "1.dcm",
        "2.dcm",
        "3.dcm",
    ]
    for number in (0, 4, 5):
        image = sandbox.image(FileLocation(archive, f"{number}.dcm"))
        np.testing.assert_array_equal(image.pixels, read_image(cine[number]).pixels)
    for name, reason in (("1", "magic"), ("2", "encrypted"), ("3", "compression")):
        line = rf"study\.zip/{name}\.dcm: cannot be extracted from .*{reason}"
        with pytest.raises(DicomError, match=line):
            sandbox.header(FileLocation(archive, f"{name}.dcm"))


def test_the_directory_of_an_archive_is_read_once(cine, tmp_path, monkeypatch):
    archive = tmp_path / "study.zip"

    def pack(paths):
        with zipfile.ZipFile(archive, "w") as file:
            for number, path in enumerate(paths):
                file.write(path, f"{number}.dcm")

    read = []

    class Counted(zipfile.ZipFile):
        def _RealGetContents(self):
            read.append(self.filename)
            super()._RealGetContents()

    pack(cine)
    (tmp_path / "worker").mkdir()
    worker = SandboxProcess(tmp_path / "worker")
    monkeypatch.setattr(zipfile, "ZipFile", Counted)

    def ask(what, member):
        request = {"what": what, "path": str(archive), "member": member}
        return worker.answer(request)[0]

    ask("members", None)
    headers = [ask("header", f"{number}.dcm") for number in range(6)]

    assert [header["instance_number"] for header in headers] == [1, 2, 3, 4, 5, 6]
    assert read == [str(archive)]
    archive.unlink()
    pack(cine[::-1])
    assert ask("header", "0.dcm")["instance_number"] == 6
    archive.unlink()
    line = ask("header", "0.dcm")["error"]
    assert line.startswith(f"{archive}/0.dcm: not readable as a zip archive: ")


def test_a_damaged_archive_is_one_line(sandbox, tmp_path):
    archive = tmp_path / "study.zip"
    archive.write_bytes(b"PK\x03\x04 and nothing else")

    with pytest.raises(DicomError, match=r"study\.zip: not readable as a zip archive"):
        sandbox.members(archive)


def test_nothing_is_left_behind(cine, tmp_path):
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(cine[0], "one.dcm")
    sandbox = Sandbox()
    sandbox.image(FileLocation(archive, "one.dcm"))
    folder, process = sandbox._folder.name, sandbox.process_id
    assert os.listdir(folder)

    sandbox.close()

    assert not os.path.exists(folder)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


# A file of a patient is copied out of its archive; then the process may get stuck.
PATIENT = """
import pathlib, sys, threading, time
from phdnet_tf.dicom.sandbox import FileLocation, Sandbox

sandbox = Sandbox(seconds=100)
sandbox.image(FileLocation(pathlib.Path(sys.argv[1]), "one.dcm"))
if len(sys.argv) > 2:
    stuck = FileLocation(pathlib.Path(sys.argv[2]))
    threading.Thread(target=sandbox.header, args=(stuck,), daemon=True).start()
    time.sleep(1)
print(sandbox._folder.name, sandbox.process_id, flush=True)
time.sleep(100)
"""


def until(true, seconds=20):
    """Waits until something is true, and says whether it was."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


def has_ended(process):
    """Whether a process is gone; one that nobody waited for is."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return True
    return text.rpartition(")")[2].split()[0] == "Z"


@contextlib.contextmanager
def with_a_patient(cine, tmp_path, *stuck):
    """The folder of another process's sandbox, that process, and the sandbox's."""
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(cine[0], "one.dcm")
    command = [sys.executable, "-c", PATIENT, str(archive), *map(str, stuck)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        folder, worker = process.stdout.readline().split()
        assert os.listdir(folder)
        yield folder, process, int(worker)


# SIGKILL to both leaves nobody to remove anything.
@pytest.mark.parametrize(
    ("number", "also_the_worker"),
    [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGKILL, False)],
)
def test_nothing_is_left_behind_by_a_process_that_is_killed(
    cine, tmp_path, number, also_the_worker
):
    with with_a_patient(cine, tmp_path) as (folder, process, worker):
        if also_the_worker:
            os.kill(worker, number)
        process.send_signal(number)

    assert until(lambda: not os.path.exists(folder))


@pytest.mark.parametrize("stuck", ["pipe", "items.dcm"])
def test_a_process_that_is_stuck_ends_with_the_one_that_asks(cine, tmp_path, stuck):
    """In a read that never ends, and in one that takes many seconds."""
    path = tmp_path / stuck
    if stuck == "pipe":
        os.mkfifo(path)
    else:
        BOMBS[stuck](path)
    with with_a_patient(cine, tmp_path, path) as (folder, process, worker):
        assert not has_ended(worker)
        process.kill()

    assert until(lambda: has_ended(worker), 3)
    assert not os.path.exists(folder)


# It looks for a match for hours, and meanwhile no other thread of its process runs.
ENDLESS = """
import re
from phdnet_tf.dicom import sandbox_process

sandbox_process.SandboxProcess.answer = lambda *_: re.match("(a+)+$", "a" * 60 + "b")
sandbox_process.main()
"""


def test_a_decoder_that_lets_nothing_else_run_ends_all_the_same(tmp_path):
    ours, other = Pipe()
    arguments = [str(other.fileno()), str(1 << 30), "2", str(tmp_path)]
    command = [sys.executable, "-c", ENDLESS, *arguments]
    with subprocess.Popen(command, pass_fds=[other.fileno()]) as process:
        other.close()
        assert ours.recv_bytes() == b"ready"
        ours.send_bytes(b"{}")
        time.sleep(1)
        ours.close()

        assert process.wait(20) == -signal.SIGALRM


def test_what_was_left_behind_is_removed_at_the_next_start(cine, tmp_path, monkeypatch):
    # Another worker of these tests would remove it, too.
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("TMPDIR", str(own))
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    with with_a_patient(cine, tmp_path) as (left, process, worker):
        os.kill(worker, signal.SIGSTOP)  # It can remove nothing,
        os.kill(process.pid, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)  # and never could.
    assert until(lambda: has_ended(worker)) and os.listdir(left)

    with Sandbox() as sandbox:
        assert not os.path.exists(left)
        with Sandbox():
            # What is in use is not removed.
            assert os.path.isdir(sandbox._folder.name)
            with_archive = FileLocation(tmp_path / "study.zip", "one.dcm")
            assert sandbox.image(with_archive).pixels.shape == (80, 100)


def test_of_folders_only_those_of_sandboxes_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    for folder in (elsewhere, tmp_path / "other-1", tmp_path / "phdnet-tf-sandbox-1"):
        folder.mkdir()
        (folder / "a.dcm").write_bytes(b"a")
    (tmp_path / "phdnet-tf-sandbox-2").symlink_to(elsewhere)
    (tmp_path / "phdnet-tf-sandbox-3").write_bytes(b"a file")

    remove_leftovers()

    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [
        "elsewhere",
        "other-1",
        "phdnet-tf-sandbox-2",
        "phdnet-tf-sandbox-3",
    ]
    assert (elsewhere / "a.dcm").exists()


def test_a_system_that_cannot_do_it_is_told_so_in_a_line(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        with pytest.raises(OSError, match="Run phdnet-tf on Linux") as error:
            Sandbox()

    assert str(error.value).isprintable()


def test_to_close_it_waits_for_no_answer(tmp_path):
    os.mkfifo(tmp_path / "endless")  # Nobody writes into it.
    sandbox = Sandbox(seconds=100)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(sandbox.header, FileLocation(tmp_path / "endless"))
        with pytest.raises(TimeoutError):
            asked.result(3)
        started = time.monotonic()

        sandbox.close()

        assert time.monotonic() - started < 10
        with pytest.raises(RuntimeError, match="closed"):
            asked.result()
    assert sandbox.process_id is None


def test_a_closed_decoder_starts_nothing(cine):
    sandbox = Sandbox()
    sandbox.close()

    with pytest.raises(RuntimeError, match="closed"):
        sandbox.header(FileLocation(cine[0]))
    assert sandbox.process_id is None


def test_a_module_of_the_users_folder_is_not_run(cine, tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)

    with Sandbox() as sandbox:
        assert sandbox.image(FileLocation(cine[0])).pixels.shape == (80, 100)


def test_the_identity_is_that_of_the_pixels(sandbox, cine, tmp_path):
    path = FileLocation(cine[0])
    token = sandbox.image(path).token
    assert sandbox.identity(path, token) == sandbox.identity(path)
    moved = tmp_path / "moved.dcm"
    moved.write_bytes(cine[0].read_bytes())
    assert sandbox.identity(FileLocation(moved), token) == sandbox.identity(path)

    # The next examination, saved under the same name.
    edit(cine[0], PatientName="Another^One")

    line = r"phase_01\.dcm: the file has changed since its pixels were read"
    with pytest.raises(DicomError, match=line):
        sandbox.identity(path, token)
    assert sandbox.identity(path, sandbox.image(path).token)


@pytest.mark.parametrize("what", ["pixels", "uid", "member"])
def test_any_change_of_identity_or_pixels_is_one(sandbox, cine, tmp_path, what):
    def pack(path):
        with zipfile.ZipFile(archive, "w") as file:
            file.write(path, "one.dcm")

    archive = tmp_path / "study.zip"
    pack(cine[0])
    source = (
        FileLocation(archive, "one.dcm")
        if what == "member"
        else (FileLocation(cine[0]))
    )
    token = sandbox.image(source).token
    if what == "pixels":
        edit(cine[0], PixelData=bytes(2 * 80 * 100))
    elif what == "uid":
        edit(cine[0], SOPInstanceUID="1.2.3")
    else:
        archive.unlink()
        pack(cine[1])

    with pytest.raises(DicomError, match="the file has changed"):
        sandbox.identity(source, token)


def test_a_token_tells_nothing_of_the_patient(sandbox, cine):
    edit(cine[0], PatientName="Roentgen", PatientID="1895")

    token = sandbox.image(FileLocation(cine[0])).token

    assert len(token) == 64 and int(token, 16)


def test_identity_has_no_control_codes(sandbox, cine):
    edit(cine[0], PatientName="Marked\x1b[31m^Name")

    assert sandbox.identity(FileLocation(cine[0]))["PatientName"] == "Marked[31m^Name"
