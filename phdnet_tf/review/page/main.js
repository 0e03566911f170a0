// The review page: which image is open, what is painted, and what each key does.

import { belongTo, get, post, signIn, uuid } from "./api.js";
import { Player } from "./cine.js";
import { Markers, isPlaced, words } from "./markers.js";
import { Outbox } from "./outbox.js";
import { fillSelect, say as show, showFacts, showFilling, showPoints, showQueue } from "./panel.js";
import { PixelStore, Window } from "./pixels.js";
import { listen } from "./pointer.js";
import { Queue } from "./queue.js";
import { Sheet } from "./sheet.js";
import { Viewport } from "./viewport.js";

const $ = (id) => document.getElementById(id);
const AHEAD = 4; // Images that are fetched before they are asked for.
const KEPT_SHEETS = 100;
const NEWS = 1000; // ms between two looks for what other tabs did.
const REACH = { mouse: 14, touch: 26 }; // Screen pixels around a point.

const stage = $("stage");
const viewport = new Viewport(stage, $("canvas"));
const grey = new Window();
const pixels = new PixelStore();
const queue = new Queue();
const sheets = new Map();
const trace = []; // Images that were open, for the way back.
const outbox = new Outbox(refused, (text) => ($("stored").textContent = text));
const markers = new Markers($("overlay"), viewport, (index) => choose(index, false));
const player = new Player(pixels, playFrame);

let project;
let sheet = null; // The image that is open,
let values = null; // its pixels,
let painted = null; // and the one that the reader has before the eyes.
let wanted = null; // The number of the image that is being opened.
let chosen = 0;
let dragged = null; // Where the point is that is being moved,
let held = null; // and of which image and landmark it is.
let reversing = 0; // Undo and redo that are on their way.
let noted = null; // The image of the note that is being written.
let bare = false;
let votes = null;
let identity = null;
let scheduled = false;
let stale = true; // Whether the window has to be computed again.
let view = { dark: 0, bright: 1, k: null, smooth: true, id: null };

async function start() {
  if (!(await signIn())) {
    say("Open the address that the terminal shows. This one has no token.");
    return;
  }
  project = await get("/api/project");
  belongTo(project.lane);
  document.title = `Review: ${project.view || "landmarks"}`;
  $("title").textContent = `${project.view} ${project.reader}${project.role === "judge" ? " decides" : ""}`;
  view = { ...view, ...JSON.parse(sessionStorage.getItem("view") ?? "{}") };
  viewport.smooth = view.smooth;
  if (view.k) viewport.k = view.k;
  else viewport.closeUp();
  setUpFilters();
  outbox.begin(project.lane);
  await queue.load();
  const first = view.id ?? queue.items[0]?.id;
  showQueue(queue, null, open);
  if (first !== undefined) await open(first);
  else waitForImages();
  askAboutConflicts();
  setInterval(lookForNews, NEWS);
}

async function waitForImages() {
  project = await get("/api/project");
  showFilling(project.filling);
  await queue.load();
  if (queue.items.length) return open(queue.items[0].id);
  if (!project.filling.what) return say("Nothing is left here. Choose another list at the side.");
  setTimeout(waitForImages, 500);
}

function setUpFilters() {
  const names = {
    read: "as read", second: "second look", sampled: "random sample",
  };
  const groups = [...project.groups, "second"];
  fillSelect("order", project.orders, "radius", names);
  fillSelect("state", project.states, "open");
  fillSelect("group", groups, "recognised", names);
  fillSelect("landmark", ["", ...project.landmarks], "", { "": "all" });
  fillSelect("reader", ["", ...project.readers], "", { "": "anyone or no one" });
  for (const name of ["order", "state", "group", "landmark", "reader"]) {
    $(name).disabled = project.role === "judge" && name !== "state";
    $(name).addEventListener("change", async (event) => {
      queue.filters[name] = event.target.value;
      event.target.blur();
      await outbox.flush();
      await queue.load();
      if (queue.items.length) open(queue.items[0].id);
      else say("Nothing is left here. Choose another list at the side.");
      showQueue(queue, sheet?.id, open);
    });
  }
}

// What has to be decided stays until it is.
function say(text, buttons) {
  if (outbox.met?.length) askAboutConflicts();
  else show(text, buttons);
}

