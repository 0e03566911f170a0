"""Landmarks from a server: TF Serving, or `phdnet-tf serve`, over REST or gRPC.

Only the pixels and their spacing are sent, and nothing else of the DICOM file.
"""

import json
import ssl
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import numpy as np

from phdnet_tf.client.encoding import encode_png, fits_png
from phdnet_tf.client.grpc import GrpcTransport
from phdnet_tf.client.rest import RestTransport
from phdnet_tf.client.served import served_models
from phdnet_tf.client.transport import Inputs, Outputs, Transport
from phdnet_tf.dicom.image import MRImage
from phdnet_tf.dicom.turning import turn_to_usual
from phdnet_tf.export.description import model_name, usual_orientations
from phdnet_tf.export.versions import model_names
from phdnet_tf.inference.calls import inputs_of, locate_in_calls
from phdnet_tf.inference.errors import NotServedError, RefusedImageError
from phdnet_tf.inference.results import (
    Prediction,
    make_prediction,
    maps_of_image,
    other_version,
)
from phdnet_tf.presets import VIEWS

TRANSPORTS: dict[str, tuple[type[GrpcTransport] | type[RestTransport], bool]] = {
    "http": (RestTransport, False),
    "https": (RestTransport, True),
    "grpc": (GrpcTransport, False),
    "grpcs": (GrpcTransport, True),
}

_Answers = TypeVar("_Answers")


def connect(
    server: str,
    view: str | None = None,
    timeout: float = 30.0,
    authority: Path | None = None,
    token: str | None = None,
) -> dict[str, "Client"]:
    """Connects to the models of a server, one for each view.

    Args:
        server: As for `Client`.
        view: Name of a view. None is all built-in views that are served.
        timeout: As for `Client`.
        authority: As for `Client`.
        token: As for `Client`.

    Returns:
        A client for each view, in the order of `presets.VIEWS`; or only for the chosen
        view, or for the model that the address names.

    Raises:
        ValueError: As `Client`.
        NotServedError: As `Client`. Also if there is no model of any view.
        ServerDownError: As `Client`.
    """
    views: list[str | None] = [view]
    if view is None and not urlsplit(server).path.strip("/"):
        with closing(_open(server, timeout, authority, token)) as transport:
            # With none, the client says what is missing.
            views = [*served_models(transport, None)] or [None]
    clients = [Client(server, each, timeout, authority, token) for each in views]
    return {client.view: client for client in clients}


