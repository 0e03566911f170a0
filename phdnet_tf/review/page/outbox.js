// Changes on their way to the server. None is lost when the tab or the server goes.
//
// A change is in localStorage before the next line of code runs, unlike in IndexedDB,
// and leaves it when the server has stored it. What a closed tab leaves is sent by the
// next one of the same reader and project. The server stores what comes twice once. A
// change that met another's stays until the reader has chosen between them.

import { post, RequestError } from "./api.js";

const MOST_BYTES = 60000; // A browser takes 64 KiB of what outlives its tab.
const PATIENCE = 400; // ms between two tries, while the server is away.

export class Outbox {
  constructor(onResult, onState) {
    this.onResult = onResult;
    this.onState = onState;
    this.sending = null;
    this.count = 0;
    addEventListener("pagehide", () => this.#leave());
  }

  // Sends what a tab of the same reader and project has left.
  begin(lane) {
    this.prefix = `change:${lane}:`;
    this.metPrefix = `met:${lane}:`;
    this.met = this.#kept(this.metPrefix); // Keys and changes that met another's.
    this.flush();
  }

  waiting() {
    return this.#kept(this.prefix);
  }

  #kept(prefix) {
    const found = [];
    for (let i = 0; i < localStorage.length; i++) {
      const key = localStorage.key(i);
      if (key.startsWith(prefix)) {
        found.push([key, JSON.parse(localStorage.getItem(key))]);
      }
    }
    // In the order in which they were made; those of one tab at least.
    return found.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }

  put(changes) {
    for (const change of changes) {
      const order = String(Date.now()).padStart(15, "0");
      const more = String(this.count++).padStart(9, "0");
      const key = `${this.prefix}${order}:${more}:${change.uuid}`;
      localStorage.setItem(key, JSON.stringify(change));
    }
    this.flush();
  }

  // Resolves when nothing waits any more.
  flush() {
    this.sending ??= this.#send().finally(() => {
      this.sending = null;
    });
    return this.sending;
  }

  async #send() {
    for (;;) {
      const waiting = this.waiting();
      this.onState(waiting.length ? `storing ${waiting.length}` : "stored");
      if (!waiting.length) return;
      const batch = firstSteps(waiting, 200);
      let answer;
      try {
        answer = await post("/api/changes", { changes: batch.map(([, c]) => c) });
      } catch (error) {
        const known = error instanceof RequestError;
        this.onState(`NOT STORED: ${waiting.length}. ${known ? error.message : ""}`);
        // No patience helps against a wrong token, or where another reader is served;
        // what waits stays where it is.
        if (known && [401, 412].includes(error.status)) return;
        await new Promise((done) => setTimeout(done, PATIENCE));
        continue;
      }
      const results = new Map(answer.results.map((r) => [r.uuid, r]));
      for (const [key, change] of batch) {
        const result = results.get(change.uuid);
        if (result?.result === "conflict") {
          const met = this.metPrefix + key.slice(this.prefix.length);
          localStorage.setItem(met, JSON.stringify(change));
          this.met.push([met, change]);
        }
        localStorage.removeItem(key);
        if (result && result.result !== "stored") this.onResult(change, result);
      }
    }
  }

  // The reader has chosen: what met another's on an image is not needed any more.
  settle(image) {
    const settled = ([, change]) => change.image === image;
    for (const [key] of this.met.filter(settled)) localStorage.removeItem(key);
    this.met = this.met.filter((each) => !settled(each));
  }

  #leave() {
    if (!this.prefix) return;
    const waiting = this.waiting();
    let batch = waiting;
    while (size(batch) > MOST_BYTES) batch = batch.slice(0, batch.length >> 1);
    if (batch.length) {
      const changes = batch.map(([, change]) => change);
      post("/api/changes", { changes }, { keepalive: true }).catch(() => {});
    }
  }
}

const size = (batch) => JSON.stringify(batch).length;

// The first so many changes, and the rest of the last one's step.
function firstSteps(waiting, count) {
  let end = Math.min(count, waiting.length);
  while (end < waiting.length && waiting[end][1].step === waiting[end - 1][1].step) end++;
  return waiting.slice(0, end);
}
