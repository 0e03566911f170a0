"""Finds and loads the models that the local server serves."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2
from tensorflow_serving.apis import prediction_log_pb2 as log_pb2

from phdnet_tf.devices import images_a_call
from phdnet_tf.export import checksums, refusals, saved_model, versions, warm_up
from phdnet_tf.server.refusal import Refusal, invalid
from phdnet_tf.server.request_batches import Batches
from phdnet_tf.server.tensors import arrays, require_fit

logger = logging.getLogger(__name__)

Status: TypeAlias = get_model_status_pb2.ModelVersionStatus


class Version:
    """A version that was loaded and has answered its warm-up requests.

    Args:
        folder: Folder of the version, for example `models/phdnet_sa/3`.

    Attributes:
        number: Number of the version, for example 3.
        content: The checksums of its files.
        signature_defs: The signatures, as TF Serving describes them.

    Raises:
        ValueError: If the version is not complete, or TensorFlow cannot load it.
        OSError: If a file cannot be read.
        tf.errors.OpError: If a warm-up request fails.
    """

    def __init__(self, folder: Path) -> None:
        """Loads the version; see the class."""
        self.number = int(folder.name)
        self.content = _content(folder)
        self._signatures = saved_model.load_signatures(folder)
        saved = saved_model_pb2.SavedModel.FromString(
            (folder / "saved_model.pb").read_bytes()
        )
        self.signature_defs = get_model_metadata_pb2.SignatureDefMap(
            signature_def=saved.meta_graphs[0].signature_def
        )
        for record in tf.data.TFRecordDataset(str(folder / warm_up.WARM_UP)):
            request = log_pb2.PredictionLog.FromString(record.numpy())
            self.run(
                request.predict_log.request.model_spec.signature_name,
                arrays(request.predict_log.request.inputs),
            )

    def run(
        self, signature: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Runs a signature on inputs that fit it.

        Raises:
            Refusal: If the model refuses the inputs.
        """
        try:
            outputs = self._signatures[signature](
                **{name: tf.constant(value) for name, value in inputs.items()}
            )
            return {name: value.numpy() for name, value in outputs.items()}
        except tf.errors.InvalidArgumentError as error:
            refused = invalid(refusals.what_is_wrong(error))
        # Not from within: it would keep the error, and that the images.
        raise refused

    def require_fit(self, signature: str, inputs: Mapping[str, np.ndarray]) -> None:
        """Refuses inputs that do not fit the signature.

        Raises:
            Refusal: With the expected names, or the expected type and shape.
        """
        specs = self.inputs(signature)
        if inputs.keys() != specs.keys():
            raise invalid(
                f"inputs of {signature!r}: expected {', '.join(sorted(specs))}. "
                f"Received: {', '.join(sorted(inputs)) or 'none'}."
            )
        for name, value in inputs.items():
            require_fit(name, value, specs[name])

    def inputs(self, signature: str) -> Mapping[str, Any]:
        """The TensorInfo of each input of a signature.

        Raises:
            Refusal: If there is no such signature.
        """
        if signature not in self._signatures:
            raise Refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"signature_name: expected one of {', '.join(self._signatures)}. "
                f"Received: {signature!r}.",
            )
        return self.signature_defs.signature_def[signature].inputs

    def outputs(self, signature: str, wanted: Sequence[str]) -> Sequence[str]:
        """Names of the requested outputs of a signature. An empty request means all.

        Raises:
            Refusal: If the signature has no such output, or one is requested twice.
        """
        names = sorted(self.signature_defs.signature_def[signature].outputs)
        if unknown := sorted(set(wanted) - set(names)):
            raise invalid(
                f"output_filter: expected some of {', '.join(names)}. "
                f"Received: {', '.join(unknown)}."
            )
        if len(set(wanted)) != len(wanted):
            raise invalid(
                "output_filter: expected each name once. Received: "
                f"{', '.join(sorted(wanted))}."
            )
        return wanted or names


@dataclass
class _Model:
    """A model folder: the version in service, and the state of the others."""

    version: Version | None = None
    states: dict[int, Status] = field(default_factory=dict)
    failed: dict[int, object] = field(default_factory=dict)
    gone: bool = False


