"""The page in a real browser; `benchmarks/speed/review_page.py` has the long proofs."""

import math
import shutil
import time

import pytest
from support.browser import (
    SPACING,
    SPOT,
    centroid,
    drag,
    drawn_project,
    open_page,
    painted,
    place,
    poll,
    serving,
    state,
    stored,
)

from phdnet_tf.review.trail import Lane

pytestmark = pytest.mark.slow


@pytest.fixture
def project(drawn_copy):
    return drawn_copy


@pytest.mark.parametrize(("zoom", "ratio"), [(3, 1.25), (8, 2)])
def test_a_drag_moves_the_point_by_what_the_pointer_moved(
    chromium, project, server, zoom, ratio
):
    size = {"width": 1280, "height": 800}
    context = chromium.new_context(viewport=size, device_scale_factor=ratio)
    page = open_page(context, server.address)
    page.select_option("#zoom", str(zoom))
    page.keyboard.press("1")
    # A mm is as long along both axes, and so the pixels are not square.
    across, down = zoom, zoom * SPACING[0] / SPACING[1]
    poll(lambda: page.get_attribute("#overlay", "data-scale") == str(zoom))
    x, y = place(page)

    page.keyboard.down("h")
    poll(lambda: not page.locator(".mark").first.is_visible())
    bright = centroid(page.screenshot(), x, y, 2 + down, ratio)
    page.keyboard.up("h")
    # Where it is smoothed, Chromium itself is off by a 32nd of a pixel.
    assert math.hypot((bright[0] - x) / across, (bright[1] - y) / down) < 0.05

    drag(page, (x, y), (x + 7.3 * across, y - 4.1 * down))
    stored(page)

    found = state(project, painted(page), "lv_apex")
    assert abs(found["x"] - (SPOT[0] + 7.3)) < 0.05
    assert abs(found["y"] - (SPOT[1] - 4.1)) < 0.05
    context.close()


def test_a_point_that_was_not_chosen_does_not_move(context, project, server):
    page = open_page(context, server.address)
    x, y = place(page, "mitral_valve")

    drag(page, (x, y), (x + 30, y + 30))

    # Nor does the one that was.
    assert place(page, "mitral_valve") == (x, y)
    stored(page)
    assert project.store.row("SELECT COUNT(*) FROM trail")[0] == 0
    page.mouse.click(x, y)
    page.mouse.move(x + 1, y + 1)
    drag(page, (x, y), (x + 2, y))  # a tremble
    stored(page)
    assert state(project, painted(page), "mitral_valve") is None
    drag(page, (x, y), (x + 30, y + 30))
    stored(page)
    assert state(project, painted(page), "mitral_valve")["status"] == "corrected"


def test_all_of_it_works_by_keyboard(context, project, server):
    page = open_page(context, server.address)
    first = painted(page)
    press = page.keyboard.press

    press("2")
    press("ArrowRight")
    press("Shift+ArrowUp")
    press("1")
    press("u")
    press("n")
    page.keyboard.type("blurred")
    page.click("button[value=keep]")
    press("Space")
    second = poll(lambda: painted(page) not in (0, first) and painted(page))
    press("1")
    press("a")
    press("]")
    press("ArrowDown")
    press("r")
    press("s")
    poll(lambda: painted(page) not in (0, first, second))
    press("Backspace")
    poll(lambda: painted(page) == second)
    stored(page)

    moved = state(project, first, "mitral_valve")
    assert (moved["x"], moved["y"], moved["status"]) == (80.5, 85, "corrected")
    assert state(project, first, "lv_apex")["status"] == "unsure"
    whole = state(project, first, "")
    assert (whole["status"], whole["note"]) == ("done", "blurred")
    assert state(project, second, "lv_apex")["status"] == "absent"
    assert state(project, second, "mitral_valve")["status"] == ""
    assert state(project, second, "")["status"] == "skipped"
    assert project.store.row("SELECT MIN(seconds) FROM trail")[0] >= 0


def test_points_have_names_and_can_have_the_focus(context, server):
    page = open_page(context, server.address)

    mark = page.get_by_role("button", name="mitral valve, the model's, x 80.0, y 90.0")
    mark.focus()

    poll(lambda: "chosen" in mark.get_attribute("class"))
    page.keyboard.press("ArrowLeft")
    poll(page.get_by_role("button", name="mitral valve, corrected, x 79.5").count)


def test_without_a_model_points_are_placed_by_clicks(context, tmp_path):
    project = drawn_project(tmp_path / "bare", images=2, model=False)
    with serving(project) as server:
        page = open_page(context, server.address)
        image = painted(page)
        box = page.locator("#stage").bounding_box()
        middle = box["x"] + box["width"] // 8 * 4, box["y"] + box["height"] // 8 * 4

        page.keyboard.press("Space")
        assert "no place yet" in page.inner_text("#message")
        page.mouse.click(*middle)
        page.mouse.click(middle[0] + 40, middle[1])
        page.keyboard.press("Space")
        poll(lambda: painted(page) not in (0, image))
        stored(page)

    found = [state(project, image, name) for name in ("lv_apex", "mitral_valve")]
    assert [point["action"] for point in found] == ["place", "place"]
    assert [point["status"] for point in found] == ["corrected", "corrected"]
    assert state(project, image, "")["status"] == "done"


