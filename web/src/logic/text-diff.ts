import { diffArrays, diffWordsWithSpace } from "diff";

/** One side of a comparison: its text, and the numbers of lines, from 0, that no file declares. */
export interface Side {
  text: string;
  noise: readonly number[];
}

/** Lines behind each other that are on both sides, only in the first, or only in the second. Places count from 0. */
export interface Run {
  mark: "same" | "remove" | "add";
  left: number;
  right: number;
  count: number;
}

export interface Diffed {
  runs: Run[];
  added: number;
  removed: number;
  /** Lines of noise that differ and are not in the runs. */
  hidden: number;
  /** The texts have so little in common that, from some line on, they were not compared line by line. */
  coarse: boolean;
  /** The runs are those of the beginning of the texts; they stay as they are, and the rest comes. */
  partial: boolean;
}

/** How long, in milliseconds, two texts are compared before it is said that they have little in common. */
const patience = 4000;

/**
 * Long texts are compared a stretch of lines at a time, which ends where enough lines behind a change are equal on both
 * sides; a stretch without such a place is taken anew, longer. What is shown of the beginning then waits for no other change.
 */
const stretch = 1000;
const enough = 50;

/** How many milliseconds pass before what was found is told for the first time, and again. */
const telling = 100;

/** The lines of a side, with or without noise. */
export function linesOf(side: Side, withNoise: boolean): string[] {
  if (side.text === "") return [];
  const lines = side.text.replace(/\n$/, "").split("\n");
  if (withNoise || side.noise.length === 0) return lines;
  const noise = new Set(side.noise);
  return lines.filter((_, i) => !noise.has(i));
}

function noiseOf(side: Side): string[] {
  const lines = side.text.split("\n");
  return side.noise.map((i) => lines[i] ?? "");
}

/** Compares two texts line by line. What is found is told now and then, if it takes long. */
export function diffSides(before: Side, after: Side, withNoise: boolean, limit = patience, tell?: (soFar: Diffed) => void): Diffed {
  const noise = withNoise ? [] : new Comparison(noiseOf(before), noiseOf(after), limit).all().runs;
  const hidden = Math.max(count(noise, "add"), count(noise, "remove"));
  const c = new Comparison(linesOf(before, withNoise), linesOf(after, withNoise), limit);
  const summed = (partial: boolean): Diffed => ({ runs: c.runs, coarse: c.coarse, partial, added: count(c.runs, "add"), removed: count(c.runs, "remove"), hidden });
  c.all(tell && (() => tell(summed(true))));
  return summed(false);
}

const count = (list: readonly Run[], mark: Run["mark"]) => list.reduce((n, r) => n + (r.mark === mark ? r.count : 0), 0);

/** Two lists of lines that are compared from the first line on. */
class Comparison {
  readonly runs: Run[] = [];
  coarse = false;
  /** Where each list is compared up to, and how many lines at the end of both are equal. */
  private l = 0;
  private r = 0;
  private readonly tail: number;

  constructor(
    private readonly left: readonly string[],
    private readonly right: readonly string[],
    private readonly limit: number,
  ) {
    const shorter = Math.min(left.length, right.length);
    let [head, tail] = [0, 0];
    while (head < shorter && left[head] === right[head]) head++;
    while (tail < shorter - head && left[left.length - 1 - tail] === right[right.length - 1 - tail]) tail++;
    this.tail = tail;
  }

  all(tell?: () => void): this {
    const from = performance.now();
    let told = from;
    for (;;) {
      this.equal();
      const [a, b] = [this.left.length - this.tail - this.l, this.right.length - this.tail - this.r];
      if (a === 0 || b === 0 || !this.step(Math.max(a, b), from + this.limit)) break;
      if (tell && performance.now() - told > telling) {
        tell();
        told = performance.now();
      }
    }
    this.push("remove", this.left.length - this.tail - this.l);
    this.push("add", this.right.length - this.tail - this.r);
    this.push("same", this.tail);
    return this;
  }

  private push(mark: Run["mark"], n: number): void {
    const last = this.runs.at(-1);
    if (n === 0) return;
    if (last?.mark === mark) last.count += n;
    else this.runs.push({ mark, left: this.l, right: this.r, count: n });
    if (mark !== "add") this.l += n;
    if (mark !== "remove") this.r += n;
  }

  /** Goes over the lines that are equal. */
  private equal(): void {
    const most = Math.min(this.left.length - this.l, this.right.length - this.r) - this.tail;
    let n = 0;
    while (n < most && this.left[this.l + n] === this.right[this.r + n]) n++;
    this.push("same", n);
  }