class Models:
    """All models in a folder, each with its newest usable version in service.

    Args:
        folder: Folder of all models, for example `models`.
        at_once: Largest number of graph calls that run at the same time.
    """

    def __init__(self, folder: Path, at_once: int) -> None:
        """Starts without models; `poll` finds them."""
        self._folder = folder
        self._models: dict[str, _Model] = {}
        self._batches = Batches(at_once, images_a_call())

    def poll(self) -> None:
        """Looks for new versions, and puts the newest usable one into service.

        The log names a version that cannot be served once. The version is tried again
        only when its files have changed. The version in service stays until another is
        ready to replace it, or another model under its own number. It stays if its
        folder is gone, too, which may be a network that is away; the log says so once.
        """
        found = set()
        for folder in sorted(self._folder.glob("[!.]*")):
            numbers = versions.versions(folder)
            if numbers:
                found.add(folder.name)
                model = self._models.setdefault(folder.name, _Model())
                self._advance(model, folder, numbers)
        for name, model in self._models.items():
            gone = name not in found
            if gone and model.version and not model.gone:
                logger.warning(
                    "%s/%s stays in service, but %s has no version of it any more. "
                    "To withdraw it, start the server again.",
                    *(name, model.version.number, self._folder / name),
                )
            model.gone = gone

    def _advance(self, model: _Model, folder: Path, numbers: list[int]) -> None:
        for number in reversed(numbers):
            path = folder / str(number)
            served = model.version
            in_service = served if served and served.number == number else None
            if in_service and in_service.content == _content(path):
                return
            files = _files(path)
            if model.failed.get(number) == files:
                if in_service:
                    return
                continue
            if not in_service:
                model.states[number] = _status(number, Status.LOADING)
            try:
                version = Version(path)
            # Damaged files make TensorFlow raise nearly anything, and whatever it is
            # must not keep the other models from being looked at.
            except Exception as error:
                reason = getattr(error, "message", None) or str(error)
                still = (
                    " What was loaded before stays in service." if in_service else ""
                )
                logger.error(
                    "%s/%s is not served: %s%s", folder.name, number, reason, still
                )
                model.failed[number] = files
                if in_service:
                    return
                model.states[number] = _status(
                    number, Status.END, tf.errors.FAILED_PRECONDITION, reason
                )
                continue
            if model.version and not in_service:
                old = model.version.number
                model.states[old] = _status(old, Status.END)
            model.version = version
            model.states[number] = _status(number, Status.AVAILABLE)
            logger.info("%s/%s is served", folder.name, number)
            return

    def served(self) -> dict[str, int]:
        """The version in service of each model."""
        return {
            name: model.version.number
            for name, model in self._models.copy().items()
            if model.version
        }

    def find(self, name: str, number: int | None) -> Version:
        """A version in service.

        Args:
            name: Name of the model.
            number: Number of the version; None means the one in service.

        Raises:
            Refusal: If it is not in service. The message is TF Serving's.
        """
        if not name:
            raise invalid("ModelSpec has no name specified.")
        model = self._models.get(name)
        version = model and model.version
        if not version or number not in (None, version.number):
            wanted = (
                f"Latest({name})" if number is None else f"Specific({name}, {number})"
            )
            raise Refusal(
                grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}"
            )
        return version

    def statuses(self, name: str, number: int | None) -> list[Status]:
        """The state of a model's versions, the newest first.

        Raises:
            Refusal: If the model is unknown.
        """
        model = self._models.get(name)
        states = model.states.copy() if model else {}
        if number is not None:
            states = {number: states[number]} if number in states else {}
        if not states:
            which = "any versions" if number is None else f"version {number}"
            raise Refusal(
                grpc.StatusCode.NOT_FOUND, f"Could not find {which} of model {name}"
            )
        return [states[key] for key in sorted(states, reverse=True)]

    async def predict(
        self,
        version: Version,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str] = (),
    ) -> dict[str, np.ndarray]:
        """Answers a request.

        Args:
            version: A version from `find`. It answers even if it has been replaced.
            signature: Name of the signature.
            inputs: Inputs of the signature.
            outputs: Names of the requested outputs. Empty means all.

        Returns:
            The outputs.

        Raises:
            Refusal: If the request cannot be answered.
        """
        version.require_fit(signature, inputs)
        wanted = version.outputs(signature, outputs)
        shapes = tuple(sorted((key, v.shape[1:]) for key, v in inputs.items()))
        found = await self._batches.run(
            (version, signature, shapes),
            lambda inputs: version.run(signature, inputs),
            inputs,
        )
        return {name: found[name] for name in wanted}


def _status(number: int, state: int, code: int = 0, message: str = "") -> Status:
    status = Status(version=number, state=state)
    status.status.error_code = code
    status.status.error_message = message
    return status


def _content(version: Path) -> str | None:
    """The list of a version's checksums, or None if it cannot be read now."""
    try:
        return (version / checksums.CHECKSUMS).read_text(errors="replace")
    except OSError:
        return None


def _files(version: Path) -> object:
    """A value that changes when a file of a version changes."""
    try:
        return {
            str(file): (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            for file in version.rglob("*")
            for stat in [file.stat()]
        }
    except OSError:
        # A file that vanishes while it is looked at: the folder is changing now.
        return object()
