"""Reports and predictions as tables of plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phdnet_tf.batch import Done
    from phdnet_tf.inference import Prediction


def align(rows: list[list[str]], left: int = 1) -> str:
    """Rows as lines with aligned columns, the first `left` columns to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def report_table(report: dict[str, Any]) -> str:
    """What `evaluation.report` returned, for reading. Errors are in mm."""
    rows = [
        "points n mean sd median p90 <=2mm <=4mm <=6mm <=10mm >20mm share".split(),
    ]
    for name, groups in report["landmarks"].items():
        for group, label in (("all", name), ("high_confidence", "  high confidence")):
            rows.append(_row(label, groups[group]))
    for strategy, summary in report["strategies"].items():
        rows.append(_row(f"{strategy} strategy", summary))
    images = report["high_confidence_images"]
    return (
        f"{align(rows)}\n"
        f"{report['images']} images of {report['subjects']} subjects; every landmark "
        f"is high confidence in {images:.1%} of them. Point errors in mm."
    )


def _row(label: str, summary: dict[str, Any]) -> list[str]:
    millimetres = ("mean", "std", "median", "p90")
    shares = ("sdr_2", "sdr_4", "sdr_6", "sdr_10", "beyond_20", "share")
    return [
        label,
        str(summary["points"]),
        *(_format(summary[name], "{:.2f}") for name in millimetres),
        *(_format(summary.get(name), "{:.1%}") for name in shares),
    ]


def _format(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


PREDICTION_HEADER = ["image", "landmark", "x", "y", "confidence", ""]


def prediction_rows(prediction: Prediction) -> list[list[str]]:
    """The landmarks of an image, a row each."""
    return [
        [
            prediction.image,
            landmark.name,
            f"{landmark.x:.1f}",
            f"{landmark.y:.1f}",
            f"{landmark.confidence:.2f}",
            "high" if landmark.high_confidence else "LOW: check by hand",
        ]
        for landmark in prediction.landmarks
    ]


TRACK_HEADER = (
    "cine landmark phases excursion rms_jump largest_jump jump_phases low_confidence"
).split()


def track_rows(done: Done) -> list[list[str]]:
    """The landmarks of a cine, a row each; distances are in mm."""
    from phdnet_tf.dicom_guards import printable

    rows = []
    name = printable(str(done.job.frames[0].file.name))
    for number, track in enumerate(done.tracks):
        summary = track.summary()
        low = [not each.landmarks[number].high_confidence for each in done.predictions]
        rows.append(
            [
                f"{done.job.number} ({name})",
                track.name,
                str(summary["phases"]),
                f"{summary['excursion_mm']:.1f}",
                f"{summary['rms_jump_mm']:.1f}",
                f"{summary['largest_jump_mm']:.1f}",
                ",".join(map(str, summary["jump_phases"])) or "-",
                f"{sum(low)} of {len(low)}",
            ]
        )
    return rows
