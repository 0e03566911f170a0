import errno
import os

import pytest

from phdnet_tf.files import unfinished_folder, whole_file


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
