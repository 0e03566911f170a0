import pytest

from phdnet_tf.export.seen_images import load_seen_images, write_seen_images


def test_what_was_seen_is_read_as_it_was_written(tmp_path):
    seen = {"b" * 64: "training", "a" * 64: "validation"}

    write_seen_images(tmp_path, seen)

    assert load_seen_images(tmp_path) == seen
    lines = (tmp_path / "seen_images.csv").read_text().splitlines()
    assert lines[0] == "content_hash,use" and lines[1].startswith("aaa")


def test_a_model_that_does_not_tell_what_it_has_seen_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"seen_images\.csv, .* Export it again"):
        load_seen_images(tmp_path)
