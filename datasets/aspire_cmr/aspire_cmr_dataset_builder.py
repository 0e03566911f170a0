"""TFDS builder of an ASPIRE-style folder: images, pixel spacing and landmarks."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from phdnet_tf.config import FOLDS
from phdnet_tf.datasets.folder.check import Inspection, inspect
from phdnet_tf.datasets.folder.fingerprint import content, fingerprint
from phdnet_tf.datasets.folder.table import Row, points_in_pixels
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.presets import VIEWS


def view_config(view: str) -> tfds.core.BuilderConfig:
    """The TFDS configuration of any view."""
    names = VIEWS.get(view)
    landmarks = ", ".join(names) if names else "those of the table"
    return tfds.core.BuilderConfig(name=view, description=f"Landmarks: {landmarks}.")


class Builder(tfds.core.GeneratorBasedBuilder):
    """Cardiac MR with landmarks, in eight folds by subject.

    The source is TFDS's `manual_dir`. `info.metadata` is stored with the data. It holds
    the names of the `landmarks`, in the order of the feature, and of the source the
    `fingerprint` and the `content`, which is the same for copies. Fewer than eight
    subjects fill fewer folds. An empty fold has no split.
    """

    VERSION = tfds.core.Version("1.3.0")
    RELEASE_NOTES = {
        "1.3.0": "Images have their orientation in the patient.",
        "1.2.0": "Content hashes, frames, and folds that stay when subjects are added.",
        "1.1.0": "The metadata hold the content of the source.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS = [view_config(view) for view in VIEWS]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Point manual_dir to an ASPIRE-style folder: landmarks.csv, with the columns subject,
    image, <landmark>_x, <landmark>_y, ..., and the DICOM files that it names.
    """
    # Installed as phdnet_tf.datasets, the folder is not where TFDS looks for it.
    pkg_dir_path = epath.Path(__file__).parent

    _compared = False

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    # Stored values after the modality LUT, bright = signal.
                    "image": tfds.features.Tensor(
                        shape=(None, None), dtype=np.float32, encoding="zlib"
                    ),
                    # In mm, DICOM's order (between rows, between columns) = (y, x).
                    "pixel_spacing": tfds.features.Tensor(shape=(2,), dtype=np.float32),
                    # Directions of x and y in the patient, cosines; NaN = not told.
                    "orientation": tfds.features.Tensor(shape=(6,), dtype=np.float32),
                    # (x, y) in pixels, (0, 0) the centre of the first; NaN = absent.
                    "landmarks": tfds.features.Tensor(
                        shape=(None, 2), dtype=np.float32
                    ),
                    "subject": tfds.features.Text(),
                    # The path in the table; of one frame of a file, path#frame.
                    "image_id": tfds.features.Text(),
                    # The same for images that show the same; `MRImage.content_hash`.
                    "content_hash": tfds.features.Text(),
                }
            ),
            metadata=tfds.core.MetadataDict(),
        )

    def is_prepared(self) -> bool:
        """Whether the data exist, and this object has compared them with the source.

        `tfds.load` uses prepared data without a check, and calls `download_and_prepare`
        otherwise. Only that function knows the source.
        """
        return self._compared and super().is_prepared()

    def download_and_prepare(
        self,
        *,
        download_dir: epath.PathLike | None = None,
        download_config: tfds.download.DownloadConfig | None = None,
        **kwargs: Any,
    ) -> None:
        """Prepares the data, or prepares them again if the source has changed.

        Data whose source no longer exists are used as they are. The arguments are
        TFDS's.

        Raises:
            ValueError: If the source folder has errors; see `folder.check`.
        """
        download_config = download_config or tfds.download.DownloadConfig()
        if super().is_prepared() and self._is_stale(download_dir, download_config):
            self.data_path.rmtree()
        with contextlib.ExitStack() as self._until_prepared:
            super().download_and_prepare(
                download_dir=download_dir, download_config=download_config, **kwargs
            )
        self._compared = True

    def _is_stale(
        self,
        download_dir: epath.PathLike | None,
        download_config: tfds.download.DownloadConfig,
    ) -> bool:
        download_dir = epath.Path(download_dir or self.data_dir_root / "downloads")
        folder = Path(download_config.manual_dir or download_dir / "manual")
        if not folder.exists():
            return False
        return fingerprint(folder) != self.info.metadata["fingerprint"]

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        folder = Path(dl_manager.manual_dir)
        # Taken before reading: a change from here on makes the result stale.
        state = fingerprint(folder)
        # The folds are known when every image has been read, and 10,000 of them do not
        # fit into memory. So that none is decoded twice they wait on the disk, beside
        # the data, where there must be room for them anyway.
        pixels = Path(
            self._until_prepared.enter_context(
                tempfile.TemporaryDirectory(prefix="decoded-", dir=self.data_dir_root)
            )
        )

        def keep(row: Row, image: MRImage) -> None:
            (pixels / str(row.line)).write_bytes(image.pixels.tobytes())

        inspection = inspect(folder, self.builder_config.name, on_image=keep)
        errors = [p for p in inspection.problems if p.severity == "error"]
        if errors:
            more = f" ({len(errors) - 1} more errors.)" if len(errors) > 1 else ""
            raise ValueError(f"{folder}: {errors[0]}{more}")

        table = inspection.table
        self.info.metadata["landmarks"] = list(table.landmarks)
        self.info.metadata["fingerprint"] = state
        self.info.metadata["content"] = content(inspection)
        rows: dict[int, list[Row]] = {fold: [] for fold in range(FOLDS)}
        for row in table.rows:
            rows[inspection.folds[row.subject]].append(row)
        return {
            f"fold_{fold}": self._generate_examples(inspection, rows[fold], pixels)
            for fold in range(FOLDS)
            if rows[fold]  # TFDS refuses an empty split
        }

    def _generate_examples(
        self, inspection: Inspection, rows: list[Row], pixels: Path
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for row in rows:
            facts = inspection.images[row.id]
            image = np.frombuffer((pixels / str(row.line)).read_bytes(), np.float32)
            points = points_in_pixels(inspection.table, row, facts.height, facts.width)
            yield (
                row.id,
                {
                    "image": image.reshape(facts.height, facts.width),
                    "pixel_spacing": np.array(facts.pixel_spacing, np.float32),
                    "orientation": np.array(
                        facts.orientation or [np.nan] * 6, np.float32
                    ),
                    "landmarks": points.astype(np.float32),
                    "subject": row.subject,
                    "image_id": row.id,
                    "content_hash": facts.content_hash,
                },
            )
