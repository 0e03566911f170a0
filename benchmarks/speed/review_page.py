"""The review page in a real browser: exact, without loss, quick, and flat in memory.

    python benchmarks/speed/review_page.py drag kill undo images cine memory

Needs Chromium (Debian: chromium-headless-shell) and Playwright. Draws its own images.
"""

import argparse
import math
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import requests
from playwright.sync_api import Browser, Page, sync_playwright
from support.browser import (
    SPACING,
    SPOT,
    centroid,
    chromium,
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

from phdnet_tf.review.project import Project

SIZE = {"width": 1280, "height": 800}


def drag(browser: Browser, folder: Path) -> None:
    """A drag at every zoom and ratio of the screen, and what lies under the marker."""
    print("| zoom | screen | drag off by | marker off by, square | smooth |")
    print("| --- | --- | --- | --- | --- |")
    project = drawn_project(folder, images=1)
    with serving(project) as server:
        for ratio in (1, 1.25, 2):
            context = browser.new_context(viewport=SIZE, device_scale_factor=ratio)
            page = open_page(context, _address(server))
            for zoom in (1, 3, 8):
                print(
                    f"| {zoom} | {ratio} | {_drag_once(page, project, zoom, ratio)} |"
                )
            context.close()


def _drag_once(page: Page, project: Project, zoom: int, ratio: float) -> str:
    page.keyboard.press("1")
    page.keyboard.press("r")
    page.keyboard.press("g")
    page.select_option("#zoom", str(zoom))
    poll(lambda: page.get_attribute("#overlay", "data-scale") == str(zoom))
    across, down = zoom, zoom * SPACING[0] / SPACING[1]
    off = []
    for _ in range(2):
        page.keyboard.press("i")
        page.keyboard.down("h")
        poll(lambda: not page.locator(".mark").first.is_visible())
        x, y = place(page)
        # Wide enough for all of the pixel and none of the bright block.
        found = centroid(page.screenshot(), x, y, 2 + down, ratio)
        page.keyboard.up("h")
        poll(lambda: page.locator(".mark").first.is_visible())
        off.append(math.hypot((found[0] - x) / across, (found[1] - y) / down))
    x, y = place(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 7.3 * across, y - 4.1 * down, steps=5)
    page.mouse.up()
    stored(page)
    found = state(project, 1, "lv_apex")
    moved = math.hypot(found["x"] - SPOT[0] - 7.3, found["y"] - SPOT[1] + 4.1)
    return f"{moved:.4f} | {off[0]:.4f} | {off[1]:.4f}"


def _address(server: Any) -> str:
    """Another code for another browser context."""
    origin = server.address.partition("#")[0]
    return f"{origin}#code={server.keys.new_code()}"


def started(project: Path) -> tuple[subprocess.Popen, str]:
    """A server in a process of its own, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from phdnet_tf.cli import main; main()"]
        + ["review", "open", "--no-browser", "--reader", "Ada"]
        + ["--project", str(project)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.match(r"http://\S+", line):
            return process, found.group()
    raise RuntimeError(f"the server ended with {process.wait()}")


def kill(browser: Browser, folder: Path, times: int = 20, count: int = 100) -> None:
    """Kill -9 of the server within a burst of corrections, again and again."""
    project = drawn_project(folder, images=3)
    project.set("filled", project.model)
    process, address = started(project.folder)
    page = open_page(browser.new_context(viewport=SIZE), address)
    lost, waited = 0, []
    expected = 0
    for number in range(times):
        moment = random.Random(number).uniform(0.05, 0.95) * count
        for press in range(count):
            if press == int(moment):
                process.send_signal(signal.SIGKILL)
            # There and back, for the image has an end.
            page.keyboard.press("ArrowRight" if number % 2 == 0 else "ArrowLeft")
        expected += count
        process.wait()
        process, _ = started(project.folder)
        begin = time.monotonic()
        total = "SELECT COUNT(*) FROM trail"
        try:
            poll(lambda: project.store.row(total)[0] >= expected, seconds=10)  # noqa: B023
        except AssertionError:
            lost += expected - project.store.row(total)[0]
        waited.append(time.monotonic() - begin)
    page.keyboard.press("1")
    stored(page)
    text = page.get_attribute(".mark[data-landmark=lv_apex]", "aria-label")
    shown = float(re.search(r"x ([\d.]+)", text).group(1))
    assert abs(state(project, painted(page), "lv_apex")["x"] - shown) < 0.06
    process.kill()
    print(
        f"kill -9, {times} times, {count} corrections each: {lost} lost; all stored "
        f"{max(waited):.2f} s after the restart at the latest"
    )


def undo(browser: Browser, folder: Path) -> None:
    """A hundred steps back, a reload, and a hundred forth."""
    project = drawn_project(folder, images=10)
    with serving(project) as server:
        page = open_page(browser.new_context(viewport=SIZE), server.address)
        for number in range(100):
            before = painted(page)
            page.keyboard.press("Space" if number % 12 == 11 else "ArrowRight")
            if number % 12 == 11:
                poll(lambda: painted(page) not in (0, before))  # noqa: B023
        stored(page)
        query = (
            "SELECT image, landmark, status, x, y FROM state ORDER BY image, landmark"
        )
        done = [tuple(row) for row in project.store.rows(query)]
        count = "SELECT COUNT(DISTINCT step) FROM trail WHERE action = ?"
        for action, key in (("undo", "z"), ("redo", "Shift+Z")):
            for _ in range(100):
                page.keyboard.press(key)
            poll(lambda: project.store.row(count, action)[0] == 100, 60)  # noqa: B023
            if action == "undo":
                left = {row["status"] for row in project.store.rows(query)}
                page.reload()
                poll(lambda: painted(page))
        again = [tuple(row) for row in project.store.rows(query)]
        print(
            f"100 steps undone (states left: {left}), a reload, 100 redone: "
            f"{'all as before' if again == done else 'NOT AS BEFORE'}"
        )


def images(
    browser: Browser, folder: Path, count: int = 10_000, looks: int = 300
) -> None:
    """A project of many images: to the first picture, and from each to the next."""
    count, looks = 10_000, 300
    project = many(folder, count)
    begin = time.monotonic()
    process, address = started(project.folder)
    ready = time.monotonic() - begin
    context = browser.new_context(viewport=SIZE)
    begin = time.monotonic()
    page = open_page(context, address)
    print(
        f"{count} images: server ready {ready:.2f} s, page painted "
        f"{time.monotonic() - begin:.2f} s after that"
    )
    times = _space(page, looks)
    print(
        f"Space to the next image painted, {looks} times: p50 "
        f"{statistics.median(times):.0f} ms, p95 "
        f"{statistics.quantiles(times, n=20)[-1]:.0f} ms, max {max(times):.0f} ms"
    )
    token = page.evaluate("localStorage.getItem('token')")
    origin = address.partition("/#")[0]
    header = {"Authorization": f"Bearer {token}"}
    asked = []
    for offset in (0, count // 2, count - 100):
        begin = time.monotonic()
        query = {"offset": offset, "limit": 100, "state": "all"}
        requests.get(
            f"{origin}/api/queue", params=query, headers=header
        ).raise_for_status()
        asked.append(f"{1000 * (time.monotonic() - begin):.0f}")
    print(f"a part of the queue, of {2 * count} points: {', '.join(asked)} ms")
    process.kill()


def many(folder: Path, count: int) -> Project:
    """A project of so many images of 512 x 512 pixels; most are links to ten files."""
    project = drawn_project(folder, images=10, shape=(512, 512), model=False)
    files = sorted((folder / "images").iterdir())
    [columns] = [
        ", ".join(
            row["name"]
            for row in project.store.rows(
                "SELECT name FROM pragma_table_info('images') "
                "WHERE name NOT IN ('id', 'path', 'cine')"
            )
        )
    ]
    with project.store.writing() as connection:
        for number in range(10, count):
            path = folder / "images" / f"link_{number:06d}.dcm"
            os.link(files[number % 10], path)
            connection.execute(
                f"INSERT INTO images (path, cine, {columns}) "
                f"SELECT ?, ?, {columns} FROM images WHERE id = ?",
                (str(path.resolve()), number + 1, number % 10 + 1),
            )
    predict(project)
    project.set("filled", project.model)
    return project


def _space(page: Page, looks: int) -> list[float]:
    """From a press of Space until the next image is painted, in ms, for the page."""
    page.evaluate(
        """() => {
          window.times = [];
          let pressed = 0;
          addEventListener("keydown", () => { pressed = performance.now(); }, true);
          new MutationObserver(() => {
            times.push(performance.now() - pressed);
          }).observe(document.getElementById("stage"),
            {attributes: true, attributeFilter: ["data-painted"]});
        }"""
    )
    for _ in range(looks):
        before = painted(page)
        page.keyboard.press("Space")
        poll(lambda: painted(page) not in (0, before))  # noqa: B023
    return page.evaluate("times")


def cine(browser: Browser, folder: Path) -> None:
    """How many frames a second a cine of 30 phases of 512 x 512 plays at."""
    project = drawn_project(folder, images=1, phases=30, shape=(512, 512))
    with serving(project) as server:
        page = open_page(browser.new_context(viewport=SIZE), server.address)
        page.evaluate(
            """() => {
              window.drawn = 0;
              const paint = CanvasRenderingContext2D.prototype.putImageData;
              CanvasRenderingContext2D.prototype.putImageData = function (...all) {
                drawn++;
                return paint.apply(this, all);
              };
            }"""
        )
        page.keyboard.press("p")
        poll(lambda: page.evaluate("drawn") > 30, seconds=30)
        first, begin = page.evaluate("drawn"), time.monotonic()
        time.sleep(5)
        rate = (page.evaluate("drawn") - first) / (time.monotonic() - begin)
        print(f"cine of 30 phases: {rate:.1f} frames a second (25 are wanted)")


def memory(browser: Browser, folder: Path, looks: int = 1000) -> None:
    """Memory of the tab while it goes through a thousand images."""
    project = many(folder, looks + 10)
    with serving(project) as server:
        context = browser.new_context(viewport=SIZE)
        page = open_page(context, server.address)
        tools = context.new_cdp_session(page)
        tools.send("Performance.enable")
        print("| images | JavaScript, MB | arrays, MB | elements |")
        print("| --- | --- | --- | --- |")
        for number in range(looks + 1):
            if number % 200 == 0:
                tools.send("HeapProfiler.collectGarbage")
                found = {
                    each["name"]: each["value"]
                    for each in tools.send("Performance.getMetrics")["metrics"]
                }
                heap = tools.send("Runtime.getHeapUsage")
                print(
                    f"| {number} | {found['JSHeapUsedSize'] / 1e6:.1f} | "
                    f"{heap.get('backingStorageSize', 0) / 1e6:.1f} | "
                    f"{found['Nodes']:.0f} |",
                    flush=True,
                )
            before = painted(page)
            page.keyboard.press("Space")
            if number < looks:
                poll(lambda: painted(page) not in (0, before))  # noqa: B023


CHECKS: dict[str, Callable[[Browser, Path], None]] = {
    each.__name__: each for each in (drag, kill, undo, images, cine, memory)
}


def main() -> None:
    """Runs the checks that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checks", nargs="+", choices=CHECKS)
    chosen = parser.parse_args().checks
    program = chromium()
    if program is None:
        sys.exit("no Chromium: install chromium-headless-shell (Debian)")
    with sync_playwright() as driver:
        for name in chosen:
            browser = driver.chromium.launch(executable_path=program)
            with tempfile.TemporaryDirectory() as folder:
                CHECKS[name](browser, Path(folder))
            browser.close()


if __name__ == "__main__":
    main()