// --- Opening images

function fetchSheet(id) {
  let found = sheets.get(id);
  sheets.delete(id);
  found ??= get(`/api/images/${id}`).then((facts) => new Sheet(facts, outbox));
  sheets.set(id, found);
  found.then(
    // It is asked for again, for its prediction is still to come.
    (each) => isUnpredicted(each) && sheets.get(id) === found && sheets.delete(id),
    () => sheets.delete(id),
  );
  for (const key of sheets.keys()) {
    if (sheets.size <= KEPT_SHEETS) break;
    if (key !== sheet?.id) sheets.delete(key);
  }
  return found;
}

function isUnpredicted({ points, model }) {
  return Boolean(model) && project.filling.what !== "" && points.every((point) => !point.model);
}

async function open(id, back = false) {
  player.stop();
  wanted = id;
  setPainted(null);
  if (dragged) stopDrag();
  votes = identity = null;
  if (!back && sheet && sheet.id !== id) trace.push(sheet.id);
  let next;
  const asked = pixels.get(id);
  try {
    next = await fetchSheet(id);
  } catch (error) {
    if (wanted === id) unreadable(id, error);
    return;
  }
  let found = null;
  let problem = null;
  try {
    found = await asked;
  } catch (error) {
    problem = error;
  }
  // Meanwhile another may have been opened.
  if (wanted !== id) return;
  const before = sheet;
  sheet = next;
  values = found;
  sheet.shown = performance.now();
  stale = true;
  // The pixels were compared just now; the facts may be older.
  sheet.locked = problem?.status === 409;
  if (problem) {
    say(`Image ${id}: ${problem.message}`);
  } else say(null);
  place(before);
  chosen = firstChoice();
  markers.load(sheet);
  remember();
  refresh();
  if (project.identity) showIdentity(id);
  for (const item of queue.after(id, AHEAD)) prefetch(item.id);
  const at = sheet.phase - 1;
  for (const phase of [at - 1, at + 1]) if (sheet.phases[phase]) prefetch(sheet.phases[phase]);
}

function unreadable(id, error) {
  sheets.delete(id);
  // Where the server is away, it comes again.
  if (error.status) queue.passed.add(id);
  wanted = sheet?.id ?? null;
  refresh();
  say(`Image ${id} cannot be shown: ${error.message}`, [["next", () => goNext(id)]]);
}

function prefetch(id) {
  fetchSheet(id).catch(() => {});
  pixels.get(id).catch(() => {});
}

// Zoom and window stay; what is shown goes with the points, unless it is the same slice.
function place(before) {
  const same = before && before.phases.includes(sheet.id) && before.width === sheet.width;
  viewport.image = sheet;
  if (same) return;
  const places = sheet.points.map((point) => sheet.now(point)).filter((now) => now.x !== null);
  const mean = (axis) => places.reduce((sum, now) => sum + now[axis], 0) / places.length;
  viewport.centreOn(places.length ? { x: mean("x"), y: mean("y") } : viewport.centre);
}

// The landmark of the list, or the first without a place, or the least certain.
function firstChoice() {
  const filter = sheet.points.findIndex((point) => point.name === queue.filters.landmark);
  if (filter >= 0) return filter;
  const open = (point) => sheet.now(point).status === "";
  const empty = sheet.points.findIndex((point) => open(point) && !sheet.has(point));
  if (empty >= 0) return empty;
  const radii = sheet.points.map((point) => (open(point) ? point.model?.r90 ?? 0 : -1));
  return radii.indexOf(Math.max(...radii));
}

async function showIdentity(id) {
  const found = await get(`/api/images/${id}/identity`).catch(() => null);
  if (sheet?.id !== id || wanted !== id) return;
  identity = found;
  refresh();
}

function goNext(id = sheet.id) {
  const [next] = queue.after(id, 1);
  if (next) return open(next.id);
  // Until it is known what comes, no key changes what is done.
  wanted = null;
  refresh();
  // More may have been predicted since the last part was asked for.
  return queue.more().then(() => {
    const [more] = queue.after(id, 1);
    if (more) return open(more.id);
    wanted = sheet?.id ?? null;
    refresh();
    return say(`Nothing is left in this list${project.filling.what ? " yet" : ""}.`);
  });
}

