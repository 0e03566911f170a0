// An image under review: its facts, its points as they are now, and changes of them.

import { uuid } from "./api.js";

export const PLACED = ["accepted", "corrected", "unsure"];

export class Sheet {
  constructor(facts, outbox) {
    Object.assign(this, facts);
    this.facts = facts;
    this.outbox = outbox;
    this.shown = performance.now();
  }

  // Where a point is now, and what it is: "" is what nobody has touched.
  now(point) {
    const { own, proposed } = point;
    if (own && own.status) return { status: own.status, x: own.x, y: own.y };
    return { status: "", x: proposed?.x ?? null, y: proposed?.y ?? null };
  }

  has(point) {
    return this.now(point).x !== null;
  }

  clamp({ x, y }) {
    const within = (value, size) => Math.min(size - 0.5, Math.max(-0.5, value));
    return { x: within(x, this.width), y: within(y, this.height) };
  }

  // Changes a point. `place` is null where it has none any more.
  change(point, action, status, place) {
    this.#put([this.#line(point, action, status, place, uuid())]);
  }

  note(text) {
    const status = this.image?.status ?? "";
    this.#put([{ ...this.#line(null, "note", status, null, uuid()), note: text }]);
  }

  skip() {
    this.#put([this.#line(null, "skip", "skipped", null, uuid())]);
  }

  // Accepts all that nobody has touched, and ends the image, in one step.
  accept() {
    const step = uuid();
    const lines = this.points
      .filter((point) => this.now(point).status === "")
      .map((point) => this.#line(point, "accept", "accepted", this.now(point), step));
    lines.push(this.#line(null, "done", "done", null, step));
    this.#put(lines);
  }

  // Changes that met another's, now made after it.
  again(changes) {
    const step = uuid();
    this.#put(
      changes.map(({ change, current }) => ({
        ...change,
        uuid: uuid(),
        step,
        previous: current ? current.uuid : change.previous,
      })),
    );
  }

  #line(point, action, status, place, step) {
    const own = point ? point.own : this.image;
    return {
      uuid: uuid(),
      step,
      image: this.id,
      content_hash: this.content_hash,
      model: this.model,
      landmark: point ? point.name : "",
      action,
      previous: own?.uuid ?? "",
      status,
      x: place?.x ?? null,
      y: place?.y ?? null,
      note: point ? "" : own?.note ?? "",
      seconds: Math.round(performance.now() - this.shown) / 1000,
    };
  }

  #put(lines) {
    for (const { uuid, status, x, y, note, landmark } of lines) {
      this.take(landmark, { uuid, status, x, y, note });
    }
    this.outbox.put(lines);
  }

  take(landmark, own) {
    if (landmark === "") this.image = own;
    else this.points.find((point) => point.name === landmark).own = own;
  }

  // Takes what the server has; true where that was news.
  refresh(lines) {
    let news = false;
    for (const name of ["", ...this.points.map((point) => point.name)]) {
      const own = name ? this.points.find((p) => p.name === name).own : this.image;
      if ((lines[name]?.uuid ?? "") !== (own?.uuid ?? "")) {
        this.take(name, lines[name] ?? null);
        news = true;
      }
    }
    return news;
  }
}
