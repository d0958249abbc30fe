// A recording as a time line of one lane for each kind of entry. Drag or arrow keys scrub, the wheel or + and - zoom.
import { lanes, type Access, type FlightIndex } from "../flight-index.ts";
import { el } from "./dom.ts";

const laneHeight = 22;
const axisHeight = 22;
const labelWidth = 76;
/** The fewest entries, or seconds, across the line. */
const closest = { order: 8, time: 1e-7 } as const;

/** Lane colours that people with any colour vision tell apart; each lane has a row of its own besides. */
const colours = ["#0072b2", "#009e73", "#c47f00", "#3a9bd6", "#b8578f", "#d55e00"];

export type Axis = "order" | "time";

export class Timeline {
  readonly element: HTMLElement;
  readonly #canvas: HTMLCanvasElement;
  readonly #index: FlightIndex;
  readonly #chosen: (at: number) => void;
  #axis: Axis = "order";
  /** What is in view, in entries or in seconds. */
  #from = 0;
  #to: number;
  readonly #position: () => number;
  #waiting = false;

  /**
   * @param position the entry that was gone to last, shown already or not: the next key may come before the next frame
   * @param chosen an entry was chosen
   */
  constructor(index: FlightIndex, position: () => number, chosen: (at: number) => void) {
    this.#index = index;
    this.#position = position;
    this.#chosen = chosen;
    this.#to = index.count;
    this.#canvas = el("canvas", {
      class: "time",
      role: "slider",
      tabindex: 0,
      "aria-label": "Entry of the recording",
      "aria-valuemin": 0,
      "aria-valuemax": Math.max(0, index.count - 1),
      onkeydown: (event) => this.#pressed(event as KeyboardEvent),
      onpointerdown: (event) => this.#dragged(event as PointerEvent),
      onpointermove: (event) => this.#dragged(event as PointerEvent),
      onwheel: (event) => this.#wheeled(event as WheelEvent),
    });
    this.#canvas.style.height = `${lanes.length * laneHeight + axisHeight}px`;
    this.element = this.#canvas;
    new ResizeObserver(() => this.draw()).observe(this.#canvas);
  }

  /** Goes to an entry, and brings it into view. @param text what is there, for those who do not see it */
  show(at: number, text: string): void {
    const place = this.#placeOf(at);
    const span = this.#to - this.#from;
    if (place < this.#from || place > this.#to) this.#look(place - span / 2, place + span / 2);
    this.#canvas.setAttribute("aria-valuenow", String(at));
    this.#canvas.setAttribute("aria-valuetext", text);
    this.draw();
  }

  setAxis(axis: Axis): void {
    this.#axis = axis;
    this.#look(0, this.#end);
  }

  /** @param by below 1 comes closer; 0 shows all */
  zoom(by: number, around = this.#placeOf(this.#position())): void {
    if (by === 0) return this.#look(0, this.#end);
    this.#look(around - (around - this.#from) * by, around + (this.#to - around) * by);
  }

  get #end(): number {
    if (this.#axis === "order") return this.#index.count;
    return (this.#index.seconds.at(-1) ?? 0) * 1.001 + closest.time;
  }

  #placeOf(at: number): number {
    return this.#axis === "order" ? at + 0.5 : (this.#index.seconds[at] ?? 0);
  }

  #look(from: number, to: number): void {
    const span = Math.min(this.#end, Math.max(closest[this.#axis], to - from));
    this.#from = Math.max(0, Math.min(from, this.#end - span));
    this.#to = this.#from + span;
    this.draw();
  }

  /** Draws in the next frame. */
  draw(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#paint();
    });
  }

  #paint(): void {
    const canvas = this.#canvas;
    const scale = devicePixelRatio;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (width <= labelWidth) return;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d")!;
    pen.scale(scale, scale);
    const style = getComputedStyle(canvas);
    pen.font = "12px system-ui, sans-serif";
    pen.fillStyle = style.color;
    for (const [row, name] of lanes.entries()) pen.fillText(name, 4, row * laneHeight + 15);
    this.#paintEntries(pen, width - labelWidth);
    pen.fillStyle = style.color;
    pen.strokeStyle = style.color;
    this.#paintAxis(pen, width);
    const x = labelWidth + this.#x(this.#placeOf(this.#position()), width - labelWidth);
    if (x >= labelWidth && x <= width) pen.fillRect(x - 1, 0, 2, lanes.length * laneHeight);
  }

  #x(place: number, width: number): number {
    return ((place - this.#from) / (this.#to - this.#from)) * width;
  }

  #paintEntries(pen: CanvasRenderingContext2D, width: number): void {
    const { lane, seconds, count } = this.#index;
    const columns = Math.ceil(width);
    const counts = new Uint32Array(columns * lanes.length);
    const byTime = this.#axis === "time";
    const first = byTime ? Math.max(0, this.#index.atTime(this.#from)) : Math.floor(this.#from);
    const last = byTime ? this.#index.atTime(this.#to) + 1 : Math.min(count, Math.ceil(this.#to));
    const perUnit = width / (this.#to - this.#from);
    for (let at = first; at < last; at++) {
      const column = Math.floor(((byTime ? seconds[at]! : at + 0.5) - this.#from) * perUnit);
      if (column >= 0 && column < columns) counts[lane[at]! * columns + column]!++;
    }
    const mark = byTime ? 2 : Math.max(2, Math.min(12, Math.floor(perUnit) - 1));
    for (const [row, colour] of colours.entries()) {
      pen.fillStyle = colour;
      for (let column = 0; column < columns; column++) {
        const entries = counts[row * columns + column]!;
        if (entries === 0) continue;
        const tall = Math.min(laneHeight - 4, 7 + 3 * Math.log2(entries));
        pen.fillRect(
          labelWidth + column - Math.floor(mark / 2),
          row * laneHeight + laneHeight - 2 - tall,
          mark,
          tall,
        );
      }
    }
  }

  #paintAxis(pen: CanvasRenderingContext2D, width: number): void {
    const y = lanes.length * laneHeight + 0.5;
    pen.beginPath();
    pen.moveTo(labelWidth, y);
    pen.lineTo(width, y);
    pen.stroke();
    const ticks = Math.max(2, Math.floor((width - labelWidth) / 130));
    for (let tick = 0; tick < ticks; tick++) {
      const place = this.#from + ((this.#to - this.#from) * tick) / ticks;
      const text = this.#axis === "order" ? `entry ${Math.round(place)}` : timeText(place);
      const x = labelWidth + this.#x(place, width - labelWidth);
      pen.fillRect(x, y, 1, 4);
      pen.fillText(text, x + 3, y + 15);
    }
  }

  #placeAt(event: MouseEvent): number {
    const box = this.#canvas.getBoundingClientRect();
    const share = (event.clientX - box.left - labelWidth) / (box.width - labelWidth);
    return this.#from + Math.max(0, Math.min(1, share)) * (this.#to - this.#from);
  }

  #dragged(event: PointerEvent): void {
    if ((event.buttons & 1) === 0) return;
    if (event.type === "pointerdown") this.#canvas.setPointerCapture(event.pointerId);
    const place = this.#placeAt(event);
    this.#choose(this.#axis === "order" ? Math.floor(place) : this.#index.atTime(place));
  }

  #wheeled(event: WheelEvent): void {
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const step = ((event.deltaX || event.deltaY) / 1000) * (this.#to - this.#from);
      return this.#look(this.#from + step, this.#to + step);
    }
    this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.#placeAt(event));
  }

  #choose(at: number): void {
    this.#chosen(Math.max(0, Math.min(this.#index.count - 1, at)));
  }

  #pressed(event: KeyboardEvent): void {
    const { accessOf, count } = this.#index;
    const access = (by: number): number =>
      this.#index.access(Math.max(0, Math.min(this.#index.accesses - 1, accessOf[this.#position()]! + by)))
        .from;
    const places: Readonly<Record<string, () => number>> = {
      ArrowLeft: () => this.#position() - 1,
      ArrowRight: () => this.#position() + 1,
      ArrowUp: () => access(-1),
      ArrowDown: () => access(1),
      PageUp: () => this.#position() - 1000,
      PageDown: () => this.#position() + 1000,
      Home: () => 0,
      End: () => count - 1,
    };
    const place = places[event.key];
    if (place) this.#choose(place());
    else if (event.key === "+" || event.key === "=") this.zoom(0.5);
    else if (event.key === "-") this.zoom(2);
    else return;
    event.preventDefault();
  }
}

/** What an access took; one of a single entry says nothing of that. */
export const tookText = ({ from, to, took }: Access): string => (to - from > 1 ? timeText(took) : "–");

/** Seconds as people read them. */
export function timeText(seconds: number): string {
  if (seconds === 0) return "0";
  if (seconds < 1e-6) return `${(seconds * 1e9).toFixed(0)} ns`;
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(1)} µs`;
  return seconds < 1 ? `${(seconds * 1e3).toFixed(2)} ms` : `${seconds.toFixed(3)} s`;
}