def test_fast_presses_accept_only_what_was_painted(context, project, server):
    page = open_page(context, server.address)
    seen = []
    page.expose_function("seen", lambda number: number and seen.append(int(number)))
    page.evaluate(
        """new MutationObserver(() => seen(stage.dataset.painted)).observe(
        document.getElementById("stage"),
        {attributes: true, attributeFilter: ["data-painted"]})"""
    )
    first = painted(page)

    # A fast machine has many presses between two pictures: these accept nothing.
    def all_accepted():
        for _ in range(60):
            page.keyboard.press("Space")
        return "Nothing is left" in page.inner_text("#message")

    poll(all_accepted)
    stored(page)
    assert page.inner_text("#left") == "0 left"

    done = project.store.rows("SELECT image FROM trail WHERE status = 'done'")
    assert [row["image"] for row in done] == [first, *seen]
    assert len(done) == 12
    accepted = project.store.rows("SELECT x FROM trail WHERE status = 'accepted'")
    assert len(accepted) == 24


def test_of_two_tabs_none_overwrites_the_other(context, project, server):
    one = open_page(context, server.address)
    other = open_page(context, server.address.partition("#")[0], painted(one))
    image = painted(one)
    # As if the news had not come yet.
    other.route("**/news", lambda route: route.abort())

    one.keyboard.press("ArrowRight")
    stored(one)
    other.keyboard.press("Shift+ArrowLeft")
    poll(lambda: "changed in another window" in other.inner_text("#message"))

    assert state(project, image, "lv_apex")["x"] == SPOT[0] + 0.5
    other.click("text=keep mine")
    poll(lambda: state(project, image, "lv_apex")["x"] == SPOT[0] - 5)
    # The first tab is told, and shows it.
    poll(lambda: "another window" in one.inner_text("#message"))
    assert one.get_by_role("button", name=f"x {SPOT[0] - 5}.0").count()


def test_undo_and_redo_go_over_images_and_reloads(context, project, server):
    page = open_page(context, server.address)
    first = painted(page)
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    poll(lambda: painted(page) not in (0, first))
    page.keyboard.press("ArrowDown")
    stored(page)
    page.reload()
    poll(lambda: painted(page))

    for _ in range(7):
        page.keyboard.press("z")
    poll(lambda: state(project, first, "lv_apex")["status"] == "")
    poll(lambda: painted(page) == first)
    assert state(project, first, "")["status"] == ""

    page.reload()
    poll(lambda: painted(page))
    for _ in range(7):
        page.keyboard.press("Shift+Z")
    poll(lambda: state(project, first, "lv_apex")["x"] == SPOT[0] + 2.5)
    poll(lambda: state(project, first, "")["status"] == "done")


def test_a_tab_that_is_closed_in_a_burst_loses_nothing(context, project, server):
    page = open_page(context, server.address)
    image = painted(page)

    for _ in range(60):
        page.keyboard.press("ArrowRight")
    page.close(run_before_unload=True)

    count = "SELECT COUNT(*) FROM trail"
    poll(lambda: project.store.row(count)[0] == 60)
    assert state(project, image, "lv_apex")["x"] == SPOT[0] + 30


def test_an_image_that_changed_on_disk_is_locked(context, project, server, tmp_path):
    page = open_page(context, server.address)
    first = painted(page)
    page.keyboard.press("ArrowRight")
    stored(page)
    [row] = project.store.rows("SELECT path FROM images WHERE id = ?", first)
    [other] = project.store.rows("SELECT path FROM images WHERE id = ?", first + 1)
    shutil.copy(row["path"], tmp_path / "kept.dcm")
    shutil.copy(other["path"], row["path"])

    page.reload()
    poll(lambda: "LOCKED" in page.inner_text("#facts"))
    page.keyboard.press("ArrowRight")

    assert state(project, first, "lv_apex")["x"] == SPOT[0] + 0.5
    assert page.locator(".mark").first.is_visible()
    shutil.copy(tmp_path / "kept.dcm", row["path"])
    page.reload()
    poll(lambda: painted(page) == first)
    assert "LOCKED" not in page.inner_text("#facts")


def test_nothing_leaves_the_machine_and_no_name_is_shown(context, project, server):
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))

    page.goto(server.address)
    poll(lambda: painted(page))
    page.keyboard.press("?")
    page.keyboard.press("Escape")
    page.keyboard.press("Space")
    stored(page)

    origin = server.address.partition("/#")[0]
    assert {url.startswith(origin) for url in asked} == {True}
    assert said == []
    assert "code" not in page.url
    everything = page.content() + " ".join(asked) + page.title()
    assert "Secret" not in everything
    assert "image_0" not in everything