// --- Drawing

function refresh() {
  if (!sheet) return;
  showFacts(sheet, identity);
  showPoints(sheet, chosen, choose, take);
  showQueue(queue, sheet.id, open);
  draw();
}

function draw() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    paint();
  });
}

function paint() {
  if (!sheet || player.playing) return;
  if (!values) {
    viewport.context.clearRect(0, 0, viewport.canvas.width, viewport.canvas.height);
  } else {
    if (stale) paintPixels(values, sheet);
    viewport.draw(grey.canvas);
    if (votes) drawVotes();
  }
  markers.update({ chosen, at: dragged, ghosts: ghosts(), bare });
  if (dragged) viewport.magnify($("magnifier"), grey.canvas, dragged);
  const drawn = sheet;
  // In the next picture this one has been before the reader's eyes.
  if (values && painted !== drawn) {
    requestAnimationFrame(() => {
      if (sheet === drawn) setPainted(drawn);
    });
  }
}

function setPainted(found) {
  painted = found;
  stage.dataset.painted = found?.id ?? "";
}

function paintPixels(found, { width, height, low, high }) {
  const range = high - low;
  grey.paint(found, width, height, low + view.dark * range, low + view.bright * range);
  stale = false;
}

function playFrame(found, phase) {
  paintPixels(found, sheet);
  viewport.draw(grey.canvas);
  stale = true;
  const shown = {
    ...sheet.facts,
    points: sheet.facts.points.map((point) => ({ ...point, own: null, others: [], proposed: phase.points[point.name] ?? null, model: null })),
  };
  markers.sheet = new Sheet(shown, null);
  markers.update({ chosen: -1, bare });
  markers.sheet = sheet;
}

// The same point in the frames before and after: as it is now, where that is known here.
function ghosts() {
  return sheet.points.map((point) => point.beside);
}

function drawVotes() {
  const { canvas, corners } = votes;
  const [[x0, y0], [x1, y1]] = corners;
  const across = (x1 - x0) / (canvas.width - 1);
  const down = (y1 - y0) / (canvas.height - 1);
  viewport.context.drawImage(
    canvas,
    ...[x0 - across / 2 + 0.5, y0 - down / 2 + 0.5],
    ...[across * canvas.width, down * canvas.height],
  );
}

async function toggleVotes() {
  if (votes || !project.model) {
    votes = null;
    return draw();
  }
  const { id } = sheet;
  const name = sheet.points[chosen].name;
  say("Asking the model…");
  try {
    const found = await get(`/api/images/${id}/map?landmark=${encodeURIComponent(name)}`);
    const canvas = document.createElement("canvas");
    canvas.width = found.width;
    canvas.height = found.height;
    const data = canvas.getContext("2d").createImageData(found.width, found.height);
    const levels = atob(found.data);
    for (let i = 0; i < levels.length; i++) {
      data.data.set([255, 140, 0, levels.charCodeAt(i) * 0.8], 4 * i);
    }
    canvas.getContext("2d").putImageData(data, 0, 0);
    if (sheet.id !== id || sheet.points[chosen].name !== name) return undefined;
    say(null);
    votes = { canvas, corners: found.corners };
    return draw();
  } catch (error) {
    return say(error.message);
  }
}

// --- Changes

function choose(index, focus = true) {
  if (index < 0 || index >= sheet.points.length) return;
  const changed = index !== chosen;
  chosen = index;
  if (changed) votes = null;
  if (focus) markers.marks[index].focus({ preventScroll: true });
  if (changed || focus) refresh();
}

function editable() {
  if (!sheet || wanted !== sheet.id || !values || player.playing) return false;
  if (reversing) {
    say("The undo is not stored yet. Change points when it is.");
    return false;
  }
  if (outbox.met.some(([, met]) => met.image === sheet.id)) {
    askAboutConflicts();
    return false;
  }
  if (sheet.locked) say("This image has changed on disk, so it is locked. Restore the file.");
  return !sheet.locked;
}

function change(action, status, to, index = chosen) {
  if (!editable()) return;
  sheet.change(sheet.points[index], action, status, to && sheet.clamp(to));
  refresh();
}

