import pytest
from support.browser import browser, copied, drawn_project, serving
from support.review import HASH

from phdnet_tf.review.project import Project


@pytest.fixture
def project(tmp_path):
    """Three images of 100 x 80 pixels of 1.25 x 1.5 mm, predicted, without a file."""
    project = Project(tmp_path / "project", create=True)
    project.choose_landmarks("4ch", ["apex", "base"])
    number = project.choose_model("phdnet_4ch/1", "sums", tmp_path)
    with project.store.writing() as connection:
        connection.execute("INSERT INTO subjects (key) VALUES ('one')")
        for image in (1, 2, 3):
            connection.execute(
                "INSERT INTO images (path, member, frame, frames, subject, cine, "
                "phase, queued, content_hash, height, width, spacing_y, spacing_x, "
                "low, high, position, orientation) VALUES "
                "(?, '', 1, 1, 1, ?, 1, 1, ?, 80, 100, 1.5, 1.25, 0, 900, "
                "'null', 'null')",
                (f"{image}.dcm", image, HASH),
            )
            for name, place, r90 in (("apex", 30, 4.0), ("base", 60, 8.0)):
                connection.execute(
                    "INSERT INTO predictions VALUES "
                    "(?, ?, ?, ?, ?, 1.5, 1, ?, ?, ?, NULL, 1)",
                    (image, number, name, place, place, r90 / 2, r90 + image, r90 * 2),
                )
    return project


chromium = pytest.fixture(scope="module")(browser)


@pytest.fixture
def context(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    yield context
    context.close()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    project = drawn_project(tmp_path_factory.mktemp("drawn"), images=12)
    project.store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return project


@pytest.fixture
def drawn_copy(drawn, tmp_path):
    return copied(drawn, tmp_path / "project")


@pytest.fixture
def server(drawn_copy):
    with serving(drawn_copy) as server:
        yield server
