"""Options that take an amount, such as seconds, or mm."""

import math
from typing import Any

import click


class Amount(click.FloatRange):
    """A finite number in a range; a plain range takes "nan", and "inf"."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number that was given.

        Raises:
            click.BadParameter: If it is none, not finite, or out of the range.
        """
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def pixel_spacing(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float, float] | None:
    """Parses ROW,COLUMN or ROWxCOLUMN, in mm; the callback of an option."""
    if value is None:
        return None
    meant = "x" in value
    try:
        row, column = (float(part) for part in value.split("x" if meant else ","))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not ROW,COLUMN in mm. Write, for example, 1.5,1.5."
        ) from None
    # Which imports pydicom.
    from phdnet_tf.dicom.guards import SPACING_LIMITS

    low, high = SPACING_LIMITS
    if not all(low <= each <= high for each in (row, column)):
        raise click.BadParameter(f"{value!r} is not between {low:g} and {high:g} mm.")
    # "1,4" may be a number with a decimal comma, and "1,1" too.
    whole = not any(mark in value for mark in ".eE")
    if not meant and (whole or max(row, column) > 2 * min(row, column)):
        raise click.BadParameter(
            f"{value!r} would mean {row:g} mm between rows and {column:g} mm between "
            f"columns. If you mean this, write {row:g}x{column:g}. Otherwise write two "
            "numbers with decimal points, such as 1.4,1.4."
        )
    return row, column
