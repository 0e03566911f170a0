"""The page in a real browser, where something comes late or from somebody else."""

import pytest
from support.browser import (
    ADA,
    SPOT,
    drawn_project,
    open_page,
    painted,
    place,
    poll,
    predict,
    serving,
    state,
    stored,
)

from phdnet_tf.review.filling import Progress
from phdnet_tf.review.server import ReviewServer
from phdnet_tf.review.trail import Lane

pytestmark = pytest.mark.slow

BO = Lane("reader", "Bo")


@pytest.fixture
def project(drawn_copy):
    return drawn_copy


def trail(project):
    return project.store.row("SELECT COUNT(*) FROM trail")[0]


def test_keys_wait_until_a_dragged_point_is_put_down(context, project, server):
    page = open_page(context, server.address)
    first = painted(page)
    x, y = place(page)

    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y, steps=3)
    for key in ("Space", "2", "a", "s"):
        page.keyboard.press(key)
    page.mouse.move(x + 40, y)
    page.mouse.up()
    stored(page)

    assert painted(page) == first and trail(project) == 1
    scale = float(page.get_attribute("#overlay", "data-scale"))
    moved = state(project, first, "lv_apex")
    assert moved["x"] == pytest.approx(SPOT[0] + 40 / scale, abs=0.05)


def test_a_drag_ends_with_its_image(context, project, server):
    page = open_page(context, server.address)
    first = painted(page)
    page.keyboard.press("ArrowRight")
    stored(page)
    x, y = place(page)

    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y, steps=3)
    # Another image comes, though no key was pressed.
    page.evaluate("document.querySelector('#queue li:not(.here)').click()")
    second = poll(lambda: painted(page) not in (0, first) and painted(page))
    page.mouse.move(x + 60, y)
    page.mouse.up()
    stored(page)

    assert state(project, second, "lv_apex") is None
    assert trail(project) == 1


def test_a_change_is_its_readers_whoever_is_served_next(context, project):
    with serving(project, ADA) as server:
        page = open_page(context, server.address)
        image = painted(page)
    # The server is away.
    page.keyboard.press("ArrowRight")
    poll(lambda: "NOT STORED" in page.inner_text("#stored"))
    with serving(project, BO) as server:
        other = open_page(context, server.address)
        other.keyboard.press("Shift+ArrowDown")
        stored(other)
        poll(lambda: "another reader" in page.inner_text("#message"))
        assert "NOT STORED: 1" in page.inner_text("#stored")
        bos = state(project, painted(other), "lv_apex", "Bo")
        assert (bos["x"], bos["y"]) == (SPOT[0], SPOT[1] + 5)
        assert state(project, image, "lv_apex") is None
        page.close()
        other.close()
    with serving(project, ADA) as server:
        page = open_page(context, server.address)
        poll(lambda: state(project, image, "lv_apex"))
        assert state(project, image, "lv_apex")["x"] == SPOT[0] + 0.5
    assert trail(project) == 2


def test_a_question_between_two_tabs_stays_until_it_is_answered(
    context, project, server
):
    one = open_page(context, server.address)
    other = open_page(context, server.address.partition("#")[0], painted(one))
    image = painted(one)
    asked = lambda: "Your change is not stored" in other.inner_text("#message")  # noqa: E731
    with other.expect_response("**/news"):
        pass
    one.keyboard.press("ArrowRight")
    stored(one)
    other.keyboard.press("Shift+ArrowLeft")
    poll(asked)

    # The news does not take the question away, nor another image, nor a reload.
    for _ in range(2):
        with other.expect_response("**/news"):
            pass
    assert asked()
    other.keyboard.press("Space")
    other.reload()
    poll(lambda: painted(other))
    poll(asked)
    assert state(project, image, "lv_apex")["x"] == SPOT[0] + 0.5
    other.click("text=keep mine")
    poll(lambda: state(project, image, "lv_apex")["x"] == SPOT[0] - 5)
    poll(lambda: not asked())


def test_an_image_that_changed_under_the_page_stays_locked(context, project, server):
    page = open_page(context, server.address)
    first = painted(page)
    with project.store.writing() as connection:
        connection.execute("UPDATE images SET changed = 'x' WHERE id = ?", (first,))
        # The file has changed for good: what is read of it is something else.
        connection.execute(
            "UPDATE images SET content_hash = 'other' WHERE id = ?", (first,)
        )

    for _ in range(2):
        page.keyboard.press("ArrowRight")
        poll(lambda: "locked" in page.inner_text("#message"))
        poll(lambda: "LOCKED" in page.inner_text("#facts"))

    assert trail(project) == 0


def test_no_key_acts_behind_a_dialog(context, project, server):
    page = open_page(context, server.address)

    page.keyboard.press("?")
    page.evaluate("document.activeElement.blur()")
    page.locator("#keys table").click()
    for key in ("Space", "a", "s"):
        page.keyboard.press(key)
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    stored(page)

    assert trail(project) == 1


def test_predictions_that_come_later_are_shown(context, tmp_path):
    project = drawn_project(tmp_path / "late", images=2, model=False)
    project.choose_model("phdnet_4ch/1", "sums", project.folder)
    progress = Progress(what="predicting", done=0, of=2)
    with ReviewServer(project, ADA, progress) as server:
        page = open_page(context, server.address)
        assert "not placed" in page.inner_text("#points")
        predict(project)
        poll(lambda: "90 % within" in page.inner_text("#points"))
        progress.what = ""
        first = poll(lambda: painted(page))
        page.keyboard.press("Space")
        poll(lambda: painted(page) not in (0, first))
        assert "90 % within" in page.inner_text("#points")


def test_arrows_place_one_point_and_no_other(context, tmp_path):
    project = drawn_project(tmp_path / "bare", images=1, model=False)
    with serving(project) as server:
        page = open_page(context, server.address)
        image = painted(page)
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("a")
        page.keyboard.press("ArrowRight")
        poll(lambda: "is absent" in page.inner_text("#message"))
        stored(page)

    found = [state(project, image, name) for name in ("lv_apex", "mitral_valve")]
    assert found[0]["status"] == "absent" and found[1] is None
    moves = project.store.rows("SELECT action, x FROM trail ORDER BY seq")
    assert [row["action"] for row in moves] == ["place", "move", "move", "absent"]
    assert moves[2]["x"] - moves[0]["x"] == 1


def test_an_image_that_could_not_be_asked_for_comes_again(context, project, server):
    page = open_page(context, server.address)
    first = painted(page)
    away = {"now": True}

    def answer(route):
        route.abort() if away["now"] else route.continue_()

    context.route("**/api/images/*", answer)
    page.reload()
    poll(lambda: "cannot be shown" in page.inner_text("#message"))
    assert "✓" not in page.inner_text("#queue")
    away["now"] = False
    page.reload()
    poll(lambda: painted(page) == first)
