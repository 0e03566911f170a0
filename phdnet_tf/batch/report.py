"""What came of a batch, as one HTML page without a script, a style sheet or a network.

It holds pictures of patients' hearts and names of files: keep it where the images are.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from phdnet_tf.batch import layout
from phdnet_tf.batch.findings import CONFIDENCE_BIN, RADIUS_BIN, View, gather
from phdnet_tf.batch.index import Index
from phdnet_tf.batch.manifest import Manifest
from phdnet_tf.batch.pictures import histogram, thumbnail
from phdnet_tf.batch.run import Summary, finish, summarise
from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.dicom.sandbox import FileLocation, Sandbox
from phdnet_tf.files import whole_file

MOST_ERRORS = 500
"""All of them are in `errors.parquet`."""

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 64em;
  padding: 0 1em; color: #1c2126; }
table { border-collapse: collapse; } td, th { padding: .15em .8em .15em 0;
  text-align: left; vertical-align: top; overflow-wrap: anywhere; }
td.n { text-align: right; white-space: nowrap; }
.histogram { width: 29em; max-width: 100%; } .histogram rect { fill: #2b7a78; }
.histogram text { font-size: 11px; fill: #444; }
.sheet { display: flex; flex-wrap: wrap; gap: 1em; } figure { margin: 0; width: 200px; }
figcaption { font-size: 12px; overflow-wrap: anywhere; }
figure svg { background: #000; } figure circle { fill: #ff9f1c; }
figure ellipse { stroke: #ff9f1c; stroke-width: .8; }
"""


def write_report(folder: Path, manifest: Manifest) -> Path:
    """Writes the report of what a batch has found by now.

    Args:
        folder: The output folder.
        manifest: That of the folder.

    Returns:
        The page.

    Raises:
        ValueError: If a record is missing or damaged.
        OSError: If a part cannot be read, or the page cannot be written.
    """
    summary = summarise(folder, manifest)
    finish(folder, summary)
    shards = range(len(manifest.shards))
    parts = [layout.part(folder, shard) for shard in shards]
    found = gather([part for part in parts if part.exists()])
    body = [*_head(folder, manifest, summary)]
    for name, view in sorted(found.views.items()):
        body += _view(name, view)
    body += _sheet(folder, manifest, found.least_certain)
    body += _slowest(summary)
    body += _failed(summary)
    target = folder / layout.REPORT
    with whole_file(target) as partial:
        partial.write_text(
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta http-equiv="Content-Security-Policy" content="default-src '
            "'none'; img-src data:; style-src 'unsafe-inline'\">"
            f"<title>Batch {escape(folder.resolve().name)}</title>"
            f"<style>{STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body>"
            "</html>\n",
            encoding="utf-8",
        )
    return target


def _head(folder: Path, manifest: Manifest, summary: Summary) -> Iterator[str]:
    record = summary.record
    yield f"<h1>Batch {escape(folder.resolve().name)}</h1>"
    if summary.missing:
        yield (
            f"<p><strong>{summary.missing} of {summary.shards} shards are not done: "
            "this is of the others.</strong></p>"
        )
    share = _percent(record.images - record.unrecognised, record.images)
    yield (
        f"<p>{record.images} images of {record.studies} studies; {share} recognised; "
        f"{len(record.errors)} files failed. Models: "
        f"{escape(', '.join(model.name for model in manifest.models))}; phdnet-tf "
        f"{escape(manifest.version)}. Not a medical device.</p>"
    )
    counts = [(reason, count) for reason, count in record.reasons.most_common()]
    counts += [
        (f"left out: {reason}", count) for reason, count in record.skipped.most_common()
    ]
    if record.left:
        counts.append(("left out: other phases of cines", record.left))
    yield _table(("what", "series or files"), counts)


def _view(name: str, view: View) -> Iterator[str]:
    yield f"<h2>View {escape(name)}</h2>"
    yield (
        f"<p>{view.images} images, of which {_percent(view.recognised, view.images)} "
        "are recognised.</p>"
    )
    for landmark, of in view.landmarks.items():
        yield f"<h3>{escape(landmark.replace('_', ' '))}</h3>"
        yield f"<p>{_percent(of.high, of.count)} of high confidence.</p>"
        yield histogram(of.radii, RADIUS_BIN, "90 % error radius, mm")
        yield histogram(of.confidence, CONFIDENCE_BIN, "confidence, no unit")


def _sheet(
    folder: Path, manifest: Manifest, images: list[list[dict[str, Any]]]
) -> Iterator[str]:
    yield f"<h2>The {len(images)} least certain images</h2>"
    yield (
        "<p>Those with the largest 90 % error radius of a landmark; the circles show "
        'the radii.</p><div class="sheet">'
    )
    with Index(folder) as index, Sandbox() as sandbox:
        locations = index.locations({rows[0]["image"] for rows in images})
        for rows in images:
            first = rows[0]
            location = locations.get(first["image"])
            picture = _picture(location, first["frame"], rows, manifest, sandbox)
            worst = max(row["radius_90_mm"] for row in rows)
            known = "" if first["recognised"] else ", NOT RECOGNISED"
            yield (
                f"<figure>{picture}<figcaption>{worst:.1f} mm, {escape(first['view'])}"
                f"{known}<br>{escape(first['image'])}, phase {first['phase']}"
                "</figcaption></figure>"
            )
    yield "</div>"


def _picture(
    location: FileLocation | None,
    frame: int,
    rows: list[dict[str, Any]],
    manifest: Manifest,
    sandbox: Sandbox,
) -> str:
    """The image, or in words why there is none."""
    if location is None:
        return "<p>no longer in the index</p>"
    try:
        image = sandbox.image(location, frame, manifest.pixel_spacing)
    except DicomError as error:
        return f"<p>{escape(str(error))}</p>"
    return thumbnail(image, rows)


def _slowest(summary: Summary) -> Iterator[str]:
    yield "<h2>Slowest images</h2>"
    yield "<p>Each with those of its study that were in the same call of the model.</p>"
    rows = [(name, f"{seconds:.2f}") for seconds, name in summary.record.slowest]
    yield _table(("image", "seconds"), rows)


def _failed(summary: Summary) -> Iterator[str]:
    errors = summary.record.errors
    yield f"<h2>{len(errors)} files that failed</h2>"
    if len(errors) > MOST_ERRORS:
        yield f"<p>The first {MOST_ERRORS}; all are in {layout.ERRORS}.</p>"
    lines = "".join(f"<li>{escape(why)}</li>" for _, _, why in errors[:MOST_ERRORS])
    yield f"<ul>{lines}</ul>"


def _table(names: tuple[str, str], rows: list[tuple[str, Any]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = "".join(
        f'<tr><td>{escape(what)}</td><td class="n">{value}</td></tr>'
        for what, value in rows
    )
    return f"<table><tr>{head}</tr>{lines}</table>"


def _percent(part: int, of: int) -> str:
    return f"{100 * part / of:.1f} %" if of else "none"
