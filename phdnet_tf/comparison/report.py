"""The report of a benchmark, for reading."""

from typing import Any

from phdnet_tf.comparison.systems import SYSTEMS
from phdnet_tf.evaluation.metrics import SDR_RADII


def markdown(report: dict[str, Any]) -> str:
    """The report of a benchmark, for reading.

    Args:
        report: What `compare` returns, with "costs", the results of
            `cross_validation.train_and_test`, "protocol", sentences that say how it was
            measured, "command" and "versions".
    """
    share = report["high_confidence_share"]
    subset = "high confidence" if share is None else f"high confidence ({share:.0%})"
    lines = [
        f"# {report['title']}",
        "",
        *report["protocol"],
        "",
        "Point errors are in mm, with their standard deviation and the 95 % bootstrap "
        "interval of the mean, by subject. *Difference* is how much larger the mean is "
        "than PHD-Net's, on the same points.",
        "",
        *_table_1(report["table_1"]),
        "## Table 2: systems",
        "",
        "*High confidence* rows count only the images in which PHD-Net calls every "
        "landmark high confidence. The percentage is their share of the points.",
        "",
    ]
    rows = []
    for row in report["table_2"]:
        label = SYSTEMS[row["system"]].label
        rows.append([label, "all", *_row(row["all"])])
        if "high_confidence" in row:
            rows.append(["", subset, *_row(row["high_confidence"])])
    lines += [
        *_table(["system", "images", *_COLUMNS], rows),
        "",
        "![Cumulative error curves](error_curves.png)",
        "",
        "## Costs",
        "",
        *_table(
            ["system", "fold", "parameters", "training, min", "steps", "ended by"]
            + ["model, MB", "latency, ms"],
            [
                [
                    SYSTEMS[cost["system"]].label,
                    str(cost["fold"]),
                    f"{cost['parameters']:,}",
                    f"{cost['training_seconds'] / 60:.1f}",
                    " + ".join(map(str, cost["steps"])),
                    ", ".join(sorted(set(cost["ended_by"]))),
                    f"{cost['model_bytes'] / 1e6:.1f}",
                    f"{cost['latency_ms']:.0f}",
                ]
                for cost in report["costs"]
            ],
        ),
        "",
        "Where a system has several networks, parameters, size and latency are of all "
        "of them together. Latency is that of one 512 x 512 image in the exported "
        "graph.",
        "",
        "## Method",
        "",
        "```sh",
        report["command"],
        "```",
        "",
        ", ".join(f"{name} {version}" for name, version in report["versions"].items())
        + f"; {report['machine']}.",
        "",
    ]
    return "\n".join(lines)


_COLUMNS = (
    ["n", "mean ± sd [95 %]", "difference [95 %]", "median", "p90"]
    + [f"≤ {radius} mm" for radius in SDR_RADII]
    + ["> 20 mm"]
)


def _table_1(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    cells = [[row["mapping"], row["strategy"], *_row(row["all"])] for row in rows]
    table = _table(["map", "coordinate", *_COLUMNS], cells)
    return ["## Table 1: map and strategy", "", *table, ""]


def _row(cell: dict[str, Any]) -> list[str]:
    if not cell["points"]:
        return ["0"] + [""] * (len(_COLUMNS) - 1)
    difference = cell.get("difference")
    return [
        str(cell["points"]),
        f"{cell['mean']:.2f} ± {cell['std']:.2f}{_interval(cell['interval'])}",
        ""
        if difference is None
        else f"{difference:+.2f}{_interval(cell['difference_interval'], '+')}",
        f"{cell['median']:.2f}",
        f"{cell['p90']:.2f}",
        *(f"{cell[f'sdr_{radius}']:.1%}" for radius in SDR_RADII),
        f"{cell['beyond_20']:.1%}",
    ]


def _interval(interval: tuple[float, float] | None, sign: str = "") -> str:
    if interval is None:
        return ""
    return " [{:{sign}.2f}, {:{sign}.2f}]".format(*interval, sign=sign)


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
