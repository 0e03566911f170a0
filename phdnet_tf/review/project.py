"""A project folder: the images of a review, its models and its readers.

    project/
      review.sqlite     images, predictions and the trail; see `store`

Images stay where they are. The database holds their paths and a hash of the patient's
identity, but no name, date or UID.
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
"""One image in this many is chosen at random, to measure the coverage of the radii.

Points that were chosen because they are uncertain do not represent all points.
"""

NOBODY = hashlib.sha256(b"\n\n").hexdigest()
"""`FileHeader.patient` of a file without name, id and birth date."""


class Project:
    """A project folder.

    Args:
        folder: The folder.
        create: Whether to create a project if there is none.

    Attributes:
        folder: The folder.
        store: The project's database.

    Raises:
        ValueError: If the folder is not a project.
        OSError: If it cannot be opened.
    """

    def __init__(self, folder: Path, create: bool = False) -> None:
        """Opens the project; see the class."""
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
        """The value of a setting; None if it is not set."""
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
        """Names of its landmarks, in the order in which they are shown and numbered."""
        return self.setting("landmarks") or []

    @property
    def model(self) -> int | None:
        """Number of the model whose predictions are shown; None without a model."""
        return self.setting("model")

    def choose_landmarks(self, view: str, landmarks: Sequence[str]) -> None:
        """Sets the view and the landmarks.

        Raises:
            ValueError: If the project already has another view, or other landmarks.
        """
        known = self.view, self.landmarks
        # What was annotated without a model and a view fits a model of its landmarks.
        fits = [*landmarks] == known[1] and (view == known[0] or not known[0])
        if known[1] and not fits:
            raise ValueError(
                f"{self.folder}: expected {known[0] or 'no view'} with "
                f"{', '.join(known[1])}, as in this project. Received: "
                f"{view or 'no view'} with {', '.join(landmarks)}. Choose another "
                "--project."
            )
        if not known[0]:
            self.set("view", view)
        if not known[1]:
            self.set("landmarks", [*landmarks])

    def choose_model(self, name: str, checksums: str, path: Path) -> int:
        """Sets the model whose predictions are made and shown from now on.

        Args:
            name: Name and version, for example "phdnet_sa/3".
            checksums: Content of its file SHA256SUMS, as two models may have one name.
            path: Folder of the version.

        Returns:
            Number of the model.
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
        """Adds the frames of a cine that are not in the project yet.

        Args:
            cine: The cine.
            chosen: Frames to review. The others can be looked at and annotated as well.
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
        """Stores what an image shows at the first reading, and compares it later.

        Args:
            number: Number of the image.
            image: The image as it was just read.

        Returns:
            Its content hash if the image has not changed. Otherwise None, and the image
            is locked until the file is restored.
        """
        found = image.content_hash()
        with self.store.writing() as connection:
            known = connection.execute(
                "SELECT content_hash, changed, error FROM images WHERE id = ?",
                (number,),
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
            elif known["changed"] or known["error"]:
                connection.execute(
                    "UPDATE images SET changed = NULL, error = NULL WHERE id = ?",
                    (number,),
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
        """Stores predictions that are not stored yet.

        Args:
            model: Number of the model.
            predictions: Numbers of images, and the predictions for them.
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
        """File of an image, and the number of the frame.

        Raises:
            KeyError: If there is no such image.
        """
        row = self.store.row(
            "SELECT path, member, frame FROM images WHERE id = ?", number
        )
        if row is None:
            raise KeyError(number)
        return FileLocation(Path(row["path"]), row["member"] or None), row["frame"]
