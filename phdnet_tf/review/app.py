"""The web application of the review page.

Work on the database or the disk runs in a thread, so that no request delays the others.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from phdnet_tf.dicom.errors import DicomError
from phdnet_tf.review import trail
from phdnet_tf.review.access import Guard, Keys, lane_key
from phdnet_tf.review.changes import parse
from phdnet_tf.review.filling import Progress
from phdnet_tf.review.pictures import ChangedImageError, Pictures
from phdnet_tf.review.project import Project
from phdnet_tf.review.queue import GROUPS, ORDERS, STATES, Wanted, page
from phdnet_tf.review.readers import second_look, to_decide
from phdnet_tf.review.trail import Lane
from phdnet_tf.review.views import cine_view, image_view

PAGE = Path(str(resources.files("phdnet_tf.review"))) / "page"

UNREADABLE = "its file is missing or damaged. 'phdnet-tf predict' shows the reason."

MOST_ITEMS = 500
"""Largest number of items of the queue in one answer."""


def make_app(
    project: Project,
    lane: Lane,
    pictures: Pictures,
    keys: Keys,
    port: int,
    progress: Progress,
    show_identity: bool,
) -> Guard:
    """Makes the app of a review.

    Args:
        project: The reviewed project.
        lane: The reader or judge.
        pictures: Reads the pixels.
        keys: Tokens of the allowed tabs.
        port: Port on which the server listens.
        progress: Progress of filling the project.
        show_identity: Whether the page may show the patients' identity.
    """
    api = _Api(project, lane, pictures, keys, progress, show_identity)
    routes = [
        Route("/", api.index),
        Route("/api/session", api.session, methods=["POST"]),
        Route("/api/project", _get(api.project)),
        Route("/api/queue", _get(api.queue)),
        Route("/api/images/{number:int}", _get(api.image)),
        Route("/api/images/{number:int}/pixels", api.pixels),
        Route("/api/images/{number:int}/map", _get(api.map)),
        Route("/api/images/{number:int}/identity", _get(api.identity)),
        Route("/api/images/{number:int}/cine", _get(api.cine)),
        Route("/api/images/{number:int}/news", _get(api.news)),
        Route("/api/changes", _post(api.changes), methods=["POST"]),
        Route("/api/undo", _post(api.undo), methods=["POST"]),
        Route("/api/redo", _post(api.redo), methods=["POST"]),
        Mount("/page", StaticFiles(directory=PAGE)),
    ]
    return Guard(Starlette(routes=routes), keys, lane_key(project, lane), port)


Answer = Callable[..., Any]


def _get(answer: Answer) -> Answer:
    async def respond(request: Request) -> Response:
        return await _respond(answer, request)

    return respond


def _post(answer: Answer) -> Answer:
    async def respond(request: Request) -> Response:
        try:
            values = json.loads(await request.body())
        except ValueError:
            return JSONResponse({"error": "expected JSON."}, 400)
        if not isinstance(values, dict):
            return JSONResponse({"error": "expected an object."}, 400)
        return await _respond(answer, values)

    return respond


async def _respond(answer: Answer, question: Any) -> Response:
    try:
        return JSONResponse(await run_in_threadpool(answer, question))
    except KeyError:
        return JSONResponse({"error": "there is no such image."}, 404)
    except PermissionError as error:
        return JSONResponse({"error": str(error)}, 403)
    except ChangedImageError as error:
        return JSONResponse({"error": str(error)}, 409)
    except DicomError:
        # The reason names the file, which may name a patient.
        return JSONResponse({"error": UNREADABLE}, 422)
    except ValueError as error:
        return JSONResponse({"error": str(error)}, 422)


class _Api:
    """The answers; see `make_app`."""

    def __init__(
        self,
        project: Project,
        lane: Lane,
        pictures: Pictures,
        keys: Keys,
        progress: Progress,
        show_identity: bool,
    ) -> None:
        self._project, self._lane, self._pictures = project, lane, pictures
        self._keys, self._progress, self._show_identity = keys, progress, show_identity
        self._templates = Environment(
            loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined
        )

    async def index(self, request: Request) -> Response:
        """The page itself, without data of the project."""
        modules = sorted(file.name for file in PAGE.glob("*.js"))
        template = self._templates.get_template("index.html")
        return HTMLResponse(template.render(modules=modules))

    async def session(self, request: Request) -> Response:
        """Exchanges a code for a token."""
        code = (await request.body()).decode(errors="replace")
        token = await run_in_threadpool(self._keys.exchange, code)
        if token is None:
            return JSONResponse({"error": "the code is wrong, or was used."}, 401)
        return JSONResponse({"token": token})

    def project(self, request: Request) -> dict[str, Any]:
        """The project, its reader, and the progress of the predictions."""
        return {
            "view": self._project.view,
            "landmarks": self._project.landmarks,
            "reader": self._lane.reader,
            "role": self._lane.role,
            "lane": lane_key(self._project, self._lane),
            "model": self._project.model_named(),
            "identity": self._show_identity,
            "filling": vars(self._progress),
            "orders": [*ORDERS],
            "states": [*STATES],
            "groups": [*GROUPS],
            "readers": self._project.readers(),
        }

    def queue(self, request: Request) -> dict[str, Any]:
        """A part of the queue; see `queue.page`, `to_decide` and `second_look`."""
        query = request.query_params
        offset = max(0, int(query.get("offset", 0)))
        limit = min(MOST_ITEMS, max(1, int(query.get("limit", 60))))
        group, state = query.get("group", "recognised"), query.get("state", "open")
        if self._lane.role == "judge" or group == "second":
            if self._lane.role == "judge":
                every = to_decide(self._project, self._lane, state == "open")
            else:
                every = second_look(self._project, self._lane)
            items = every[offset : offset + limit]
            return {"items": items, "left": len(every), "total": len(every)}
        order, landmark = query.get("order", "radius"), query.get("landmark", "")
        wanted = Wanted(order, state, group, landmark, query.get("reader", ""))
        return page(self._project, self._lane, wanted, offset, limit)

    def image(self, request: Request) -> dict[str, Any]:
        """Facts and points of an image."""
        number = request.path_params["number"]
        row = self._project.store.row(
            "SELECT content_hash FROM images WHERE id = ?", number
        )
        if row is not None and row["content_hash"] is None:
            # A phase that nobody has looked at yet.
            self._pictures.image(number)
        return image_view(self._project, self._lane, number)

    async def pixels(self, request: Request) -> Response:
        """The pixels of an image; a header gives their type."""
        number = request.path_params["number"]

        try:
            raw = await run_in_threadpool(self._pictures.raw, number)
        except KeyError:
            return JSONResponse({"error": "there is no such image."}, 404)
        except ChangedImageError as error:
            return JSONResponse({"error": str(error)}, 409)
        except ValueError:
            return JSONResponse({"error": UNREADABLE}, 422)
        return Response(
            raw.data,
            media_type="application/octet-stream",
            headers={"X-Kind": raw.kind},
        )

    def map(self, request: Request) -> dict[str, Any]:
        """The candidate map of a landmark: where the model's votes lie."""
        votes, corners = self._pictures.candidate_map(
            request.path_params["number"], request.query_params.get("landmark", "")
        )
        height, width = votes.shape
        data = base64.b64encode(votes.tobytes()).decode()
        return {"width": width, "height": height, "corners": corners, "data": data}

    def identity(self, request: Request) -> dict[str, str]:
        """The patient's identity, if it may be shown."""
        if not self._show_identity:
            raise PermissionError("Start the review with --show-identity.")
        return self._pictures.identity(request.path_params["number"])

    def cine(self, request: Request) -> list[dict[str, Any]]:
        """The phases of an image's cine, with their points."""
        return cine_view(self._project, self._lane, request.path_params["number"])

    def news(self, request: Request) -> dict[str, Any]:
        """The last change of each point of an image, and the progress of filling."""
        number = request.path_params["number"]
        lines = trail.states(self._project.store, self._lane, number)
        return {"own": lines, "filling": vars(self._progress)}

    def changes(self, values: dict[str, Any]) -> dict[str, Any]:
        """Stores changes; see `trail.append`."""
        given = values.get("changes")
        if not isinstance(given, list):
            raise ValueError("expected a list of changes.")
        parsed, results = [], []
        known = {*self._project.landmarks, ""}
        for each in given:
            try:
                change = parse(each)
                if change.landmark not in known:
                    raise ValueError(f"expected one of {', '.join(sorted(known))}.")
                parsed.append(change)
            except (TypeError, ValueError) as error:
                uuid = each.get("uuid") if isinstance(each, dict) else None
                refused = {"result": "refused", "reason": str(error)}
                results.append({"uuid": uuid, **refused})
        results += trail.append(self._project.store, self._lane, parsed)
        return {"results": results}

    def undo(self, values: dict[str, Any]) -> dict[str, Any]:
        """Undoes a step; see `trail.undo`."""
        return {"image": trail.undo(self._project.store, self._lane, _uuid(values))}

    def redo(self, values: dict[str, Any]) -> dict[str, Any]:
        """Redoes a step; see `trail.redo`."""
        return {"image": trail.redo(self._project.store, self._lane, _uuid(values))}


def _uuid(values: dict[str, Any]) -> str:
    uuid = values.get("uuid")
    if not isinstance(uuid, str) or not 8 <= len(uuid) <= 64:
        raise ValueError("uuid: expected 8 to 64 characters.")
    return uuid
