// A cine that plays: the phases one after the other, with their points.

import { get } from "./api.js";

const FASTEST = 30; // Frames a second: about that of the heart.

export class Player {
  constructor(pixels, show) {
    this.pixels = pixels;
    this.show = show;
    this.playing = null;
  }

  // Plays until `stop`; images have to be of one size.
  async play(sheet) {
    const mine = Symbol("play");
    this.playing = mine;
    const phases = await get(`/api/images/${sheet.id}/cine`);
    const loaded = await Promise.all(
      phases.map((phase) => this.pixels.get(phase.id).catch(() => null)),
    );
    let at = sheet.phase - 1;
    let due = performance.now();
    const step = (now) => {
      if (this.playing !== mine) return;
      if (now >= due) {
        // From when it was due, or a screen of 60 pictures a second would make it 20.
        due = Math.max(due + 1000 / FASTEST, now - 1000 / FASTEST);
        at = (at + 1) % phases.length;
        if (loaded[at]) this.show(loaded[at], phases[at]);
      }
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  stop() {
    this.playing = null;
  }
}
