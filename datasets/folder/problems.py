"""What is wrong in a folder, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """What is wrong in a folder, and where.

    Attributes:
        severity: "error": the folder cannot be used as it is. "warning": it can.
        file: The file or folder, relative to the data folder.
        row: Line of the table, from 1, or None.
        message: What was expected, what was received, and the remedy.
    """

    severity: str
    file: str
    row: int | None
    message: str

    def __str__(self) -> str:
        """The problem as one line."""
        row = "" if self.row is None else f" (row {self.row})"
        return f"{self.file}{row}: {self.message}"


def error_at(file: str, row: int | None, message: str) -> Problem:
    """A problem that keeps the folder from being used."""
    return Problem("error", file, row, message)


def warning_at(file: str, row: int | None, message: str) -> Problem:
    """A problem that does not keep the folder from being used."""
    return Problem("warning", file, row, message)