  /** Compares from a change on, up to the first place behind which enough is equal; false when there was no time. */
  private step(rest: number, deadline: number): boolean {
    for (let size = stretch; ; size *= 4) {
      const [a, b] = [this.part(this.left, this.l, size), this.part(this.right, this.r, size)];
      const timeout = deadline - performance.now();
      const parts = timeout > 0 ? diffArrays(...numbered(a, b), { timeout }) : undefined;
      if (!parts) {
        this.coarse = true;
        return false;
      }
      const end = size >= rest ? parts.length : parts.findIndex((p) => !p.added && !p.removed && p.value.length >= enough) + 1;
      if (end === 0) continue;
      for (const p of parts.slice(0, end)) this.push(p.added ? "add" : p.removed ? "remove" : "same", p.value.length);
      return true;
    }
  }

  private part(lines: readonly string[], from: number, size: number): readonly string[] {
    return lines.slice(from, Math.min(from + size, lines.length - this.tail));
  }
}

/** Lines as numbers, equal for equal lines: they are compared faster. */
function numbered(a: readonly string[], b: readonly string[]): [number[], number[]] {
  const known = new Map<string, number>();
  const number = (line: string) => {
    const n = known.get(line) ?? known.size;
    known.set(line, n);
    return n;
  };
  return [a.map(number), b.map(number)];
}

/** What one row of the view shows. */
export type Row =
  | { kind: "line"; mark: "same" | "remove" | "add" | "change"; left?: number; right?: number; pair?: number }
  | { kind: "fold"; at: number; count: number };

/** Lines that stay around a change. */
const context = 3;

/** The rows of a view; `open` has the folds, by the place where they begin on the left, that the reader has opened. */
export function rowsOf(runs: readonly Run[], aside: boolean, open: ReadonlySet<number>): Row[] {
  const rows: Row[] = [];
  runs.forEach((run, i) => {
    if (run.mark === "same") same(rows, run, i === 0, i === runs.length - 1, open);
    else if (run.mark === "remove") {
      const next = runs[i + 1];
      changed(rows, run, next?.mark === "add" ? next : undefined, aside);
    } else if (runs[i - 1]?.mark !== "remove") changed(rows, undefined, run, aside);
  });
  return rows;
}

function same(rows: Row[], run: Run, first: boolean, last: boolean, open: ReadonlySet<number>): void {
  const [head, tail] = [first ? 0 : context, last ? 0 : context];
  const folded = run.count - head - tail;
  const line = (i: number) => rows.push({ kind: "line", mark: "same", left: run.left + i, right: run.right + i });
  const at = run.left + head;
  if (folded < 2 || open.has(at)) {
    for (let i = 0; i < run.count; i++) line(i);
    return;
  }
  for (let i = 0; i < head; i++) line(i);
  rows.push({ kind: "fold", at, count: folded });
  for (let i = run.count - tail; i < run.count; i++) line(i);
}

function changed(rows: Row[], out: Run | undefined, in_: Run | undefined, aside: boolean): void {
  const [removed, added] = [out?.count ?? 0, in_?.count ?? 0];
  const left = (i: number) => (out && i < removed ? out.left + i : undefined);
  const right = (i: number) => (in_ && i < added ? in_.right + i : undefined);
  if (aside) {
    for (let i = 0; i < Math.max(removed, added); i++) rows.push(row("change", left(i), right(i)));
    return;
  }
  for (let i = 0; i < removed; i++) rows.push({ ...row("remove", left(i), undefined), pair: right(i) });
  for (let i = 0; i < added; i++) rows.push({ ...row("add", undefined, right(i)), pair: left(i) });
}

function row(mark: "remove" | "add" | "change", left: number | undefined, right: number | undefined): Row & { kind: "line" } {
  return { kind: "line", mark, ...(left === undefined ? {} : { left }), ...(right === undefined ? {} : { right }) };
}

/** The places of rows at which a change begins. */
export function changesIn(rows: readonly Row[]): number[] {
  const plain = (r: Row | undefined) => r === undefined || r.kind === "fold" || r.mark === "same";
  return rows.flatMap((r, i) => (!plain(r) && plain(rows[i - 1]) ? [i] : []));
}

/** Longer lines are shown as changed as a whole. */
const longest = 600;

/** What of a line is not in its partner, for marking within the line. */
export function wordsOf(line: string, partner: string | undefined, side: "left" | "right"): { text: string; differs: boolean }[] {
  if (partner === undefined || line.length > longest || partner.length > longest) return [{ text: line, differs: false }];
  const parts = side === "left" ? diffWordsWithSpace(line, partner) : diffWordsWithSpace(partner, line);
  const other = side === "left" ? "added" : "removed";
  return parts.filter((p) => !p[other]).map((p) => ({ text: p.value, differs: side === "left" ? p.removed : p.added }));
}

/** The difference as a text that can be kept: unified, with what is folded as a count. */
export function patchOf(runs: readonly Run[], left: readonly string[], right: readonly string[]): string {
  return rowsOf(runs, false, new Set())
    .map((r) => {
      if (r.kind === "fold") return `@@ ${r.count} @@`;
      if (r.mark === "remove") return `-${left[r.left ?? 0] ?? ""}`;
      return r.mark === "add" ? `+${right[r.right ?? 0] ?? ""}` : ` ${right[r.right ?? 0] ?? ""}`;
    })
    .join("\n");
}
