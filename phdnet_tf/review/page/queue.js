// What comes next, in parts: the server has the whole of it.

import { get } from "./api.js";

const PART = 100;
const FEW = 20;

export class Queue {
  constructor() {
    this.filters = { order: "radius", landmark: "", state: "open", group: "recognised", reader: "" };
    this.clear();
  }

  clear() {
    this.items = [];
    this.handled = new Set();
    this.passed = new Set(); // Could not be shown, so nothing was done about them.
    this.left = 0;
    this.complete = false;
    this.loading = null;
  }

  async load() {
    this.clear();
    await this.more();
  }

  // Asks for the next part, once at a time.
  more() {
    const loading = (this.loading ??= this.#more().finally(() => {
      if (this.loading === loading) this.loading = null;
    }));
    return loading;
  }

  async #more() {
    // What is done is no longer open, and so the open ones begin the server's list.
    const shrinks = this.filters.state === "open" && this.filters.group !== "second";
    const offset = shrinks ? 0 : this.items.length;
    const { items } = this;
    const query = new URLSearchParams({ ...this.filters, offset, limit: PART });
    const found = await get(`/api/queue?${query}`);
    // Meanwhile another list was chosen.
    if (this.items !== items) return;
    const known = new Set(this.items.map((item) => item.id));
    const fresh = found.items.filter((item) => !known.has(item.id));
    this.items.push(...fresh);
    // What was accepted here and is not stored yet still counts as open there.
    const onTheWay = found.items.filter((item) => this.handled.has(item.id)).length;
    this.left = found.left - (this.filters.state === "open" ? onTheWay : 0);
    this.complete = fresh.length === 0;
  }

  mark(id, handled) {
    const before = this.handled.has(id);
    if (handled) this.handled.add(id);
    else this.handled.delete(id);
    if (handled !== before && this.items.some((item) => item.id === id)) {
      this.left = Math.max(0, this.left + (handled ? -1 : 1));
    }
  }

  // The images to look at after this one, the nearest first.
  after(id, count) {
    const at = this.items.findIndex((item) => item.id === id);
    const open = (item) => !this.handled.has(item.id) && !this.passed.has(item.id) && item.id !== id;
    const ahead = this.items.slice(at + 1).filter(open);
    // What was passed over comes at the end, when nothing is left ahead.
    const found = ahead.length ? ahead : this.items.slice(0, Math.max(at, 0)).filter(open);
    if (ahead.length < FEW && !this.complete) this.more().catch(() => {});
    return found.slice(0, count);
  }
}
