"""Whole files, and output folders that are one process's and say what is theirs."""

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from phdnet_tf.files import OutputFolder, cache_folder, unfinished_folder, whole_file


def names(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".phdnet-tf.lock"
    }


def write(folder, *files, overwrite=False, told=None):
    told = [] if told is None else told
    with OutputFolder(folder, overwrite, told.append) as output:
        for name in files:
            with output.whole_file(folder / name) as path:
                path.write_text(name)


def test_a_file_appears_whole_or_stays_what_it_was(tmp_path):
    target = tmp_path / "below" / "a.txt"
    with whole_file(target) as path:
        path.write_text("first")
        assert not target.exists() and path.suffix == ".txt"
    with pytest.raises(RuntimeError), whole_file(target) as path:
        path.write_text("sec")
        raise RuntimeError
    with whole_file(target):
        pass

    assert target.read_text() == "first"
    assert names(tmp_path) == {"below/a.txt"}


def test_two_writers_of_one_kind_do_not_meet(tmp_path):
    with (
        whole_file(tmp_path / "a.png") as one,
        whole_file(tmp_path / "b.png") as two,
        whole_file(tmp_path / "a.png") as three,
    ):
        for number, path in enumerate((one, two, three)):
            path.write_text(str(number))

    # They are renamed in the reverse order.
    assert (tmp_path / "a.png").read_text() == "0"
    assert (tmp_path / "b.png").read_text() == "1"


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_who_may_read_a_file_stays_as_it_was(tmp_path, mode):
    (tmp_path / "a.csv").touch(mode)

    with whole_file(tmp_path / "a.csv") as path:
        path.write_text("new")

    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == mode
    assert (tmp_path / "a.csv").read_text() == "new"


@pytest.mark.parametrize("target", [".", "..", "../here"])
def test_the_folder_that_a_shell_is_in_is_not_replaced(tmp_path, monkeypatch, target):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    with pytest.raises(ValueError, match="is the current folder"):
        with unfinished_folder(Path(target)):
            pass

    assert list(tmp_path.iterdir()) == [tmp_path / "here"]


def test_a_line_that_a_full_disk_cut_off_does_not_spoil_the_next(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    out = tmp_path / "out"
    with OutputFolder(out, False, print) as output:
        with output.whole_file(out / "a.txt") as path:
            path.write_text("a")
        size = (out / "manifest.txt").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                output.whole_file(out / "b.txt")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, ignored)
        with output.whole_file(out / "c.txt") as path:
            path.write_text("c")

    write(out, "c.txt", overwrite=True)

    assert names(out) == {"c.txt", "manifest.txt"}


def test_nothing_unfinished_stays_of_a_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt), unfinished_folder(tmp_path / "a") as partial:
        (partial / "x").write_text("x")
        raise KeyboardInterrupt

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", ["", "relative/path"])
def test_a_cache_that_is_no_absolute_path_counts_as_none(monkeypatch, value):
    monkeypatch.setenv("XDG_CACHE_HOME", value)

    assert cache_folder() == Path.home() / ".cache" / "phdnet_tf"


def test_results_that_are_there_are_not_written_over_unasked(tmp_path):
    write(tmp_path / "out", "a.txt", "b/c.txt")

    with pytest.raises(ValueError, match=r"one with files\. .* --overwrite"):
        write(tmp_path / "out", "d.txt")

    assert names(tmp_path / "out") == {"a.txt", "b/c.txt", "manifest.txt"}


def test_overwriting_removes_what_was_written_before_and_nothing_else(tmp_path):
    write(tmp_path / "out", "a.txt", "b/c.txt", "two\nlines.txt", "# complete")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    (tmp_path / "outside.txt").write_text("outside")
    with (tmp_path / "out" / "manifest.txt").open("a") as manifest:
        manifest.write('"../outside.txt"\n"/etc/hostname"\n"mine"\n')

    write(tmp_path / "out", "d.txt", overwrite=True)

    assert names(tmp_path / "out") == {"d.txt", "mine.txt", "manifest.txt"}
    assert (tmp_path / "outside.txt").read_text() == "outside"


def test_a_folder_with_files_of_others_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(ValueError, match="one with files"):
        write(tmp_path, "a.txt")

    write(tmp_path, "a.txt", overwrite=True)
    assert names(tmp_path) == {"a.txt", "notes.txt", "manifest.txt"}


