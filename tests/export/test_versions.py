import pytest
from support.drawn import LANDMARKS, export_anew

from phdnet_tf.export import description, versions


@pytest.mark.slow
def test_versions_count_up_and_nothing_unfinished_is_left(tmp_path):
    first, second = export_anew(tmp_path), export_anew(tmp_path)

    (first.parent / "20261122193000123456").mkdir()  # more than 64 bits hold
    (first.parent / "003").mkdir()  # which would be looked for as 3
    assert versions.versions(first.parent) == [1, 2]
    (first.parent / "003").rmdir()
    (first.parent / "20261122193000123456").rmdir()
    assert (first.name, second.name) == ("1", "2")
    assert sorted(entry.name for entry in first.parent.iterdir()) == ["1", "2"]
    assert versions.resolve_version(first.parent) == second
    assert versions.resolve_version(first) == first
    assert description.load_description(first)["landmarks"] == list(LANDMARKS)


def test_a_folder_without_a_model_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(ValueError, match="phdnet-tf train"):
        versions.resolve_version(tmp_path)
    with pytest.raises(ValueError, match=r"phdnet\.json"):
        description.load_description(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"view": "sa"}', r"has a view and landmarks\. Received no landmarks\."),
        ("[]", r"Received no view and no landmarks\."),
        ('{"view": ', "with phdnet.json. Received: "),
    ],
)
def test_a_damaged_description_is_refused(tmp_path, content, message):
    (tmp_path / "phdnet.json").write_text(content)

    with pytest.raises(ValueError, match=message):
        description.load_description(tmp_path)