function put(to, action = "move") {
  const isNew = !sheet.has(sheet.points[chosen]);
  change(isNew ? "place" : action, "corrected", to);
  if (!isNew) return;
  const next = sheet.points.findIndex(
    (point) => !sheet.has(point) && sheet.now(point).status === "",
  );
  if (next >= 0) choose(next);
}

function nudge(x, y) {
  const point = sheet.points[chosen];
  const now = sheet.now(point);
  if (now.status === "absent") {
    say(`${words(point.name)} is absent. Click on its position, or press R for the model's point.`);
    return;
  }
  // Without a place it begins in the middle of what is shown.
  const from = now.x === null ? viewport.toImage(viewport.width / 2, viewport.height / 2) : now;
  // The next arrow moves it on: no other point is chosen, as after a click.
  change(now.x === null ? "place" : "move", "corrected", { x: from.x + x, y: from.y + y });
}

function take(index, other) {
  if (other.x === null) change("absent", "absent", null, index);
  else change("move", "corrected", other, index);
}

function accept() {
  if (painted !== sheet || !sheet || !editable()) return;
  const open = sheet.points.filter(
    (point) => !sheet.has(point) && sheet.now(point).status === "",
  );
  if (open.length) {
    say(`${words(open[0].name)} has no place yet. Click on its position, or press A for absent.`);
    return;
  }
  const touched = sheet.points.every((point) => sheet.now(point).status);
  if (!touched || sheet.image?.status !== "done") sheet.accept();
  queue.mark(sheet.id, true);
  goNext();
}

function skip() {
  if (!sheet || wanted !== sheet.id || reversing) return;
  // What is not before the reader's eyes yet is not skipped.
  if (values && painted !== sheet) return;
  if (values && !sheet.locked) {
    sheet.skip();
    queue.mark(sheet.id, true);
  } else queue.passed.add(sheet.id);
  goNext();
}

function unsure() {
  const now = sheet.now(sheet.points[chosen]);
  change("unsure", "unsure", now.x === null ? null : now);
}

async function copy() {
  const mine = sheet;
  const index = chosen;
  const point = sheet.points[index];
  const before = sheet.phases[sheet.phase - 2];
  const known = before === undefined ? null : await sheets.get(before)?.catch(() => null);
  // Meanwhile the reader went on.
  if (sheet !== mine || chosen !== index) return;
  const twin = known?.points.find((each) => each.name === point.name);
  const from = twin ? known.now(twin) : point.beside[0];
  if (from && isPlaced(from.status) && from.x !== null) put(from, "copy");
  else say("You have no point in the previous frame to copy.");
}

let undoing = Promise.resolve();

function reverse(action) {
  const request = uuid();
  reversing += 1;
  undoing = undoing.then(async () => {
    await outbox.flush();
    const { image } = await post(`/api/${action}`, { uuid: request });
    if (image === null) return say(`Nothing to ${action}.`);
    sheets.delete(image);
    const found = await fetchSheet(image);
    queue.mark(image, Boolean(found.image?.status));
    return open(image);
  }).catch((error) => say(error.message)).finally(() => {
    reversing -= 1;
  });
}

function back() {
  const id = trace.pop();
  if (id !== undefined) open(id, true);
}

function step(phases) {
  const id = sheet.phases[sheet.phase - 1 + phases];
  if (id !== undefined) open(id);
}

async function refused(change, result) {
  sheets.delete(change.image);
  if (result.result === "conflict") {
    askAboutConflicts();
    return;
  }
  pixels.forget(change.image); // They may be those of another file.
  if (sheet?.id === change.image) await open(change.image, true);
  if (result.result === "locked") say(`Image ${change.image} has changed on disk, so it is locked. Restore the file. Your change is not stored.`);
  else say(`Image ${change.image}: not stored: ${result.reason ?? "see above"}`);
}

function askAboutConflicts() {
  if (!outbox.met.length) return;
  const { image } = outbox.met[0][1];
  const names = new Set(outbox.met.filter(([, met]) => met.image === image).map(([, met]) => met.landmark || "the image"));
  show(`Image ${image}: ${[...names].map(words).join(", ")} changed in another window meanwhile. Your change is not stored.`,
    [["show theirs", () => resolve(image, false)], ["keep mine", () => resolve(image, true)]]);
}

