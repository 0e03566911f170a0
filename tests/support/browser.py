"""Drawn reviews, their server, and a browser that looks at them."""

import io
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from phdnet_tf.dicom.write import write_image
from phdnet_tf.review.filling import Progress, fill
from phdnet_tf.review.project import Project
from phdnet_tf.review.server import ReviewServer
from phdnet_tf.review.trail import Lane
from support.cines import oblique

HEIGHT, WIDTH, SPACING = 160, 200, (1.5, 1.25)
"""Of drawn images, pixels and (y, x) in mm."""

SPOT = (120, 70)
"""(x, y) of the one bright pixel."""

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser")


def chromium() -> str | None:
    """The browser, where there is one."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def drawn_project(
    folder: Path, images: int, phases: int = 1, shape=(HEIGHT, WIDTH), model=True
) -> Project:
    """A project of drawn images, each with one bright pixel, and predictions."""
    (folder / "images").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(80, 120, shape).astype(np.uint16)
    # For the usual window to leave the rest dark.
    pixels[100:120, 60:90] = 4000
    for number in range(images):
        spot = pixels.copy()
        spot[SPOT[1], SPOT[0]] = 4000
        spot[0, 0] = number
        for phase in range(phases):
            spot[0, 1] = phase
            write_image(
                folder / "images" / f"image_{number:05d}_{phase:02d}.dcm",
                spot,
                SPACING,
                uid_seed="review",
                series_description=f"drawn {number}",
                patient_id=f"Secret {number % 5}",
                orientation=oblique(),
                position=(0.0, 0.0, 10.0 * number),
            )
    project = Project(folder / "project", create=True)
    project.choose_landmarks("4ch", ["lv_apex", "mitral_valve"])
    project.set("inputs", [str(folder / "images")])
    fill(project, "all", None, None, None, Progress(), lambda *found: None)
    if model:
        predict(project)
    return project


def copied(project: Project, folder: Path) -> Project:
    """A project of its own of the same images, which takes no time to read."""
    folder.mkdir(parents=True)
    shutil.copy(project.store.path, folder)
    return Project(folder)


def predict(project: Project) -> None:
    """Stores predictions, the first image's the least certain."""
    number = project.choose_model("phdnet_4ch/1", "sums", project.folder)
    rows = project.store.rows("SELECT id FROM images ORDER BY id")
    with project.store.writing() as connection:
        for row in rows:
            radius = 10.0 + (len(rows) - row["id"]) / len(rows)
            for name, (x, y) in (("lv_apex", SPOT), ("mitral_valve", (80, 90))):
                wide = radius if name == "lv_apex" else 5.0
                connection.execute(
                    "INSERT INTO predictions VALUES "
                    "(?, ?, ?, ?, ?, 1.5, 1, ?, ?, ?, NULL, 1)",
                    (row["id"], number, name, x, y, wide / 2, wide, wide * 2),
                )


ADA = Lane("reader", "Ada")


@contextmanager
def serving(project: Project, lane: Lane = ADA, **options):
    """The running server of a project."""
    with ReviewServer(project, lane, Progress(what=""), **options) as server:
        yield server


def browser():
    """Chromium, driven by Playwright; the tests that need it are skipped without."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = chromium()
    if program is None:
        pytest.skip("no Chromium (Debian: chromium-headless-shell) is installed")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program)
        yield running
        running.close()


def poll(condition, seconds=8.0):
    """Waits until something is true: Playwright's own wait breaks on the policy."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.01)
    return found


def painted(page) -> int:
    """Number of the image that is painted, or 0."""
    return int(page.get_attribute("#stage", "data-painted") or 0)


def open_page(context, address, image=None):
    """A tab that has painted its first image."""
    page = context.new_page()
    page.goto(address)
    poll(lambda: painted(page) if image is None else painted(page) == image)
    return page


def stored(page):
    """Waits until everything is stored."""
    poll(lambda: page.inner_text("#stored") == "stored")


def drag(page, start, to):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + to[0]) / 2, (start[1] + to[1]) / 2, steps=3)
    page.mouse.move(*to)
    page.mouse.up()


def place(page, landmark="lv_apex"):
    """Where a marker is on the screen: (x, y), CSS pixels of the page."""
    text = page.get_attribute(f".mark[data-landmark={landmark}]", "transform")
    x, y = map(float, text.removeprefix("translate(").rstrip(")").split())
    box = page.locator("#stage").bounding_box()
    return box["x"] + x, box["y"] + y


def state(project, image, landmark, reader="Ada"):
    """What is stored of a point, or None."""
    row = project.store.row(
        "SELECT * FROM state WHERE image = ? AND landmark = ? AND reader = ?",
        *(image, landmark, reader),
    )
    return None if row is None else dict(row)


def centroid(png: bytes, x: float, y: float, reach: float, ratio: float):
    """The middle of what is bright around a place of a screenshot, in CSS pixels."""
    grey = np.asarray(Image.open(io.BytesIO(png)).convert("L"), float)
    rows, columns = np.mgrid[: grey.shape[0], : grey.shape[1]]
    # The middle of the first pixel of the screen is half of one from its edge.
    X, Y = (columns + 0.5) / ratio, (rows + 0.5) / ratio
    near = (abs(X - x) < reach) & (abs(Y - y) < reach)
    weight = np.where(near, np.clip(grey - 20, 0, None), 0)
    return (weight * X).sum() / weight.sum(), (weight * Y).sum() / weight.sum()
