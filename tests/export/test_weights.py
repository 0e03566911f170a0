"""Weights that are installed as distributions of their own."""

import shutil

import pytest
from support.drawn import exported
from support.weights import install

from phdnet_tf.export.weights import installed_weights

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path / "site")
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def test_weights_of_any_distribution_are_found_with_source_and_licence(site, tmp_path):
    version = exported(tmp_path / "models")
    theirs = install(site, version)
    other = install(site, version, "4ch-phantom", "other-weights")

    first, second = installed_weights()

    assert (first.name, first.view, first.version) == ("sa-drawn", "sa", theirs)
    assert first.source == "drawn-weights 0.3"
    assert first.licence == "CC-BY-NC-SA-4.0"
    assert second.version == other and second.source == "other-weights 0.3"


def test_where_there_are_none_there_are_none(site):
    assert installed_weights() == []


def test_an_entry_point_without_its_package_is_named(site, tmp_path):
    install(site, exported(tmp_path / "models"))
    shutil.rmtree(site / "drawn_weights")

    with pytest.raises(ValueError, match="drawn_weights. Found none: install the"):
        installed_weights()
