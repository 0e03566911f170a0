// Changes on their way to the server. None is lost when the tab or the server goes.
//
// A change is in localStorage before the next line of code runs, unlike in IndexedDB,
// and leaves it when the server has stored it. What a closed tab leaves is sent by the
// next. The server stores what comes twice once.

import { post, RequestError } from "./api.js";

const PREFIX = "change:";
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

  waiting() {
    const found = [];
    for (let i = 0; i < localStorage.length; i++) {
      const key = localStorage.key(i);
      if (key.startsWith(PREFIX)) {
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
      const key = `${PREFIX}${order}:${more}:${change.uuid}`;
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
        // No patience helps against a wrong token; what waits stays where it is.
        if (known && error.status === 401) return;
        await new Promise((done) => setTimeout(done, PATIENCE));
        continue;
      }
      const results = new Map(answer.results.map((r) => [r.uuid, r]));
      for (const [key, change] of batch) {
        const result = results.get(change.uuid);
        localStorage.removeItem(key);
        if (result && result.result !== "stored") this.onResult(change, result);
      }
    }
  }

  #leave() {
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
