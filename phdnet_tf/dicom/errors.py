"""Errors of DICOM files as one plain line, with nothing that could name a person."""

from __future__ import annotations

import logging
import threading
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

pass
pass


_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Silence, and a DicomError for whatever a damaged file makes pydicom raise."""
    with quiet():
        try:
            yield
        except DicomError:
            raise
        except MemoryError as error:
            raise DicomError(
                f"{path}: takes more memory than there is for a file. Export it as "
                "single-frame (classic) MR, one file a frame."
            ) from error
        # A damaged file can make pydicom raise nearly anything, RecursionError too.
        except Exception as error:
            raise DicomError(
                f"{path}: not readable as DICOM: {first_line(error)}. Export or copy "
                "the file again."
            ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps back what pydicom warns of and logs, mostly oddities without harm.

    They quote what stands in the file, which may name a person.

    Yields:
        Nothing; wrap the calls of pydicom.
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
    """An exception as part of a sentence."""
    lines = str(error).strip().splitlines()
    return shown(lines[0].rstrip(" .:") if lines else type(error).__name__)


def last_line(error: Exception) -> str:
    """The same, where the first line only says that all decoders failed."""
    lines = str(error).strip().splitlines()
    last = lines[-1].strip(" .") if lines else type(error).__name__
    # Some, such as the want of memory, have a name and no words.
    return shown(f"{last[:-1]} gave up" if last.endswith(":") else last)


def one_line(value: object) -> str:
    """A value as a text that a report may repeat: all of it, without control codes."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = "\\".join(map(str, value))
    text = "" if value is None else str(value)
    # An ideographic space, or the joiners of some scripts, belong to a name.
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Zl", "Zp"))


class DicomError(ValueError):
    """A DICOM file that cannot be used: which file, what is wrong, the remedy.

    Args:
        line: All of that. What is not printable in it, in the file's name perhaps, is
            replaced.
    """

    def __init__(self, line: str) -> None:
        """Is raised; see the class."""
        super().__init__(printable(line))


def printable(text: str) -> str:
    """A text in one line that does nothing to a terminal and has a UTF-8 encoding.

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
    """What a file holds, as part of a line: short and printable, whatever it is."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = "\\".join(str(part) for part in value[:9])
    text = str(value)[:100]
    return "".join(character if character.isprintable() else "?" for character in text)