async function resolve(image, mine) {
  sheets.delete(image);
  try {
    const found = await fetchSheet(image);
    const met = outbox.met.filter(([, each]) => each.image === image);
    // The last of each point is what was meant.
    const last = new Map(met.map(([, each]) => [each.landmark, each]));
    const own = (name) => (name ? found.points.find((p) => p.name === name).own : found.image);
    if (mine) found.again([...last.values()].map((each) => ({ change: each, current: own(each.landmark) ?? { uuid: "" } })));
    outbox.settle(image);
    await open(image, true);
  } catch (error) {
    // What was not settled is asked again.
    say(error.message);
  }
}

async function lookForNews() {
  if (!sheet || outbox.sending || player.playing) return;
  const { id } = sheet;
  const found = await get(`/api/images/${id}/news`).catch((error) => {
    if (error.status === 412) say(error.message);
  });
  if (!found) return;
  const waits = isUnpredicted(sheet);
  const busy = project.filling.what !== "";
  project.filling = found.filling;
  showFilling(found.filling);
  if (busy && found.filling.what === "" && queue.filters.state === "open") {
    // All are predicted: now the worst is known.
    await outbox.flush();
    await queue.load();
    refresh();
  }
  if (sheet?.id !== id || wanted !== id || outbox.sending || dragged || outbox.met.length) return;
  if (waits && !sheet.image && sheet.points.every((point) => !point.own)) {
    sheets.delete(id);
    const now = await fetchSheet(id).catch(() => null);
    const untouched = sheet?.id === id && wanted === id && sheet.points.every((point) => !point.own);
    if (now && untouched && now.points.some((point) => point.model)) open(id, true);
    return;
  }
  if (sheet.refresh(found.own)) {
    say("This image was changed in another window.");
    refresh();
  }
}

// --- Hands

listen(stage, {
  chosen: () => chosen,
  hit: (X, Y, touch) => {
    held = [sheet, chosen];
    return sheet && !bare ? markers.hit(X, Y, chosen, REACH[touch ? "touch" : "mouse"]) : null;
  },
  choose: (index) => choose(index),
  click: (X, Y) => {
    if (isHeld() && !sheet.has(sheet.points[chosen]) && editable()) put(viewport.toImage(X, Y));
  },
  drag: (X, Y, atX, atY) => {
    if (!isHeld() || !editable()) return;
    const now = sheet.now(sheet.points[chosen]);
    dragged = sheet.clamp({ x: now.x + X / viewport.across, y: now.y + Y / viewport.down });
    const lens = $("magnifier");
    lens.hidden = false;
    // In the corner that the hand is not in.
    lens.style.left = atX < viewport.width / 2 && atY < 220 ? `${viewport.width - 192}px` : "12px";
    lens.style.top = "12px";
    draw();
  },
  drop: () => {
    const to = isHeld() ? dragged : null;
    stopDrag();
    if (to) put(to);
  },
  cancel: stopDrag,
  zoom: (factor, X, Y) => zoom(viewport.k * factor, X, Y),
  pan: (X, Y) => {
    viewport.pan(X, Y);
    draw();
  },
  window: (X, Y) => {
    // To the right more contrast, up brighter: half the range over 400 pixels.
    const width = Math.max(0.02, (view.bright - view.dark) * Math.exp(-X / 300));
    const middle = (view.bright + view.dark) / 2 + (Y / 400) * 0.5;
    setWindow(middle - width / 2, middle + width / 2);
  },
});

// Whether what was pressed is still the one that is open and chosen.
function isHeld() {
  return sheet !== null && held?.[0] === sheet && held[1] === chosen;
}

function stopDrag() {
  dragged = null;
  $("magnifier").hidden = true;
  draw();
}

function zoom(k, X, Y) {
  viewport.zoomTo(k, X, Y);
  $("zoom").value = "";
  remember();
  draw();
}

function setWindow(dark, bright) {
  view.dark = dark;
  view.bright = Math.max(bright, dark + 0.01);
  stale = true;
  remember();
  draw();
}

