"""Errors of DICOM files in one plain line, without anything that names a person."""

from __future__ import annotations

import logging
import threading
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Silences pydicom, and turns whatever it raises for a file into a `DicomError`."""
    with quiet():
        try:
            yield
        except DicomError:
            raise
        except MemoryError as error:
            raise DicomError(
                f"{path}: needs more memory than one file may use. Export it as "
                "single-frame (classic) MR, one file per frame."
            ) from error
        # A damaged file can make pydicom raise nearly anything, RecursionError too.
        except Exception as error:
            raise DicomError(
                f"{path}: not readable as DICOM: {first_line(error)}. Export or copy "
                "the file again."
            ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Suppresses pydicom's warnings and log, which are mostly harmless.

    They quote content of the file, which may identify a person.

    Yields:
        Nothing. The block holds the calls of pydicom.
    """
    logger = logging.getLogger("pydicom")
    # Two threads that each restore what they found could leave the other's silence.
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        level = logger.level
        logger.setLevel(logging.CRITICAL + 1)
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)


def first_line(error: Exception) -> str:
    """The first line of an exception, as part of a sentence."""
    lines = str(error).strip().splitlines()
    return shown(lines[0].rstrip(" .:") if lines else type(error).__name__)


def last_line(error: Exception) -> str:
    """The last line, for errors whose first line only says that all decoders failed."""
    lines = str(error).strip().splitlines()
    last = lines[-1].strip(" .") if lines else type(error).__name__
    # Some, such as the want of memory, have a name and no words.
    return shown(f"{last[:-1]} gave up" if last.endswith(":") else last)


def one_line(value: object) -> str:
    """The whole of a value as text without control codes, for use in a report."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = "\\".join(map(str, value))
    text = "" if value is None else str(value)
    # An ideographic space, or the joiners of some scripts, belong to a name.
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Zl", "Zp"))


class DicomError(ValueError):
    """A DICOM file that cannot be used.

    Args:
        line: The file, what is wrong with it, and the remedy. Characters that are not
            printable, for example in the file's name, are replaced.
    """

    def __init__(self, line: str) -> None:
        """Keeps the printable form of the line."""
        super().__init__(printable(line))


def printable(text: str) -> str:
    """A text in one line that is valid UTF-8 and safe to print on a terminal.

    Names of files may hold line breaks, escape sequences and bytes of another encoding.
    """
    # Spaces of other scripts separate the parts of names, and are not "printable".
    return "".join(
        character
        if character.isprintable() or unicodedata.category(character) == "Zs"
        else "?"
        for character in text
    )


def shown(value: object) -> str:
    """A value of a file, short and printable, as part of a line."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = "\\".join(str(part) for part in value[:9])
    text = str(value)[:100]
    return "".join(character if character.isprintable() else "?" for character in text)
