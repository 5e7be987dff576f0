export type DiffMark = "add" | "remove" | "change" | "none";

export interface DiffLine {
  mark: DiffMark;
  text: string;
}

/** Lines of a rendered difference: they begin with +, - or ~; everything else is a remark. */
export function diffLines(text: string): DiffLine[] {
  const lines = text.replace(/\n$/, "").split("\n");
  if (lines.length === 1 && lines[0] === "") return [];
  return lines.map((line) => {
    const first = line[0];
    return { mark: first === "+" ? "add" : first === "-" ? "remove" : first === "~" ? "change" : "none", text: line };
  });
}

export function diffCounts(lines: readonly DiffLine[]): { add: number; remove: number; change: number } {
  const count = (mark: DiffMark) => lines.filter((l) => l.mark === mark).length;
  return { add: count("add"), remove: count("remove"), change: count("change") };
}

/** One line of a difference: as it is shown inline, and what stands on either side. */
export interface DiffRow extends DiffLine {
  before?: string;
  after?: string;
}

/** Rows of a rendered difference. What changed reads "path: old → new": each side gets its value. */
export function rowsOf(lines: readonly DiffLine[]): DiffRow[] {
  return lines.map((l) => {
    if (l.mark === "none") return { ...l, before: l.text, after: l.text };
    if (l.mark === "add") return { ...l, after: l.text };
    if (l.mark === "remove") return { ...l, before: l.text };
    const colon = l.text.indexOf(": ");
    const arrow = l.text.indexOf(" → ", colon);
    if (colon < 0 || arrow < 0) return { ...l, before: l.text, after: l.text };
    const path = l.text.slice(0, colon + 2);
    return { ...l, before: l.text.slice(0, arrow), after: path + l.text.slice(arrow + 3) };
  });
}

/** Lines of context that stay around a change; an equal part is folded when that hides at least two. */
const context = 3;

/** A fold: so many equal lines, beginning at this row. */
export interface Fold {
  hidden: number;
  at: number;
}

/** Folds what is equal, but what the reader opened. */
export function collapse(rows: readonly DiffRow[], opened: ReadonlySet<number>): (DiffRow | Fold)[] {
  if (!rows.some((r) => r.mark !== "none")) return [...rows];
  const out: (DiffRow | Fold)[] = [];
  for (let i = 0; i < rows.length; ) {
    let end = i;
    while (end < rows.length && rows[end]?.mark === "none") end++;
    const from = i === 0 ? 0 : i + context;
    const to = end === rows.length ? end : end - context;
    if (to - from >= 2 && !opened.has(from)) {
      out.push(...rows.slice(i, from), { hidden: to - from, at: from }, ...rows.slice(to, end));
    } else {
      for (const row of rows.slice(i, end)) out.push(row);
    }
    const changed = rows[end];
    if (changed) out.push(changed);
    i = end + 1;
  }
  return out;
}

/**
 * The difference of two texts by lines. Lines that occur once on both sides hold the rest in place (patience diff), so that
 * the work grows with the length and not with its square; between them what is left is removed and added.
 */
export function diffPair(before: string, after: string): DiffRow[] {
  const a = before.split("\n");
  const b = after.split("\n");
  const out: DiffRow[] = [];
  const todo: [number, number, number, number][] = [[0, a.length, 0, b.length]];
  const differ = (a0: number, a1: number, b0: number, b1: number) => {
    for (let i = a0; i < a1; i++) out.push({ mark: "remove", text: `- ${a[i]}`, before: a[i] });
    for (let i = b0; i < b1; i++) out.push({ mark: "add", text: `+ ${b[i]}`, after: b[i] });
  };
  const same = (from: number, to: number) => {
    for (let i = from; i < to; i++) out.push({ mark: "none", text: `  ${a[i]}`, before: a[i], after: a[i] });
  };
  for (let part = todo.pop(); part; part = todo.pop()) {
    let [a0, a1, b0, b1] = part;
    const head = a0;
    while (a0 < a1 && b0 < b1 && a[a0] === b[b0]) {
      a0++;
      b0++;
    }
    same(head, a0);
    let tail = 0;
    while (a0 < a1 - tail && b0 < b1 - tail && a[a1 - 1 - tail] === b[b1 - 1 - tail]) tail++;
    if (tail > 0) todo.push([a1 - tail, a1, b1 - tail, b1]);
    [a1, b1] = [a1 - tail, b1 - tail];
    const near = a0 < a1 && b0 < b1 ? resync(a, b, a0, a1, b0, b1) : undefined;
    if (near) {
      differ(a0, a0 + near[0], b0, b0 + near[1]);
      todo.push([a0 + near[0], a1, b0 + near[1], b1]);
      continue;
    }
    const anchors = a0 < a1 && b0 < b1 ? anchorsOf(a, b, a0, a1, b0, b1) : [];
    if (anchors.length === 0) {
      differ(a0, a1, b0, b1);
      continue;
    }
    let [endA, endB] = [a1, b1];
    for (const [i, j] of anchors.toReversed()) {
      todo.push([i, endA, j, endB]);
      [endA, endB] = [i, j];
    }
    todo.push([a0, endA, b0, endB]);
  }
  return out;
}

/** How far ahead both texts are looked through for the place where they agree again, and on how many lines they must. */
const [ahead, agreeing] = [40, 3];

/** How many lines of either side are skipped until both agree again, if that is near. */
function resync(a: readonly string[], b: readonly string[], a0: number, a1: number, b0: number, b1: number): [number, number] | undefined {
  for (let skip = 1; skip <= ahead; skip++) {
    for (let i = 0; i <= skip; i++) {
      const [x, y] = [a0 + i, b0 + skip - i];
      let n = 0;
      while (n < agreeing && x + n < a1 && y + n < b1 && a[x + n] === b[y + n]) n++;
      if (n === agreeing) return [i, skip - i];
    }
  }
  return undefined;
}

/** Pairs of lines that occur once on both sides, as many as stand in the same order on both. */
function anchorsOf(a: readonly string[], b: readonly string[], a0: number, a1: number, b0: number, b1: number): [number, number][] {
  const once = (lines: readonly string[], from: number, to: number) => {
    const at = new Map<string, number>();
    for (const [k, line] of lines.slice(from, to).entries()) at.set(line, at.has(line) ? -1 : from + k);
    return at;
  };
  const inB = once(b, b0, b1);
  const pairs: [number, number][] = [];
  for (const [line, i] of once(a, a0, a1)) {
    const j = inB.get(line) ?? -1;
    if (i >= 0 && j >= 0) pairs.push([i, j]);
  }
  pairs.sort((x, y) => x[0] - y[0]);
  // The longest rising run of the places in b.
  const pair = (k: number | undefined) => (k === undefined ? undefined : pairs[k]);
  const last: number[] = [];
  const before: number[] = [];
  for (let k = 0; k < pairs.length; k++) {
    let [low, high] = [0, last.length];
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((pair(last[mid])?.[1] ?? 0) < (pair(k)?.[1] ?? 0)) low = mid + 1;
      else high = mid;
    }
    before[k] = last[low - 1] ?? -1;
    last[low] = k;
  }
  const out: [number, number][] = [];
  for (let k = last.at(-1) ?? -1; k >= 0; k = before[k] ?? -1) {
    const p = pair(k);
    if (p) out.push(p);
  }
  return out.toReversed();
}
