"""`phdnet-tf models`: the models that there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from phdnet_tf.cli import options
from phdnet_tf.cli.text_tables import align


@click.command("models")
@options.models
def list_models(models: Path) -> None:
    """List the models that `predict` and `evaluate` can take, and what they are for.

    Of one view, the folder's come before those that are installed as weights, and the
    first that is listed is taken.
    """
    from phdnet_tf.export.description import load_description
    from phdnet_tf.export.versions import model_folders, resolve_version
    from phdnet_tf.export.weights import installed_weights

    found: list[tuple[str, Path, str]] = []
    with options.plain_errors():
        for view, folders in model_folders(models).items():
            found += [(view, resolve_version(each), str(models)) for each in folders]
        for each in installed_weights():
            found.append((each.view, each.version, f"{each.source} ({each.licence})"))
        if not found:
            raise click.ClickException(options.no_model(models, None))
        rows = ["view model from trained_on landmarks".split()]
        for view, version, source in found:
            description = load_description(version)
            name = f"{version.parent.name}/{version.name}"
            rows.append(
                [view, name, source, _data(description)]
                + [", ".join(description["landmarks"])]
            )
    click.echo(align(rows, left=len(rows[0])))


def _data(description: dict[str, Any]) -> str:
    try:
        data = description["data"]
        kind = "drawings" if data["drawn"] else "images"
        return f"{data['name']}, {data['images']['training']} {kind}"
    except (KeyError, TypeError):  # Of another version, which may say it otherwise.
        return "unknown"
