"""What the server of the page answers, and to whom."""

import json
import socket
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from support.browser import drawn_project, serving
from support.review import change

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return drawn_project(tmp_path_factory.mktemp("drawn"), images=3)


@pytest.fixture(scope="module")
def server(project):
    with serving(project) as server:
        yield server


@pytest.fixture(scope="module")
def origin(server):
    return server.address.partition("/#")[0]


@pytest.fixture(scope="module")
def session(server, origin):
    code = server.address.partition("code=")[2]
    session = requests.Session()
    session.trust_env = False
    session.headers["Origin"] = origin
    answer = session.post(f"{origin}/api/session", data=code)
    session.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    return session


def test_the_code_works_once(server, origin, session):
    code = server.address.partition("code=")[2]

    answer = session.post(f"{origin}/api/session", data=code)

    assert answer.status_code == 401
    assert session.get(f"{origin}/api/project").json()["reader"] == "Ada"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Origin": "https://example.org"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({"Host": "example.org"}, 421),
        ({"Host": "127.0.0.1:1"}, 421),
    ],
)
@pytest.mark.parametrize("path", ["changes", "undo"])
def test_a_request_that_is_not_the_pages_own_is_refused(
    project, origin, session, path, headers, status
):
    before = project.store.rows("SELECT * FROM trail")
    row = project.store.row("SELECT content_hash FROM images WHERE id = 1")
    sent = vars(change(1, "lv_apex", content_hash=row["content_hash"]))

    answer = session.post(
        f"{origin}/api/{path}",
        data=json.dumps({"changes": [sent], "uuid": "u" * 9}),
        headers=headers,
    )

    assert answer.status_code == status
    assert project.store.rows("SELECT * FROM trail") == before


def test_a_request_that_is_too_large_is_refused_unread(origin, session):
    answer = session.post(f"{origin}/api/changes", data=b" " * (5 << 20))

    assert answer.status_code == 413


def test_nothing_is_read_without_the_token(origin, session):
    for path in ("project", "queue", "images/1", "images/1/pixels", "images/1/news"):
        assert session.get(f"{origin}/api/{path}").ok
        refused = session.get(f"{origin}/api/{path}", headers={"Authorization": None})
        assert refused.status_code == 401


def test_every_answer_has_the_policy_and_is_stored_nowhere(origin, session):
    for path in ("/", "/page/main.js", "/api/project", "/api/images/1/pixels", "/no"):
        headers = session.get(f"{origin}{path}").headers
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "server" not in headers


def test_it_listens_on_this_machine_only(origin):
    port = urlsplit(origin).port
    other = socket.socket()
    with other, pytest.raises(OSError):
        # Another address of the same machine.
        other.settimeout(2)
        other.connect(("127.0.0.2", port))


def test_pixels_have_full_depth(project, origin, session):
    answer = session.get(f"{origin}/api/images/2/pixels")

    pixels = np.frombuffer(answer.content, answer.headers["X-Kind"]).reshape(160, 200)

    assert (pixels[70, 120], pixels[0, 0]) == (4000, 1)


def test_an_image_that_cannot_be_read_is_told_without_its_name(
    project, origin, session
):
    with project.store.writing() as connection:
        connection.execute(
            "INSERT INTO images (path, member, frame, frames, subject, cine, phase, "
            "queued) VALUES ('/gone/Doe_Jane.dcm', '', 1, 1, 1, 99, 1, 1)"
        )
    number = project.store.row("SELECT MAX(id) FROM images")[0]

    for path in (f"images/{number}", f"images/{number}/pixels"):
        answer = session.get(f"{origin}/api/{path}")
        assert answer.status_code == 422
        assert "missing or damaged" in answer.text
        assert "Doe" not in answer.text


def test_whose_image_it_is_is_told_only_if_asked_for(origin, session):
    assert session.get(f"{origin}/api/images/1/identity").status_code == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("images/99", 404),
        ("images/99/pixels", 404),
        ("queue?order=x", 422),
        ("queue?limit=x", 422),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_in_a_line(
    origin, session, path, status
):
    answer = session.get(f"{origin}/api/{path}")

    assert answer.status_code == status
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize("body", ["", "[]", "{", '{"changes": 1}', '{"changes": [1]}'])
def test_changes_that_make_no_sense_are_refused(project, origin, session, body):
    answer = session.post(f"{origin}/api/changes", data=body)

    refused = answer.status_code in (400, 422)
    assert refused or answer.json()["results"][0]["result"] == "refused"
    assert project.store.rows("SELECT * FROM trail") == []


def test_a_landmark_that_is_none_of_the_projects_is_refused(origin, session):
    sent = {"changes": [vars(change(1, "elbow"))]}

    answer = session.post(f"{origin}/api/changes", json=sent)

    # With others in one request: these are not held up.
    [result] = answer.json()["results"]
    assert result["result"] == "refused" and "lv_apex" in result["reason"]


def test_a_page_of_another_reader_is_refused(origin, session):
    lane = session.get(f"{origin}/api/project").json()["lane"]
    ask = f"{origin}/api/queue"

    assert session.get(ask, headers={"X-Lane": lane}).ok
    refused = session.get(ask, headers={"X-Lane": "another"})

    assert refused.status_code == 412
    assert "another reader" in refused.json()["error"]


def test_a_tab_goes_on_when_the_server_starts_again(tmp_path):
    project = drawn_project(tmp_path, images=1)
    with serving(project) as server:
        origin, _, code = server.address.partition("/#code=")
        answer = requests.post(
            f"{origin}/api/session", data=code, headers={"Origin": origin}
        )
        token = answer.json()["token"]
    with serving(project) as server:
        assert server.address.startswith(f"{origin}/")
        header = {"Authorization": f"Bearer {token}"}
        assert requests.get(f"{origin}/api/project", headers=header).ok
    # The database has no token, but a hash of it.
    assert token.encode() not in (project.folder / "review.sqlite").read_bytes()
