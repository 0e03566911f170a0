// The points over the image, as named elements that can have the focus.
//
// Colours are Okabe and Ito's, which the colour-blind tell apart, and shapes differ
// besides. Markers are open, so that what is under them can be seen.

import { PLACED } from "./sheet.js";

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["#e69f00", "#56b4e9", "#1fc99a", "#f0e442", "#d55e00", "#cc79a7"];
const SHAPES = [
  "M8 0A8 8 0 1 1 -8 0A8 8 0 1 1 8 0Z",
  "M-7 -7H7V7H-7Z",
  "M0 -9L8.5 6H-8.5Z",
  "M0 -9.5L9.5 0L0 9.5L-9.5 0Z",
  "M0 9L8.5 -6H-8.5Z",
  "M-4.5 -8H4.5L9 0L4.5 8H-4.5L-9 0Z",
];
const CROSS = "M-6 0H-2M2 0H6M0 -6V-2M0 2V6";
export const colour = (index) => COLOURS[index % COLOURS.length];
export const shape = (index) => SHAPES[index % SHAPES.length];

function make(parent, name, values) {
  const element = document.createElementNS(SVG, name);
  set(element, values);
  parent.append(element);
  return element;
}

function set(element, values) {
  for (const [key, value] of Object.entries(values)) element.setAttribute(key, value);
}

export class Markers {
  constructor(svg, viewport, onFocus) {
    this.svg = svg;
    this.viewport = viewport;
    this.onFocus = onFocus;
  }

  load(sheet) {
    this.sheet = sheet;
    this.svg.replaceChildren();
    this.behind = make(this.svg, "g", { class: "aside" });
    this.marks = sheet.points.map((point, index) => {
      const mark = make(this.svg, "g", { class: "mark", role: "button" });
      mark.tabIndex = 0;
      mark.dataset.landmark = point.name;
      make(mark, "circle", { class: "halo", r: 14 });
      make(mark, "path", { class: "edge", d: shape(index) });
      make(mark, "path", { class: "line", d: shape(index), stroke: colour(index) });
      mark.addEventListener("focus", () => this.onFocus(index));
      return mark;
    });
    this.frame = make(this.svg, "g", { class: "frame" });
  }

  // `at` has a place for the point that is being dragged.
  update({ chosen, at, ghosts, bare }) {
    const { viewport, sheet } = this;
    set(this.svg, {
      width: viewport.width,
      height: viewport.height,
      "data-scale": viewport.across,
    });
    this.behind.replaceChildren();
    sheet.points.forEach((point, index) => {
      const own = sheet.now(point);
      const now = at && index === chosen ? { ...own, ...at, status: "corrected" } : own;
      const mark = this.marks[index];
      mark.classList.toggle("chosen", index === chosen);
      const there = now.x !== null && !bare;
      mark.style.display = there ? "" : "none";
      if (there) this.#place(mark, point, now);
      if (!bare) this.#behind(point, index, now, index === chosen && !at, ghosts);
    });
    this.#frame();
  }

  #place(mark, point, now) {
    const [X, Y] = this.viewport.toScreen(now);
    const weight = now.status ? 2.5 : 1.25;
    const [, edge, line] = mark.children;
    set(mark, {
      transform: `translate(${X} ${Y})`,
      "aria-label": `${words(point.name)}, ${now.status || "the model's"}, x ${now.x.toFixed(1)}, y ${now.y.toFixed(1)}`,
    });
    set(edge, { "stroke-width": weight + 2 });
    set(line, {
      "stroke-width": weight,
      "stroke-dasharray": now.status === "unsure" ? "4 3" : "none",
    });
  }

  #behind(point, index, now, chosen, ghosts) {
    const { viewport, behind } = this;
    const stroke = colour(index);
    const cross = (place, title, opacity) => {
      const [X, Y] = viewport.toScreen(place);
      const group = make(behind, "g", { transform: `translate(${X} ${Y})`, opacity });
      make(group, "path", { class: "edge", d: CROSS, "stroke-width": 3 });
      make(group, "path", { class: "line", d: CROSS, stroke, "stroke-width": 1 });
      make(group, "title", {}).textContent = title;
      return group;
    };
    const { model } = point;
    if (model) {
      const [X, Y] = viewport.toScreen(model);
      if (now.x !== null && now.status) {
        cross(model, "the model's point", 1);
        const [toX, toY] = viewport.toScreen(now);
        const line = { x1: X, y1: Y, x2: toX, y2: toY, stroke, "stroke-width": 1 };
        make(behind, "line", line);
      }
      if (chosen) {
        for (const [radius, dash] of [[model.r50, "none"], [model.r90, "6 4"]]) {
          // The same mm along x and y are as long on the screen.
          const circle = { cx: X, cy: Y, r: radius * viewport.k };
          make(behind, "circle", { ...circle, class: "edge", "stroke-width": 3, opacity: 0.6 });
          make(behind, "circle", { ...circle, fill: "none", stroke, "stroke-dasharray": dash });
        }
      }
    }
    for (const other of point.others) {
      if (other.x === null) continue;
      const group = cross(other, other.reader, 1);
      make(group, "text", { x: 8, y: -6 }).textContent = other.reader;
    }
    for (const [place, sign] of (ghosts?.[index] ?? []).map((p, i) => [p, "−+"[i]])) {
      if (!place) continue;
      const [X, Y] = viewport.toScreen(place);
      const ghost = { cx: X, cy: Y, r: 3, fill: "none", stroke, opacity: 0.7 };
      make(make(behind, "circle", ghost), "title", {}).textContent = `frame ${sign}1`;
    }
  }

  // Where the sides lie in the patient, and how long a centimetre or more is.
  #frame() {
    const { viewport, sheet, frame } = this;
    const { width, height, k } = viewport;
    frame.replaceChildren();
    const text = (x, y, anchor, words, name = "") => {
      const values = { x, y, "text-anchor": anchor, class: name };
      make(frame, "text", values).textContent = words;
    };
    if (sheet.letters) {
      const [left, top, right, bottom] = sheet.letters;
      text(8, height / 2, "start", left, "letters");
      text(width / 2, 18, "middle", top, "letters");
      text(width - 8, height / 2, "end", right, "letters");
      text(width / 2, height - 8, "middle", bottom, "letters");
    }
    const mm = [5, 10, 20, 50, 100].findLast((each) => each * k < width / 3) ?? 5;
    const bar = `M12 ${height - 12}V${height - 18}V${height - 15}H${12 + mm * k}V${height - 18}V${height - 12}`;
    make(frame, "path", { d: bar, fill: "none", stroke: "#000", "stroke-width": 4 });
    make(frame, "path", { d: bar, fill: "none", stroke: "#fff", "stroke-width": 1.5 });
    text(12, height - 24, "start", `${mm} mm`);
  }

  // The point under a place of the screen: the chosen one first, or else the nearest.
  hit(X, Y, chosen, reach) {
    const distances = this.sheet.points.map((point) => {
      const now = this.sheet.now(point);
      if (now.x === null) return Infinity;
      const [toX, toY] = this.viewport.toScreen(now);
      return Math.hypot(X - toX, Y - toY);
    });
    if (distances[chosen] <= reach) return chosen;
    const best = distances.indexOf(Math.min(...distances));
    return distances[best] <= reach ? best : null;
  }
}

export const words = (name) => name.replaceAll("_", " ");
export const isPlaced = (status) => PLACED.includes(status);
