// Columns for a terminal of some width, and for a pipe, where none is cut.
import { oneLine } from "./failure.ts";
import type { Style } from "./style.ts";

/** A column; how much of it is needed decides what a narrow terminal shows. */
export interface Column {
  readonly title: string;
  readonly cells: readonly string[];
  /** Left out where no cell has anything, or `-` alone. */
  readonly optional?: boolean;
  /** Where there is no room: left out before anything else, or once others have moved. */
  readonly drop?: "first" | "last";
  /** Characters that it may be cut to. */
  readonly min?: number;
  /** Moves to a line of its own below the row where there is no room. */
  readonly below?: boolean;
  readonly mark?: (row: number) => (text: string) => string;
}

const gap = 2;
/** Characters that a column that may be cut gets before others move or go. */
const comfortable = 20;

/** The width that lines may have: the terminal's, or what COLUMNS says where there is none; undefined for a pipe. */
export function outputWidth(stream: {
  readonly isTTY?: boolean;
  readonly columns?: number;
}): number | undefined {
  if (stream.isTTY && stream.columns) return stream.columns;
  const columns = Number(process.env["COLUMNS"]);
  return Number.isInteger(columns) && columns > 0 ? columns : undefined;
}

const width = (text: string): number => Bun.stringWidth(text);
/** A text in at most so many columns. */
function cut(text: string, max: number): string {
  if (width(text) <= max) return text;
  if (max >= 16) return `${text.slice(0, max - 1).trimEnd()}…`;
  // What is so short is a number, without a part of the name that follows.
  return text
    .slice(0, max + 1)
    .replace(/ \S*$/, "")
    .slice(0, max);
}

/** Lines of a table, its titles first. @param max columns that a line may have; undefined for any number */
export function tableLines(all: readonly Column[], max: number | undefined, style: Style): string[] {
  const clean = all.map((column) => ({ ...column, cells: column.cells.map(oneLine) }));
  const natural = ({ title, cells }: Column): number => Math.max(width(title), ...cells.map(width));
  const min = (column: Column, floor: number): number =>
    column.min === undefined
      ? natural(column)
      : Math.min(natural(column), column.drop === "last" ? column.min : Math.max(floor, column.min));
  const fits = (columns: readonly Column[], floor: number): boolean =>
    max === undefined || columns.reduce((total, column) => total + min(column, floor) + gap, -gap) <= max;

  let shown = clean.filter(({ optional, cells }) => !optional || cells.some((cell) => !/^-?$/.test(cell)));
  let below: Column | undefined;
  for (const column of clean)
    if (column.drop === "first" && !fits(shown, comfortable)) shown = shown.filter((one) => one !== column);
  if (!fits(shown, comfortable)) {
    below = shown.find((column) => column.below);
    shown = shown.filter((column) => column !== below);
  }
  for (const column of clean)
    if (column.drop === "last" && !fits(shown, comfortable)) shown = shown.filter((one) => one !== column);
  const widths = shrunk(shown, shown.map(natural), max);

  const line = (cells: readonly string[], marks?: (column: Column) => (text: string) => string): string =>
    cells
      .map((cell, at) => {
        const text = cut(cell, widths[at]!);
        const marked = marks ? marks(shown[at]!)(text) : text;
        return at === cells.length - 1 ? marked : marked + " ".repeat(widths[at]! - width(text) + gap);
      })
      .join("")
      .trimEnd();
  const count = clean[0]?.cells.length ?? 0;
  const lines = [style.bold(line(shown.map(({ title }) => title)))];
  for (let row = 0; row < count; row++) {
    lines.push(
      line(
        shown.map(({ cells }) => cells[row]!),
        ({ mark }) => mark?.(row) ?? same,
      ),
    );
    const more = below?.cells[row];
    if (more) lines.push(style.dim(`  ${more}`));
  }
  return lines;
}

const same = (text: string): string => text;

/** Widths that fit, taken from what may be left out as well, then from the widest of those that may be cut. */
function shrunk(columns: readonly Column[], widths: number[], max: number | undefined): number[] {
  const total = (): number => widths.reduce((sum, one) => sum + one + gap, -gap);
  while (max !== undefined && total() > max) {
    const able = columns.flatMap(({ min }, at) => (min !== undefined && widths[at]! > min ? at : []));
    if (able.length === 0) break;
    const first = able.filter((at) => columns[at]!.drop !== undefined);
    const widest = (first.length > 0 ? first : able).reduce((a, b) => (widths[b]! > widths[a]! ? b : a));
    widths[widest]!--;
  }
  return widths;
}
