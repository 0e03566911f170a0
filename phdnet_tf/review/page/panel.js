// The side of the page: facts, points and the queue, in words.

import { colour, shape, words } from "./markers.js";

const $ = (id) => document.getElementById(id);
const mm = (value) => (value === null || value === undefined ? "" : `${value.toFixed(1)} mm`);

export function fillSelect(id, values, chosen, names = {}) {
  $(id).replaceChildren(
    ...values.map((value) => new Option(names[value] ?? value, value, false, value === chosen)),
  );
}

export function showFacts(sheet, identity) {
  const lines = [`image ${sheet.id}, subject ${sheet.subject}`];
  if (sheet.phases.length > 1) lines[0] += `, phase ${sheet.phase} of ${sheet.phases.length}`;
  if (sheet.recognised === false) lines.push("NOT RECOGNISED: check the view");
  if (sheet.locked) lines.push("LOCKED: the file has changed on disk");
  if (sheet.image?.status) lines.push(sheet.image.status);
  if (sheet.image?.note) lines.push(`note: ${sheet.image.note}`);
  if (identity) lines.push(`${identity.name} ${identity.id} ${identity.study_date}`, identity.file);
  $("facts").replaceChildren(
    ...lines.map((line) => Object.assign(document.createElement("div"), { textContent: line })),
  );
  $("cine").hidden = sheet.phases.length < 2;
}

export function showPoints(sheet, chosen, choose, take) {
  $("points").replaceChildren(
    ...sheet.points.map((point, index) => {
      const now = sheet.now(point);
      const item = document.createElement("li");
      item.className = index === chosen ? "chosen" : "";
      item.append(icon(index), ` ${index + 1} ${words(point.name)}`);
      const small = document.createElement("small");
      small.textContent = said(sheet, point, now);
      item.append(small);
      for (const other of point.others) {
        const button = document.createElement("button");
        button.className = "take";
        button.textContent = `take ${other.reader}'s${other.x === null ? ": absent" : ""}`;
        button.addEventListener("click", (event) => {
          event.stopPropagation();
          button.blur();
          take(index, other);
        });
        item.append(button);
      }
      item.addEventListener("click", () => choose(index));
      return item;
    }),
  );
}

function said(sheet, point, now) {
  if (now.x === null) return now.status || "not placed: click, or A for absent";
  const parts = [now.status || (point.others.length ? "between the readers" : "the model's")];
  const { model } = point;
  if (model && now.status === "corrected") {
    const [y, x] = sheet.spacing;
    parts.push(`moved ${mm(Math.hypot((now.x - model.x) * x, (now.y - model.y) * y))}`);
  } else if (model) {
    parts.push(`90 % within ${mm(model.r90)}`);
    if (!model.high) parts.push("LOW");
    if (model.jump > 8) parts.push(`jumps ${mm(model.jump)}`);
  }
  return parts.join(", ");
}

function icon(index) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("width", 16);
  svg.setAttribute("height", 16);
  svg.setAttribute("viewBox", "-11 -11 22 22");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", shape(index));
  path.setAttribute("fill", "none");
  path.setAttribute("stroke", colour(index));
  path.setAttribute("stroke-width", 3);
  svg.append(path);
  return svg;
}

export function showQueue(queue, id, open) {
  const at = queue.items.findIndex((item) => item.id === id);
  const first = Math.max(0, at - 3);
  $("queue").replaceChildren(
    ...queue.items.slice(first, first + 14).map((item) => {
      const line = document.createElement("li");
      line.className = item.id === id ? "here" : "";
      const done = queue.handled.has(item.id) ? "✓ " : "";
      const value = item.worst ?? item.distance ?? item.from_neighbours;
      line.append(`${done}image ${item.id}`, Object.assign(document.createElement("span"), {
        textContent: item.distance === null ? "absent?" : mm(value),
      }));
      line.addEventListener("click", () => open(item.id));
      return line;
    }),
  );
  $("left").textContent = `${queue.left} left`;
}

export function say(text, buttons = []) {
  const message = $("message");
  message.hidden = !text;
  message.replaceChildren(text ?? "");
  for (const [label, act] of buttons) {
    const button = document.createElement("button");
    button.textContent = label;
    button.addEventListener("click", () => {
      say(null);
      act();
    });
    message.append(button);
  }
}

export function showFilling({ what, done, of }) {
  $("filling").textContent = what ? `${what} ${of === null ? done : `${done} of ${of}`}` : "";
}
