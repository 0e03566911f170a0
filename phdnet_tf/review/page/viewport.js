// Where on the screen a pixel of the image is, and back; and the drawing of it.
//
// Positions are (x, y) in pixels of the image, (0, 0) the centre of the first. A
// millimetre is as long along x as along y, whatever the pixels.

export const CLOSE_UP = 125; // mm, the side of what is shown at first.
const LENS = 10; // Screen pixels of a mm under the magnifier, at least.

export class Viewport {
  constructor(stage, canvas) {
    this.stage = stage;
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.smooth = true;
    this.k = 2; // Screen pixels of a mm.
    this.left = this.top = 0; // Screen position of the image's corner.
    this.image = { width: 1, height: 1, spacing: [1, 1] };
    this.resize();
  }

  resize() {
    // Multiples of four are whole on screens of 1.25 and 1.5 pixels a pixel.
    this.width = Math.max(4, Math.floor(this.stage.clientWidth / 4) * 4);
    this.height = Math.max(4, Math.floor(this.stage.clientHeight / 4) * 4);
    this.ratio = devicePixelRatio;
    this.canvas.width = Math.round(this.width * this.ratio);
    this.canvas.height = Math.round(this.height * this.ratio);
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.height}px`;
  }

  get across() {
    return this.image.spacing[1] * this.k;
  }

  get down() {
    return this.image.spacing[0] * this.k;
  }

  toScreen({ x, y }) {
    return [this.left + (x + 0.5) * this.across, this.top + (y + 0.5) * this.down];
  }

  toImage(X, Y) {
    return {
      x: (X - this.left) / this.across - 0.5,
      y: (Y - this.top) / this.down - 0.5,
    };
  }

  centreOn(point, X = this.width / 2, Y = this.height / 2) {
    this.left = X - (point.x + 0.5) * this.across;
    this.top = Y - (point.y + 0.5) * this.down;
  }

  zoomTo(k, X = this.width / 2, Y = this.height / 2) {
    const kept = this.toImage(X, Y);
    this.k = Math.min(200, Math.max(0.1, k));
    this.centreOn(kept, X, Y);
  }

  pan(X, Y) {
    this.left += X;
    this.top += Y;
  }

  get centre() {
    return { x: (this.image.width - 1) / 2, y: (this.image.height - 1) / 2 };
  }

  fit() {
    const [y, x] = this.image.spacing;
    this.k = Math.min(
      this.width / (this.image.width * x),
      this.height / (this.image.height * y),
    );
    this.centreOn(this.centre);
  }

  closeUp() {
    this.k = Math.min(this.width, this.height) / CLOSE_UP;
  }

  draw(source) {
    const { context, ratio } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.imageSmoothingEnabled = this.smooth;
    context.setTransform(
      ...[ratio * this.across, 0, 0, ratio * this.down],
      ...[ratio * this.left, ratio * this.top],
    );
    context.drawImage(source, 0, 0);
  }

  // What is around a point, enlarged, with a cross at the point.
  magnify(lens, source, point) {
    const context = lens.getContext("2d");
    const middle = lens.width / 2;
    // Of a close-up little more can be seen, of a whole thorax much.
    const times = Math.max(1.5, LENS / this.k);
    const [across, down] = [times * this.across, times * this.down];
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillRect(0, 0, lens.width, lens.height);
    context.imageSmoothingEnabled = this.smooth;
    const left = middle - (point.x + 0.5) * across;
    const top = middle - (point.y + 0.5) * down;
    context.setTransform(across, 0, 0, down, left, top);
    context.drawImage(source, 0, 0);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.strokeStyle = "#fff";
    context.beginPath();
    for (const [a, b] of [[-24, -6], [6, 24]]) {
      context.moveTo(middle + a, middle);
      context.lineTo(middle + b, middle);
      context.moveTo(middle, middle + a);
      context.lineTo(middle, middle + b);
    }
    context.stroke();
  }
}