function remember() {
  view.k = viewport.k;
  view.smooth = viewport.smooth;
  view.id = sheet?.id ?? null;
  $("dark").value = view.dark;
  $("bright").value = view.bright;
  sessionStorage.setItem("view", JSON.stringify(view));
}

function closeUp() {
  viewport.closeUp();
  place(null);
  remember();
  draw();
}

function fit() {
  viewport.fit();
  remember();
  draw();
}

function note() {
  if (!editable()) return;
  noted = sheet;
  $("text").value = sheet.image?.note ?? "";
  $("notes").showModal();
}

// Not "close": that event comes later, when a key may have opened the next image.
$("notes").addEventListener("submit", ({ submitter }) => {
  if (submitter.value === "keep" && $("text").value !== (noted.image?.note ?? "")) {
    noted.note($("text").value);
    refresh();
  }
});

function play() {
  if (player.playing) {
    player.stop();
    stale = true;
    markers.load(sheet);
    refresh();
  } else if (sheet.phases.length > 1) {
    setPainted(null);
    player.play(sheet).catch((error) => say(error.message));
  }
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = {
  " ": accept, Backspace: back, s: skip, a: () => change("absent", "absent", null),
  u: unsure, r: () => change("reset", "", null), n: note, f: fit, g: closeUp,
  ",": () => step(-1), ".": () => step(1), p: play, c: copy, m: toggleVotes,
  "?": () => $("keys").showModal(),
  "[": () => choose((chosen || sheet.points.length) - 1),
  "]": () => choose((chosen + 1) % sheet.points.length),
  0: () => setWindow(0, 1), "+": () => zoom(viewport.k * 1.25), "-": () => zoom(viewport.k / 1.25),
  "=": () => zoom(viewport.k * 1.25),
  i: () => {
    viewport.smooth = !viewport.smooth;
    remember();
    draw();
  },
};
// What a key held down repeats; an image is never accepted by a finger that rests.
const REPEATED = new Set(["z", "+", "-", "=", ",", "."]);

addEventListener("keydown", (event) => {
  const typing = event.target.closest("textarea, select, input, button") || document.querySelector("dialog[open]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !sheet) return;
  // The point that is being dragged is put down first.
  if (dragged) return event.preventDefault();
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const arrow = ARROWS[key];
  // By their place on the keyboard: French digits want Shift.
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
  if (arrow) {
    const far = event.shiftKey ? 5 : 0.5;
    if (editable()) nudge(arrow[0] * far, arrow[1] * far);
  } else if (digit) choose(Number(digit[1]) - 1);
  else if (key === "z") reverse(event.shiftKey ? "redo" : "undo");
  else if (key === "h") setBare(true);
  else if (!KEYS[key]) return;
  else if (!event.repeat || REPEATED.has(key)) KEYS[key]();
  event.preventDefault();
});
addEventListener("keyup", (event) => {
  if (event.key.toLowerCase() === "h") setBare(false);
});
addEventListener("blur", () => setBare(false));

function setBare(hide) {
  if (bare === hide) return;
  bare = hide;
  draw();
}

const BUTTONS = {
  accept, skip, back, note, play, copy, unsure, fit, close: closeUp, votes: toggleVotes,
  absent: () => change("absent", "absent", null), reset: () => change("reset", "", null),
  undo: () => reverse("undo"), redo: () => reverse("redo"),
  before: () => step(-1), after: () => step(1), help: () => $("keys").showModal(),
};
for (const [id, act] of Object.entries(BUTTONS)) {
  $(id).addEventListener("click", (event) => {
    // Or the next Space would press it again, and not accept. With the keyboard it stays.
    if (event.detail) $(id).blur();
    if (sheet) act();
  });
}
$("zoom").addEventListener("change", (event) => {
  const { value } = event.target;
  if (value === "fit") fit();
  else if (value) zoom(Number(value) / sheet.spacing[1]);
  event.target.value = "";
  event.target.blur();
});
for (const id of ["dark", "bright"]) {
  $(id).addEventListener("input", () => setWindow(Number($("dark").value), Number($("bright").value)));
}
new ResizeObserver(() => {
  const centre = viewport.toImage(viewport.width / 2, viewport.height / 2);
  viewport.resize();
  viewport.centreOn(centre);
  draw();
}).observe(stage);

start().catch((error) => say(error.message));
