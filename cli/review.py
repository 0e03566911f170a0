"""`phdnet-tf review`: a human corrects the points that the model is unsure of."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phdnet_tf.cli import options
from phdnet_tf.cli.review_results import export, stats

if TYPE_CHECKING:
    from phdnet_tf.dicom.survey import Survey
    from phdnet_tf.inference.many_images import Plan
    from phdnet_tf.inference.results import Locator
    from phdnet_tf.review.filling import Progress
    from phdnet_tf.review.project import Project

PROJECT = click.Path(file_okay=False, path_type=Path)


@click.group()
def review() -> None:
    """Correct landmarks by hand, the least certain first, and train on the result.

    Annotate or review in the browser, export a folder, then train on it.
    """


@review.command("open")
@click.argument(
    "images",
    metavar="[IMAGE]...",
    nargs=-1,
    type=click.Path(exists=True, path_type=Path),
)
@click.option(
    "--project",
    "folder",
    required=True,
    type=PROJECT,
    help="Folder that stores the whole review. Without IMAGE, the stored review opens.",
)
@options.view
@options.model
@options.models
@click.option(
    "--landmark",
    "landmarks",
    multiple=True,
    metavar="NAME",
    help="Annotate this landmark without a model. Repeat it for further landmarks.",
)
@options.frames(" to review")
@click.option(
    "--reader",
    help="Your name. Readers do not see each other's points. Default: the last "
    "reader's name, or your user name.",
)
@click.option(
    "--decide",
    is_flag=True,
    help="Show the points of all readers, and decide where they disagree.",
)
@options.spacing_of_bare_files
@click.option(
    "--show-identity", is_flag=True, help="Show the patients' identity on the page."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port of the page. Default: the same as last time.",
)
@click.option(
    "--browser/--no-browser", default=True, help="Open the page in a browser."
)
def open_(
    images: tuple[Path, ...],
    folder: Path,
    view: str | None,
    model: Path | None,
    models: Path,
    landmarks: tuple[str, ...],
    which: str | int | None,
    reader: str | None,
    decide: bool,
    pixel_spacing: tuple[float, float] | None,
    show_identity: bool,
    port: int | None,
    browser: bool,
) -> None:
    """Review IMAGE: DICOM files, folders, zip archives, DICOMDIRs.

    Opens a page on this machine, and predicts in the background. Every change is stored
    at once. Ctrl-C stops the page; the same command opens it again.
    """
    _require_extra()
    from phdnet_tf.review.filling import Progress
    from phdnet_tf.review.project import Project
    from phdnet_tf.review.server import ReviewServer
    from phdnet_tf.review.trail import Lane

    with options.plain_errors():
        project = Project(folder, create=bool(images))
        path = _settle(project, images, view, model, models, landmarks, which)
        name = reader or project.setting("reader") or _user()
        project.set("reader", name)
        progress = Progress(what="")
        load = _loader(path) if path else None
        filling = _filling(project, load, pixel_spacing, progress)
        lane = Lane("judge" if decide else "reader", name)
        with ReviewServer(
            project, lane, progress, port, pixel_spacing, show_identity, load
        ) as server:
            click.echo(f"Reader: {name}\n{server.address}\nCtrl-C stops.")
            if browser:
                click.launch(server.address)
            _run(filling, progress)


def _settle(
    project: Project,
    images: tuple[Path, ...],
    view: str | None,
    model: Path | None,
    models: Path,
    landmarks: tuple[str, ...],
    which: str | int | None,
) -> Path | None:
    """Stores the project's images, landmarks and model; returns the model's version.

    Raises:
        ValueError: If the project has other landmarks, or the model cannot be used.
    """
    from phdnet_tf.review.models import describe

    inputs = project.setting("inputs") or []
    more = [str(path.resolve()) for path in images]
    if which is not None and which != project.setting("which"):
        project.set("which", which)
        project.set("filled", None)
    if landmarks:
        if model:
            raise click.UsageError(
                "--landmark annotates without a model. Drop --model or --landmark."
            )
        project.choose_landmarks(view or "", landmarks)
        project.set("model", None)
    elif model or not project.landmarks or (view and images):
        found = describe(options.find_model(model, models, view))
        if view not in (None, found.view):
            raise click.UsageError(
                f"{found.name} is a model of the view {found.view}, not of {view}."
            )
        project.choose_landmarks(found.view, found.landmarks)
        number = project.choose_model(found.name, found.checksums, found.version)
        project.set("forced_view", bool(view or model))
        if project.setting("filled") != number:
            project.set("filled", None)
    if set(more) - set(inputs):
        project.set("inputs", list(dict.fromkeys([*inputs, *more])))
        project.set("filled", None)
    row = project.store.row("SELECT path FROM models WHERE id = ?", project.model)
    return Path(row["path"]) if row else None


def _loader(path: Path) -> Callable[[], Locator]:
    """A function that returns the model. It loads it once, and is safe in threads."""
    turn = threading.Lock()
    loaded: list[Locator] = []

    def load() -> Locator:
        with turn:
            if not loaded:
                from phdnet_tf.startup import load_tensorflow

                load_tensorflow()
                from phdnet_tf.inference.predictor import Predictor

                loaded.append(Predictor(path))
        return loaded[0]

    return load


def _filling(
    project: Project,
    load: Callable[[], Locator] | None,
    pixel_spacing: tuple[float, float] | None,
    progress: Progress,
) -> threading.Thread | None:
    """The thread that finds, reads and predicts the images; None if all are done."""
    from phdnet_tf.review.filling import fill

    key: Any = project.model if load else "read"
    if project.setting("filled") == key:
        return None
    progress.what = "reading headers"

    def work() -> None:
        try:
            fill(
                *(project, project.setting("which"), pixel_spacing),
                load,
                project.view if project.setting("forced_view") else None,
                *(progress, _tell),
            )
            # What is not there now, such as a drive, is looked for the next time.
            if all(Path(each).exists() for each in project.setting("inputs") or []):
                project.set("filled", key)
        except (OSError, ValueError) as error:
            click.echo(f"Error: {error}", err=True)
            progress.what = ""

    # It holds nothing that is not stored, so it may be killed at any moment.
    return threading.Thread(target=work, daemon=True)


def _tell(found: Survey, planned: Plan | None) -> None:
    from phdnet_tf.cli import outputs

    skipped = [*found.skipped, *(planned.skipped if planned else ())]
    reasons = planned.reasons if planned else {}
    outputs.summarise(skipped, reasons, planned.left if planned else 0, found.notes)
    for each in skipped:
        if each.failed:
            click.echo(each.reason, err=True)


def _run(filling: threading.Thread | None, progress: Progress) -> None:
    """Shows the progress of the filling, and waits for Ctrl-C or SIGTERM."""
    from phdnet_tf.cli.progress_bars import counting

    try:
        if filling:
            filling.start()
            while filling.is_alive() and progress.of is None:
                filling.join(0.2)
            if progress.of:
                with counting("images", progress.of) as advance:
                    shown = 0
                    while filling.is_alive():
                        filling.join(0.2)
                        for _ in range(progress.done - shown):
                            advance()
                        shown = progress.done
            filling.join()
        threading.Event().wait()
    except KeyboardInterrupt:
        click.echo("Stopped. Everything is stored.", err=True)


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "reader"


def _require_extra() -> None:
    from importlib.util import find_spec

    missing = [
        name for name in ("jinja2", "starlette", "uvicorn") if not find_spec(name)
    ]
    if missing:
        raise click.ClickException(
            f"the review page needs {', '.join(missing)}. Install them with "
            "'pip install phdnet-tf[review]'."
        )


for command in (export, stats):
    review.add_command(command)
