"""A project folder: what is reviewed, with which model, and by whom.

    project/
      review.sqlite     images, predictions and the trail; see `store`

Images stay where they are. The database holds their paths, a hash of whose they are,
and no name, date or UID.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phdnet_tf.dicom.cines import Cine, Frame
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.sandbox import FileLocation
from phdnet_tf.inference.results import Prediction
from phdnet_tf.review.store import Store

DATABASE = "review.sqlite"

SAMPLED = 10
"""One image in so many is drawn by chance, to tell whether the radii hold.

Points that were chosen because they are uncertain say nothing of all points.
"""

NOBODY = hashlib.sha256(b"\n\n").hexdigest()
"""`FileHeader.patient` of a file without name, id and birth date."""


class Project:
    """A project folder.

    Args:
        folder: The folder.
        create: Whether it is made where there is none.

    Attributes:
        folder: The folder.
        store: Its database.

    Raises:
        ValueError: If it is no project.
        OSError: If it cannot be opened.
    """

    def __init__(self, folder: Path, create: bool = False) -> None:
        """Opens it; see the class."""
        self.folder = folder
        path = folder / DATABASE
        if not path.is_file():
            if not create:
                raise ValueError(
                    f"{folder}: expected the project of a review, with {DATABASE}. "
                    "Make one with 'phdnet-tf review open IMAGE... --project "
                    f"{folder}'."
                )
            # Nobody else on the machine needs to know whose images these are.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.store = Store(path)

    def setting(self, key: str) -> Any:
        """A setting; None where there is none."""
        row = self.store.row("SELECT value FROM settings WHERE key = ?", key)
        return None if row is None else json.loads(row["value"])

    def set(self, key: str, value: Any) -> None:
        """Writes a setting."""
        with self.store.writing() as connection:
            connection.execute(
                "INSERT INTO settings VALUES (?, ?) ON CONFLICT (key) "
                "DO UPDATE SET value = excluded.value",
                (key, json.dumps(value)),
            )

    @property
    def view(self) -> str:
        """Name of the view of all its images."""
        return self.setting("view") or ""

    @property
    def landmarks(self) -> list[str]:
        """Their names, in the order in which they are shown and numbered."""
        return self.setting("landmarks") or []

    @property
    def model(self) -> int | None:
        """The model whose predictions are shown; None without one."""
        return self.setting("model")

    def choose_landmarks(self, view: str, landmarks: Sequence[str]) -> None:
        """Says what is looked for.

        Raises:
            ValueError: If the project is of another view, or of other landmarks.
        """
        known = self.view, self.landmarks
        # What was annotated without a model and a view fits a model of its landmarks.
        fits = [*landmarks] == known[1] and (view == known[0] or not known[0])
        if known[1] and not fits:
            raise ValueError(
                f"{self.folder}: is a project of {known[0] or 'no view'} with "
                f"{', '.join(known[1])}. Received: {view or 'no view'} with "
                f"{', '.join(landmarks)}. Choose another --project."
            )
        if not known[0]:
            self.set("view", view)
        if not known[1]:
            self.set("landmarks", [*landmarks])

    def choose_model(self, name: str, checksums: str, path: Path) -> int:
        """Says which model's predictions are made and shown from now on.

        Args:
            name: For example "phdnet_sa/3".
            checksums: What its file SHA256SUMS says: two models may have one name.
            path: Folder of the version.

        Returns:
            Its number.
        """
        digest = hashlib.sha256(checksums.encode()).hexdigest()
        with self.store.writing() as connection:
            named = connection.execute(
                "SELECT 1 FROM models WHERE name = ? AND digest <> ?", (name, digest)
            ).fetchone()
            connection.execute(
                "INSERT INTO models (name, digest, path) VALUES (?, ?, ?) "
                "ON CONFLICT (digest) DO UPDATE SET path = excluded.path",
                (f"{name} ({digest[:8]})" if named else name, digest, str(path)),
            )
            number = connection.execute(
                "SELECT id FROM models WHERE digest = ?", (digest,)
            ).fetchone()["id"]
        self.set("model", number)
        return number

    def model_named(self) -> str:
        """Name of the model whose predictions are shown, or ""."""
        row = self.store.row("SELECT name FROM models WHERE id = ?", self.model)
        return row["name"] if row else ""

    def readers(self) -> list[str]:
        """Who has changed anything, in the order of the alphabet."""
        rows = self.store.rows("SELECT DISTINCT reader FROM trail ORDER BY reader")
        return [row["reader"] for row in rows]

    def add(self, cine: Cine, chosen: Iterable[Frame]) -> None:
        """Adds the frames of a cine, those that are there already excepted.

        Args:
            cine: The cine.
            chosen: Those of its frames that are to be reviewed; the others are there to
                be looked at, and can be annotated.
        """
        keys = {(frame.file.source, frame.number) for frame in chosen}
        header = cine.header
        owner = header.patient
        if owner in ("", NOBODY):
            # Who is nobody is told apart by the study at least.
            owner = header.study_uid or str(cine.frames[0].file.source)
        owner = hashlib.sha256(owner.encode()).hexdigest()
        with self.store.writing() as connection:
            connection.execute(
                "INSERT INTO subjects (key) VALUES (?) ON CONFLICT DO NOTHING", (owner,)
            )
            subject = connection.execute(
                "SELECT id FROM subjects WHERE key = ?", (owner,)
            ).fetchone()["id"]
            number = connection.execute(
                "SELECT COALESCE(MAX(cine), 0) + 1 FROM images"
            ).fetchone()[0]
            for frame in cine.frames:
                source = frame.file.source
                queued = int((source, frame.number) in keys)
                connection.execute(
                    "INSERT INTO images (path, member, frame, frames, subject, cine, "
                    "phase, time_ms, queued) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET queued = MAX(queued, excluded.queued)",
                    (
                        *(str(source.path.resolve()), source.member or ""),
                        *(frame.number, frame.of, subject, number, frame.phase),
                        *(frame.header.time, queued),
                    ),
                )

    def describe(self, number: int, image: MRImage) -> str | None:
        """Notes what an image shows, when it is read for the first time.

        Args:
            number: Of the image.
            image: As it was read now.

        Returns:
            Its content hash where it is the one that was noted before; None where it
            is not: then the image is locked until the file is as it was.
        """
        found = image.content_hash()
        with self.store.writing() as connection:
            known = connection.execute(
                "SELECT content_hash, changed FROM images WHERE id = ?", (number,)
            ).fetchone()
            if known["content_hash"] is None:
                height, width = image.pixels.shape
                # Of the middle: a heart is darker than the fat of the chest's wall.
                middle = image.pixels[height // 4 :, width // 4 :]
                middle = middle[: (height + 1) // 2, : (width + 1) // 2]
                low, high = np.percentile(middle, (1, 99)).tolist()
                connection.execute(
                    "UPDATE images SET content_hash = ?, height = ?, width = ?, "
                    "spacing_y = ?, spacing_x = ?, position = ?, orientation = ?, "
                    "low = ?, high = ?, sampled = ?, error = NULL WHERE id = ?",
                    (
                        *(found, height, width, *image.pixel_spacing),
                        *map(json.dumps, (image.position, image.orientation)),
                        *(low, max(high, low + 1e-6)),
                        *(int(int(found[:8], 16) % SAMPLED == 0), number),
                    ),
                )
            elif known["content_hash"] != found:
                connection.execute(
                    "UPDATE images SET changed = ? WHERE id = ?", (found, number)
                )
                return None
            elif known["changed"]:
                connection.execute(
                    "UPDATE images SET changed = NULL WHERE id = ?", (number,)
                )
        return found

    def fail(self, number: int, reason: str) -> None:
        """Notes why an image cannot be read."""
        with self.store.writing() as connection:
            connection.execute(
                "UPDATE images SET error = ? WHERE id = ?", (reason, number)
            )

    def predicted(
        self, model: int, predictions: Iterable[tuple[int, Prediction]]
    ) -> None:
        """Stores predictions, those excepted that are there already.

        Args:
            model: Number of the model.
            predictions: Numbers of images, and what it found in them.
        """
        with self.store.writing() as connection:
            for image, prediction in predictions:
                known = connection.execute(
                    "SELECT 1 FROM predictions WHERE model = ? AND image = ?",
                    (model, image),
                ).fetchone()
                if known:
                    continue
                for point in prediction.landmarks:
                    radii = point.error_radius_mm
                    connection.execute(
                        "INSERT INTO predictions VALUES "
                        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (
                            *(image, model, point.name, point.x, point.y),
                            *(point.confidence, int(point.high_confidence)),
                            *(radii["50"], radii["90"], radii["95"]),
                            *(point.jump_mm, int(prediction.recognised)),
                        ),
                    )

    def location(self, number: int) -> tuple[FileLocation, int]:
        """Where an image is: its file, and the number of the frame.

        Raises:
            KeyError: If there is no such image.
        """
        row = self.store.row(
            "SELECT path, member, frame FROM images WHERE id = ?", number
        )
        if row is None:
            raise KeyError(number)
        return FileLocation(Path(row["path"]), row["member"] or None), row["frame"]
