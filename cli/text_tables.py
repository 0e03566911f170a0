"""Reports and predictions as tables of plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phdnet_tf.inference.many_images import Done
    from phdnet_tf.inference.results import Prediction


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


def error_table(report: dict[str, Any]) -> str:
    """All errors of what `summary.evaluation_figures` returned, in mm."""
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
        f"Every landmark is high confidence in {images:.1%} of the images."
    )


def summary(report: dict[str, Any]) -> str:
    """What `summary.evaluation_figures` returned, on less than a screen; in mm."""
    radii, rankings = report["confidence"]["radii"], report["confidence"]["rankings"]
    rows = [
        ["landmark", "points", "mean ± sd", "median", ">10mm", ">20mm"]
        + ["high confidence", "90% radius", "holds"]
    ]
    for name, groups in report["landmarks"].items():
        every = groups["all"]
        [radius] = [each for each in radii.get(name, ()) if each["level"] == 0.9] or [
            {}
        ]
        spread = (
            f"{_format(every['mean'], '{:.2f}')} ± {_format(every['std'], '{:.2f}')}"
        )
        near = every["sdr_10"]
        rows.append(
            [
                name,
                str(every["points"]),
                spread,
                _format(every["median"], "{:.2f}"),
                _format(None if near is None else 1 - near, "{:.1%}"),
                _format(every["beyond_20"], "{:.1%}"),
                _format(groups["high_confidence"]["share"], "{:.0%}"),
                _format(radius.get("median_mm"), "{:.1f}") or "none",
                _format(radius.get("coverage"), "{:.0%}"),
            ]
        )
    lines = [
        align(rows),
        f"{report['images']} images of {report['subjects']} subjects, "
        f"{report['recognised']:.1%} of them recognised. Errors and radii in mm.",
    ]
    areas = [
        f"{area:.2f} by {name.replace('_', ' ')}"
        for name, groups in rankings.items()
        if (area := groups["macro"]["auroc_10"]) is not None
    ]
    if areas:
        lines.append(f"AUROC for errors beyond 10 mm: {', '.join(areas)}.")
    for each in radii["overall"]:
        if each["promised"] < 1:
            lines.append(
                f"No {each['level']:.0%} radius is known for "
                f"{1 - each['promised']:.0%} of the points."
            )
    return "\n".join(lines)


ALL_LANDMARKS = {"macro": "mean of landmarks", "pooled": "all points"}


def confidence_table(report: dict[str, Any]) -> str:
    """What `summary.confidence_figures` returned, for reading. In mm."""
    ranked = [["order of trust", "AURC", "AUROC >10mm", ">10mm", "mean of 56%"]]
    for name, groups in report["rankings"].items():
        for group, values in groups.items():
            of = ALL_LANDMARKS.get(group, group)
            ranked.append(
                [
                    f"{name.replace('_', ' ')}, {of}",
                    _format(values["aurc"], "{:.2f}"),
                    _format(values["auroc_10"], "{:.3f}"),
                    _format(values["beyond_10"], "{:g}"),
                    _format(values["mean_at_56"], "{:.2f}"),
                ]
            )
    covered = [["error radius", "should hold", "holds", "95% interval", "median"]]
    for name, levels in report["radii"].items():
        for each in levels:
            low, high = each["interval"] or (None, None)
            covered.append(
                [
                    name,
                    f"{each['level']:.0%}",
                    _format(each["coverage"], "{:.1%}") or "none promised",
                    f"{_format(low, '{:.1%}')} to {_format(high, '{:.1%}')}",
                    _format(each["median_mm"], "{:.1f}"),
                ]
            )
    binned = [["bin of confidence", "points", "mean error", "bound", "within bound"]]
    for name, bins in report["bins"].items():
        for number, each in enumerate(bins, 1):
            binned.append(
                [
                    f"{name} {number}",
                    f"{each['share']:.1%}",
                    _format(each["mean_mm"], "{:.2f}"),
                    _format(each["bound_mm"], "{:.2f}"),
                    _format(each["within_bound"], "{:.1%}"),
                ]
            )
    return "\n\n".join(align(rows) for rows in (ranked, covered, binned))


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


PREDICTION_HEADER = ["image", "landmark", "x", "y", "90% within", "confidence", ""]


def prediction_rows(prediction: Prediction) -> list[list[str]]:
    """The landmarks of an image, a row each."""
    # Frames of one file have one name.
    frame = prediction.origin.get("frame")
    name = prediction.image if frame is None else f"{prediction.image} frame {frame}"
    return [
        [
            name,
            landmark.name,
            f"{landmark.x:.1f}",
            f"{landmark.y:.1f}",
            f"{landmark.error_radius_mm['90']:.1f} mm",
            f"{landmark.confidence:.2f}",
            _verdict(landmark.high_confidence, prediction),
        ]
        for landmark in prediction.landmarks
    ]


def _verdict(high_confidence: bool, prediction: Prediction) -> str:
    if not prediction.recognised:
        return f"NOT RECOGNISED as {prediction.view}"
    return "high" if high_confidence else "LOW: check by hand"


TRACK_HEADER = (
    "cine landmark phases excursion rms_jump largest_jump jump_phases low_confidence "
    "not_recognised"
).split()


def track_rows(done: Done) -> list[list[str]]:
    """The landmarks of a cine, a row each; distances are in mm."""
    from phdnet_tf.dicom.errors import printable

    rows = []
    name = printable(str(done.job.frames[0].file.name))
    strange = sum(not prediction.recognised for prediction in done.predictions)
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
                f"{strange} of {len(low)} as {done.job.view}" if strange else "-",
            ]
        )
    return rows