def test_a_command_that_fails_before_its_first_file_leaves_the_earlier_ones(tmp_path):
    write(tmp_path / "out", "a.txt")
    before = (tmp_path / "out" / "manifest.txt").read_text()

    with pytest.raises(RuntimeError), OutputFolder(tmp_path / "out", True, print):
        raise RuntimeError
    write(tmp_path / "out", overwrite=True)

    assert (tmp_path / "out" / "a.txt").read_text() == "a.txt"
    assert (tmp_path / "out" / "manifest.txt").read_text() == before


def test_a_file_of_somebody_else_is_not_replaced(tmp_path):
    (tmp_path / "a.txt").write_text("mine")

    with pytest.raises(FileExistsError, match="did not write this file"):
        write(tmp_path, "b.txt", "a.txt", overwrite=True)
    told = []
    write(tmp_path, "c.txt", "c.txt", told=told)

    assert "the previous run was stopped" in told[0]
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert names(tmp_path) == {"a.txt", "c.txt", "manifest.txt"}


def test_a_manifest_that_a_full_disk_cut_short_can_be_replaced(tmp_path):
    write(tmp_path, "a.txt")
    whole = (tmp_path / "manifest.txt").read_text()
    (tmp_path / "manifest.txt").write_text(whole.removesuffix("# complete\n") + '"b/c')

    write(tmp_path, "d.txt")

    assert names(tmp_path) == {"d.txt", "manifest.txt"}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("beside", [[], ["notes.txt"]])
def test_a_manifest_of_somebody_else_is_never_touched(tmp_path, overwrite, beside):
    for name in ("manifest.txt", *beside):
        (tmp_path / name).write_text("mine")

    with pytest.raises(
        ValueError, match=r"manifest\.txt: .* another file of that name"
    ):
        write(tmp_path, "a.txt", overwrite=overwrite)

    assert names(tmp_path) == {"manifest.txt", *beside}
    assert (tmp_path / "manifest.txt").read_text() == "mine"


def test_a_run_that_writes_nothing_leaves_the_folder_free(tmp_path):
    with pytest.raises(RuntimeError), OutputFolder(tmp_path, False, print):
        raise RuntimeError

    write(tmp_path, "a.txt")
    assert names(tmp_path) == {"a.txt", "manifest.txt"}


CLAIM = """
import sys, time
from pathlib import Path
from phdnet_tf.files import OutputFolder
folder = Path(sys.argv[1])
with OutputFolder(folder, False, print) as output:
    with output.whole_file(folder / "a.txt") as path:
        path.write_text("a")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_one_processes_at_a_time_and_free_when_it_is_killed(tmp_path):
    command = [sys.executable, "-c", CLAIM, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(ValueError, match="another phdnet-tf is writing to it"):
            write(tmp_path, "b.txt", overwrite=True)
        os.kill(other.pid, signal.SIGKILL)
    told = []

    write(tmp_path, "b.txt", told=told)

    assert "the previous run was stopped while it was writing" in told[0]
    assert names(tmp_path) == {"b.txt", "manifest.txt"}


def full(*names):
    return OSError(errno.ENOSPC, "No space left on device", *names)


@pytest.mark.parametrize("made", [whole_file, unfinished_folder])
def test_an_error_tells_the_target_and_not_its_hidden_name(tmp_path, made):
    target = tmp_path / "target"
    for names in ((), (os.fspath(tmp_path / ".unfinished"),)):
        with pytest.raises(OSError, match="No space left") as error:
            with made(target) as partial:
                raise full(*(str(partial) for _ in names))

        assert error.value.errno == errno.ENOSPC
        assert error.value.filename == str(target)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("made", [whole_file, unfinished_folder])
def test_an_error_of_another_file_stays_what_it_is(tmp_path, made):
    other = FileNotFoundError(errno.ENOENT, "No such file", "other.txt")

    with pytest.raises(FileNotFoundError) as error, made(tmp_path / "target"):
        raise other

    assert error.value is other


@pytest.mark.parametrize("made", [whole_file, unfinished_folder])
def test_a_place_where_nothing_can_be_made_is_told(tmp_path, made):
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "target"

    with pytest.raises(OSError) as error, made(target):
        pass

    assert error.value.filename in (str(target), str(target.parent))
