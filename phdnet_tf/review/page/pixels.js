// The pixels of images, of full depth, and what a window makes of them.

import { ask } from "./api.js";

const KEPT = 48; // Images of half a megabyte each.
const ARRAYS = { int16: Int16Array, uint16: Uint16Array, float32: Float32Array };

export class PixelStore {
  constructor() {
    this.kept = new Map();
  }

  // A promise of the pixels; they are asked for once, and the oldest are let go.
  get(id) {
    let found = this.kept.get(id);
    this.kept.delete(id);
    found ??= ask(`/api/images/${id}/pixels`).then(async (answer) => {
      const kind = answer.headers.get("X-Kind");
      return { kind, values: new ARRAYS[kind](await answer.arrayBuffer()) };
    });
    this.kept.set(id, found);
    found.catch(() => this.kept.delete(id));
    for (const key of this.kept.keys()) {
      if (this.kept.size <= KEPT) break;
      this.kept.delete(key);
    }
    return found;
  }

  forget(id) {
    this.kept.delete(id);
  }
}

// Draws pixels into a canvas of the image's size, as grey between two values.
export class Window {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d");
    this.table = new Uint32Array(65536);
  }

  paint(pixels, width, height, dark, bright) {
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.data = this.context.createImageData(width, height);
      this.grey = new Uint32Array(this.data.data.buffer);
    }
    const scale = 255 / Math.max(bright - dark, 1e-9);
    const { kind, values } = pixels;
    const grey = this.grey;
    if (kind === "float32") {
      for (let i = 0; i < values.length; i++) grey[i] = shade((values[i] - dark) * scale);
    } else {
      // A table of all values is quicker than 262,144 divisions.
      const first = kind === "int16" ? -32768 : 0;
      const table = this.table;
      const made = `${kind} ${dark} ${bright}`;
      if (this.made !== made) {
        for (let i = 0; i < 65536; i++) table[i] = shade((i + first - dark) * scale);
        this.made = made;
      }
      for (let i = 0; i < values.length; i++) grey[i] = table[values[i] - first];
    }
    this.context.putImageData(this.data, 0, 0);
  }
}

// Grey and opaque, whatever the order of bytes.
const shade = (value) => {
  const level = value <= 0 ? 0 : value >= 255 ? 255 : Math.round(value);
  return (0xff000000 | (level << 16) | (level << 8) | level) >>> 0;
};