class Client:
    """A model on a server, used like a `Predictor` for a model on disk.

    The newest version is looked up once, so that all answers come from one model. If
    the server has replaced that version, the client uses its replacement, and asks
    again for what the call has got from the other. A label is looked up for each call
    of `predict` and `predict_many`, so that a running program follows it.

    Args:
        server: `http://HOST:PORT`, `https://…`, `grpc://…` or `grpcs://…`. The path may
            name another model than that of the view, a version, or a label of TF
            Serving: `grpc://HOST:PORT/phdnet_sa/3`, `…/phdnet_sa/canary`.
        view: Name of a view. None is the only view that is served.
        timeout: Longest time for an answer, in seconds. A server that cannot be reached
            is tried again for about 15 seconds; over gRPC, within this time.
        authority: PEM file of the certificate authority, for https and grpcs, if the
            system does not know it.
        token: The token that `phdnet-tf serve --token-file` requires. Use it with TLS.

    Attributes:
        description: Content of the model's `phdnet.json`.
        view: Name of its view.
        landmarks: Names of the L landmarks, in the order of every output.
        name: Name and version, for example "phdnet_4ch/3".
        usual_orientations: Usual orientations of its view; see `dicom.turning`.

    Raises:
        ValueError: If the address is not valid, or `authority` holds no certificate.
        NotServedError: If the server has no such model.
        ServerDownError: If the server does not answer.
    """

    at_once = 8
    """Images per request: enough to make its overhead small; about 2 MB of PNG."""

    def __init__(
        self,
        server: str,
        view: str | None = None,
        timeout: float = 30.0,
        authority: Path | None = None,
        token: str | None = None,
    ) -> None:
        """Connects, and looks up the model; see the class."""
        self._transport = _open(server, timeout, authority, token)
        parts = urlsplit(server)
        self._server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._model, _, self._wanted = parts.path.strip("/").partition("/")
        try:
            self._model = self._model or self._find_model(view)
            self._resolve()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()

    def __enter__(self) -> Self:
        """Returns the client. The end of the block closes its connection."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the connection."""
        self.close()

    def predict(self, image: MRImage, name: str = "") -> Prediction:
        """Locates the landmarks of one image.

        Args:
            image: The image, as `read_image` returns it.
            name: Name of the image in the prediction. It is not sent.

        Returns:
            The prediction, as `Predictor` would give it.

        Raises:
            RefusedImageError: If the model refuses the image.
            NotServedError: If the server no longer has the model.
            ServerDownError: If it does not answer.
        """
        [answer] = self.predict_many([image], [name])
        if isinstance(answer, RefusedImageError):
            raise answer
        return answer

    def predict_many(
        self, images: Sequence[MRImage], names: Sequence[str]
    ) -> list[Prediction | RefusedImageError]:
        """Locates the landmarks of several images, in as few requests as possible.

        Args:
            images: The images.
            names: Names of the images in the predictions. They are not sent.

        Returns:
            For each image its prediction, or the error with which the model refuses it.

        Raises:
            NotServedError: If the server no longer has the model.
            ServerDownError: If it does not answer.
        """
        self._follow_label()
        return self._from_one_version(lambda: self._predict_many(images, names))

    def candidate_maps(self, image: MRImage) -> tuple[np.ndarray, np.ndarray]:
        """The smoothed candidate map of each landmark (equation 3).

        Args:
            image: The image, as `read_image` returns it.

        Returns:
            As `Predictor.candidate_maps`.

        Raises:
            RefusedImageError: If the model refuses the image.
            NotServedError: If the server no longer has the model.
            ServerDownError: If it does not answer.
        """
        return self._from_one_version(lambda: self._candidate_maps(image))

    def _from_one_version(self, ask: Callable[[], _Answers]) -> _Answers:
        """The answers; if the server replaces the version meanwhile, all the new one's.

        Another version may name the landmarks in another order, and turn images
        otherwise.
        """
        try:
            return ask()
        except NotServedError:
            if self._wanted.isdecimal():
                raise
            self._resolve()
            return ask()

    def _predict_many(
        self, images: Sequence[MRImage], names: Sequence[str]
    ) -> list[Prediction | RefusedImageError]:
        turned = [self._turned(image) for image in images]
        answers = locate_in_calls(self._locate, turned, self.at_once)
        return [
            answer
            if isinstance(answer, RefusedImageError)
            else make_prediction(self, answer, image, name)
            for answer, image, name in zip(answers, images, names, strict=True)
        ]

    def _candidate_maps(self, image: MRImage) -> tuple[np.ndarray, np.ndarray]:
        outputs = self._ask("explain", inputs_of([self._turned(image)]))
        return maps_of_image(self, {k: v[0] for k, v in outputs.items()}, image)

    def _turned(self, image: MRImage) -> MRImage:
        """The image as it is sent to the server."""
        return turn_to_usual(image.orientation, self.usual_orientations).image(image)

    def _locate(self, images: Sequence[MRImage]) -> list[Outputs]:
        if self._transport.prefers_png and all(map(fits_png, images)):
            inputs = inputs_of(images)
            inputs["image_bytes"] = np.array(
                [encode_png(image.pixels) for image in images], object
            )
            del inputs["image"]
            outputs = self._ask("png", inputs)
        else:
            outputs = self._ask("serving_default", inputs_of(images))
        return [
            {name: value[index] for name, value in outputs.items()}
            for index in range(len(images))
        ]

    def _ask(self, signature: str, inputs: Inputs) -> Outputs:
        outputs = self._transport.predict(self._model, self._version, signature, inputs)
        if told := other_version(self._server, self.name, signature, outputs):
            raise NotServedError(told)
        return outputs

    def _find_model(self, view: str | None) -> str:
        served = served_models(self._transport, view)
        if len(served) > 1:
            raise NotServedError(
                f"{self._server} serves models of several views. Choose with --view "
                f"{' or --view '.join(served)}."
            )
        if not served:
            names = " or ".join(model_names(v)[0] for v in ([view] if view else VIEWS))
            raise NotServedError(
                f"{self._server}: expected a model {names} in service. Received none. "
                "Check which models the server loads, give --view for another view, or "
                f"name the model in the address: {self._server}/MODEL."
            )
        return next(iter(served.values()))

    def _look_up(self) -> int:
        """Looks up the version in service."""
        try:
            numbers = self._transport.versions(self._model, self._wanted)
        # TF Serving calls a label that it does not know a malformed request.
        except (NotServedError, RefusedImageError):
            numbers = []
        if not numbers:
            raise NotServedError(self._what_isserved_models())
        return max(numbers)

    def _follow_label(self) -> None:
        """Switches to the label's present version, if the label was moved."""
        labelled = self._wanted and not self._wanted.isdecimal()
        if labelled and self._look_up() != self._version:
            self._resolve()

    def _resolve(self) -> None:
        """Looks up the version in service, and its description."""
        model, version = self._model, self._look_up()
        asked = {"field": np.array([b"description"], object)}
        try:
            outputs = self._transport.predict(model, version, "describe", asked)
        except RefusedImageError as error:
            raise NotServedError(
                f"{self._server}: expected {model}/{version} to be a model that this "
                f"version of phdnet-tf exported. Received another: {error}"
            ) from error
        self.description: dict[str, Any] = json.loads(outputs["value"][0])
        # No earlier: without its description its answers would be misread.
        self._version = version
        self.name = model_name(model, version, self.description)
        self.view: str = self.description["view"]
        self.landmarks: tuple[str, ...] = tuple(self.description["landmarks"])
        self.usual_orientations = usual_orientations(self.description)

    def _what_isserved_models(self) -> str:
        """The message for a version, or a model, that is not served."""
        try:
            numbers = self._transport.versions(self._model, "")
        except NotServedError:
            numbers = []
        if numbers:
            return (
                f"{self._server}: no version {self._wanted!r} of {self._model} in "
                f"service. It has {', '.join(map(str, sorted(numbers)))}."
            )
        return (
            f"{self._server}: no model {self._model!r} in service. Check its name, and "
            "the log of the server."
        )


def _open(
    server: str, timeout: float, authority: Path | None, token: str | None
) -> Transport:
    """Opens the transport to a server, if its address and authority are valid."""
    parts = urlsplit(server)
    path = parts.path.strip("/").split("/")
    if parts.scheme not in TRANSPORTS or not parts.hostname or len(path) > 2:
        raise ValueError(
            f"{server}: expected http://HOST:PORT or grpc://HOST:PORT (https and "
            "grpcs with TLS), followed by /MODEL or /MODEL/VERSION if needed."
        )
    if authority is not None:
        try:
            ssl.create_default_context(cafile=authority)
        # Others, as of a file that is not there, name it.
        except ssl.SSLError as error:
            raise ValueError(
                f"{authority}: expected certificates in PEM. Received something else. "
                "If it is DER, convert it: openssl x509 -inform der -in FILE -out PEM."
            ) from error
    transport, secure = TRANSPORTS[parts.scheme]
    return transport(parts.netloc, secure, timeout, authority, token)