def test_two_fingers_zoom_and_move_no_point(chromium, project, server):
    size = {"width": 820, "height": 1180}
    context = chromium.new_context(viewport=size, has_touch=True)
    page = open_page(context, server.address)
    before = float(page.get_attribute("#overlay", "data-scale"))
    x, y = place(page)
    hand = context.new_cdp_session(page)

    def touch(kind, *points):
        fingers = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        hand.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    # The first finger comes down on the chosen point and begins to drag it.
    touch("touchStart", (x, y))
    touch("touchMove", (x + 10, y))
    touch("touchStart", (x + 10, y), (x + 110, y))
    touch("touchMove", (x - 40, y), (x + 160, y))
    touch("touchEnd")

    # From 100 to 200 screen pixels apart.
    poll(
        lambda: (
            abs(float(page.get_attribute("#overlay", "data-scale")) / before - 2) < 0.01
        )
    )
    touch("touchStart", place(page))
    x, y = place(page)
    touch("touchMove", (x + 20 * before, y))
    touch("touchEnd")
    stored(page)
    # One finger drags it: 20 pixels before are 10 pixels now.
    moved = state(project, painted(page), "lv_apex")
    assert moved["x"] == pytest.approx(SPOT[0] + 10, abs=0.1)
    assert project.store.row("SELECT COUNT(*) FROM trail")[0] == 1
    context.close()


def test_a_pen_drags_a_point_and_the_hand_that_holds_it_does_nothing(
    chromium, project, server
):
    size = {"width": 820, "height": 1180}
    context = chromium.new_context(viewport=size, has_touch=True)
    page = open_page(context, server.address)
    scale = float(page.get_attribute("#overlay", "data-scale"))
    x, y = place(page)
    device = context.new_cdp_session(page)

    def pen(kind, x, y, buttons=1):
        event = {"type": kind, "x": x, "y": y, "pointerType": "pen", "force": 0.5}
        button = {"button": "left", "buttons": buttons, "clickCount": 1}
        device.send("Input.dispatchMouseEvent", event | button)

    def palm(kind, *points):
        fingers = [{"x": x, "y": y} for x, y in points]
        device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    pen("mouseMoved", x - 30, y, buttons=0)  # above the screen
    palm("touchStart", (x + 60, y + 60))
    pen("mousePressed", x, y)
    pen("mouseMoved", x + 5 * scale, y)
    palm("touchMove", (x + 90, y + 60))
    palm("touchEnd")
    palm("touchStart", (x + 60, y + 60))
    pen("mouseMoved", x + 10 * scale, y)
    pen("mouseReleased", x + 10 * scale, y, buttons=0)
    palm("touchEnd")
    stored(page)

    moved = state(project, painted(page), "lv_apex")
    assert moved["x"] == pytest.approx(SPOT[0] + 10, abs=0.1)
    assert moved["y"] == pytest.approx(SPOT[1], abs=0.1)
    assert project.store.row("SELECT COUNT(*) FROM trail")[0] == 1
    assert float(page.get_attribute("#overlay", "data-scale")) == scale
    # With the pen away a finger is a finger again.
    palm("touchStart", place(page))
    palm("touchMove", (x, y))
    palm("touchEnd")
    stored(page)
    moved = state(project, painted(page), "lv_apex")
    assert moved["x"] == pytest.approx(SPOT[0], abs=0.1)
    context.close()


def test_who_may_see_it_is_shown_whose_image_it_is(context, project):
    with serving(project, show_identity=True) as server:
        page = open_page(context, server.address)
        poll(lambda: "Secret" in page.inner_text("#facts"))


def test_a_cine_is_gone_through_and_its_correction_copied(context, tmp_path):
    project = drawn_project(tmp_path / "cine", images=1, phases=6)
    with serving(project) as server:
        page = open_page(context, server.address, image=1)
        page.keyboard.press("1")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press(".")
        poll(lambda: painted(page) == 2)
        page.keyboard.press("1")
        page.keyboard.press("c")
        stored(page)
        page.keyboard.press("p")
        time.sleep(0.3)
        page.keyboard.press("p")
        poll(lambda: painted(page) == 2)

    copied = state(project, 2, "lv_apex")
    assert (copied["action"], copied["x"]) == ("copy", SPOT[0] + 5)


def test_the_judge_sees_both_readers_and_accepts_what_lies_between(context, project):
    from support.review import change

    from phdnet_tf.review.trail import append

    row = project.store.row("SELECT content_hash FROM images WHERE id = 3")
    for name, x in (("Ada", 100.0), ("Bo", 104.0)):
        for landmark in ("lv_apex", "mitral_valve"):
            moved = change(3, landmark, content_hash=row["content_hash"], x=x, y=50.0)
            append(project.store, Lane("reader", name), [moved])
    with serving(project, Lane("judge", "Cy")) as server:
        page = open_page(context, server.address, image=3)
        page.click("text=take Bo's >> nth=1")
        page.keyboard.press("Space")
        poll(lambda: "Nothing is left" in page.inner_text("#message"))
        stored(page)

    assert state(project, 3, "lv_apex", "Cy")["x"] == 102
    assert state(project, 3, "mitral_valve", "Cy")["x"] == 104
    assert state(project, 3, "lv_apex", "Cy")["role"] == "judge"
