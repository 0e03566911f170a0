// Mouse, pen and fingers on the image. Only pointer events have parts of a pixel.
//
// A press on a point chooses it, and moves it only if it was chosen before: an attempt
// at the window cannot take a point along.

const STILL = 3; // Screen pixels: a tremble is no move.

export function listen(stage, actions) {
  const down = new Map(); // Where each pointer is, by its id.
  let gesture = null;
  let pen = null; // Id of the pen that is on the screen.

  const at = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    if (event.pointerType === "pen") {
      // The hand comes down before its pen.
      if (gesture?.kind === "point") actions.cancel();
      gesture = null;
      down.clear();
      pen = event.pointerId;
    } else if (pen !== null) {
      return; // The hand that holds the pen.
    }
    const [X, Y] = at(event);
    down.set(event.pointerId, [X, Y]);
    stage.setPointerCapture(event.pointerId);
    event.preventDefault();
    if (down.size > 1) {
      // A second finger: what the first began is taken back.
      if (gesture?.kind === "point") actions.cancel();
      gesture = { kind: "pinch", spread: spread(down) };
      return;
    }
    const touch = event.pointerType === "touch";
    const hit = event.button === 0 && !event.shiftKey ? actions.hit(X, Y, touch) : null;
    let kind = touch ? "pan" : "window";
    if (event.button === 1 || event.shiftKey) kind = "pan";
    else if (event.button !== 0) kind = "none";
    else if (hit !== null && hit === actions.chosen()) kind = "point";
    gesture = { kind, hit, id: event.pointerId, start: [X, Y], last: [X, Y], moved: false };
  });

  stage.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId) || !gesture) return;
    const [X, Y] = at(event);
    down.set(event.pointerId, [X, Y]);
    if (gesture.kind === "pinch") {
      const now = spread(down);
      actions.zoom(now.length / Math.max(gesture.spread.length, 1), now.X, now.Y);
      actions.pan(now.X - gesture.spread.X, now.Y - gesture.spread.Y);
      gesture.spread = now;
      return;
    }
    if (event.pointerId !== gesture.id) return;
    const [fromX, fromY] = gesture.start;
    gesture.moved ||= Math.hypot(X - fromX, Y - fromY) >= STILL;
    if (!gesture.moved) return;
    const [lastX, lastY] = gesture.last;
    gesture.last = [X, Y];
    if (gesture.kind === "pan") actions.pan(X - lastX, Y - lastY);
    else if (gesture.kind === "window") actions.window(X - lastX, Y - lastY);
    else if (gesture.kind === "point") actions.drag(X - fromX, Y - fromY, X, Y);
  });

  const end = (event, done) => {
    if (event.pointerId === pen) pen = null;
    if (!down.delete(event.pointerId) || !gesture) return;
    const { kind, hit, id, moved } = gesture;
    if (kind === "pinch") {
      if (down.size === 0) gesture = null;
      else gesture.spread = spread(down);
      return;
    }
    if (event.pointerId !== id) return;
    gesture = null;
    if (kind === "point" && moved) (done ? actions.drop : actions.cancel)();
    else if (done && !moved && event.button === 0) {
      if (hit !== null) actions.choose(hit);
      else actions.click(...at(event));
    }
  };
  stage.addEventListener("pointerup", (event) => end(event, true));
  stage.addEventListener("pointercancel", (event) => end(event, false));
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      actions.zoom(Math.exp(-event.deltaY * lines * 0.0015), ...at(event));
    },
    { passive: false },
  );
  // The middle button would scroll, and the right one open a menu over the image.
  stage.addEventListener("mousedown", (event) => {
    if (event.button === 1) event.preventDefault();
  });
}

function spread(down) {
  const [[aX, aY], [bX, bY] = [aX, aY]] = [...down.values()];
  return {
    X: (aX + bX) / 2,
    Y: (aY + bY) / 2,
    length: Math.hypot(aX - bX, aY - bY),
  };
}
