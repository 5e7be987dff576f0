import { describe, expect, it, vi } from "vitest";
import { type Diffed, type Run, changesIn, diffSides, linesOf, patchOf, rowsOf, wordsOf } from "./text-diff";

const side = (text: string, noise: number[] = []) => ({ text, noise });
const words = (runs: readonly Run[]) => runs.map((r) => `${r.mark} ${r.left} ${r.right} ${r.count}`);

describe("two texts", () => {
  const before = side("a\nb\nc\nd\n");
  const after = side("a\nB\nc\nd\ne\n");
  it("are runs of lines that stay, go and come", () => {
    const d = diffSides(before, after, false);
    expect(words(d.runs)).toEqual(["same 0 0 1", "remove 1 1 1", "add 2 1 1", "same 2 2 2", "add 4 4 1"]);
    expect(d).toMatchObject({ added: 2, removed: 1, hidden: 0, coarse: false });
  });
  it("may be empty on either side, or equal", () => {
    expect(words(diffSides(side(""), after, false).runs)).toEqual(["add 0 0 5"]);
    expect(words(diffSides(before, side(""), false).runs)).toEqual(["remove 0 0 4"]);
    expect(words(diffSides(before, before, false).runs)).toEqual(["same 0 0 4"]);
    expect(diffSides(side(""), side(""), false).runs).toEqual([]);
  });
  it("rebuild each other, whatever they are", () => {
    let seed = 7;
    const random = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
    for (let i = 0; i < 200; i++) {
      const text = () => Array.from({ length: random(12) }, () => `${"abc"[random(3)]}\n`).join("");
      const [a, b] = [side(text()), side(text())];
      const [left, right] = [linesOf(a, true), linesOf(b, true)];
      const { runs } = diffSides(a, b, true);
      expect(runs.filter((r) => r.mark !== "add").flatMap((r) => left.slice(r.left, r.left + r.count))).toEqual(left);
      expect(runs.flatMap((r) => (r.mark === "remove" ? [] : r.mark === "add" ? right.slice(r.right, r.right + r.count) : left.slice(r.left, r.left + r.count)))).toEqual(right);
      for (const aside of [false, true]) {
        const rows = rowsOf(runs, aside, new Set(Array.from({ length: 20 }, (_, n) => n)));
        expect(rows.flatMap((r) => (r.kind === "line" && r.right !== undefined ? [r.right] : []))).toEqual(right.map((_, n) => n));
      }
    }
  });
});

describe("noise", () => {
  const before = side("image: 1\nrevision: 7\ncpu: 2\n", [1]);
  const after = side("image: 2\nrevision: 8\ncpu: 2\n", [1]);
  it("is hidden and counted", () => {
    expect(diffSides(before, after, false)).toMatchObject({ added: 1, removed: 1, hidden: 1 });
    expect(linesOf(before, false)).toEqual(["image: 1", "cpu: 2"]);
  });
  it("is shown when it is asked for, and not counted where nothing differs", () => {
    expect(diffSides(before, after, true)).toMatchObject({ added: 2, removed: 2, hidden: 0 });
    expect(diffSides(before, before, false)).toMatchObject({ hidden: 0 });
  });
});

describe("the view", () => {
  const lines = Array.from({ length: 40 }, (_, i) => `line ${i}`);
  const other = lines.map((l, i) => (i === 20 ? "line twenty" : l));
  const { runs } = diffSides(side(lines.join("\n")), side(other.join("\n")), false);
  it("folds what is equal and keeps three lines around a change", () => {
    const rows = rowsOf(runs, false, new Set());
    expect(rows[0]).toEqual({ kind: "fold", at: 0, count: 17 });
    expect(rows.length).toBe(1 + 3 + 2 + 3 + 1);
    expect(changesIn(rows)).toEqual([4]);
    expect(rowsOf(runs, false, new Set([0])).length).toBe(20 + 2 + 3 + 1);
  });
  it("has both on one row side by side, and knows partners one below the other", () => {
    expect(rowsOf(runs, true, new Set())[4]).toEqual({ kind: "line", mark: "change", left: 20, right: 20 });
    expect(rowsOf(runs, false, new Set())[5]).toEqual({ kind: "line", mark: "add", right: 20, pair: 20 });
  });
  it("marks the words that differ", () => {
    expect(wordsOf("line 20", "line twenty", "left")).toEqual([
      { text: "line ", differs: false },
      { text: "20", differs: true },
    ]);
    expect(wordsOf("x".repeat(700), "y", "right")).toEqual([{ text: "x".repeat(700), differs: false }]);
  });
  it("can be kept as a text", () => {
    expect(patchOf(runs, lines, other).split("\n").slice(0, 6)).toEqual(["@@ 17 @@", " line 17", " line 18", " line 19", "-line 20", "+line twenty"]);
  });
});

describe("large texts", () => {
  const big = (n: number, change: (i: number) => boolean) => side(Array.from({ length: n }, (_, i) => `  key-${i}: ${change(i) ? "new" : "old"} value of some length`).join("\n"));
  it("of 5 MB with changes all over are compared line by line and drawn in few rows", () => {
    const [a, b] = [big(140_000, () => false), big(140_000, (i) => i % 2000 === 7)];
    expect(a.text.length).toBeGreaterThan(5_000_000);
    const d = diffSides(a, b, false, 60_000);
    expect(d).toMatchObject({ added: 70, removed: 70, coarse: false });
    expect(rowsOf(d.runs, true, new Set()).length).toBeLessThan(1000);
  });
  it("rebuild each other, with blocks that come, go and repeat", () => {
    let seed = 11;
    const random = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
    for (let i = 0; i < 15; i++) {
      const left = Array.from({ length: 2000 + random(4000) }, (_, n) => (n % 7 < 4 ? "  - name: x" : `line ${n % 900}`));
      const right = [...left];
      for (let n = random(8); n >= 0; n--) {
        const block = Array.from({ length: random(300) }, () => `new ${random(50)}`);
        right.splice(random(right.length), random(300), ...block);
      }
      const { runs, coarse } = diffSides(side(left.join("\n")), side(right.join("\n")), true, 60_000);
      expect(coarse).toBe(false);
      expect(runs.filter((r) => r.mark !== "add").flatMap((r) => left.slice(r.left, r.left + r.count))).toEqual(left);
      expect(runs.flatMap((r) => (r.mark === "remove" ? [] : r.mark === "add" ? right.slice(r.right, r.right + r.count) : left.slice(r.left, r.left + r.count)))).toEqual(right);
    }
  });
  it("tell of their beginning while the rest is compared, and it stays as it is", () => {
    let now = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => (now += 200));
    const told: Diffed[] = [];
    const whole = diffSides(big(20_000, () => false), big(20_000, (i) => i % 4000 === 7), false, 60_000, (d) => told.push(structuredClone(d)));
    clock.mockRestore();
    expect(whole).toMatchObject({ partial: false, coarse: false, added: 5, removed: 5 });
    expect(told.map((d) => d.added)).toEqual([1, 2, 3, 4, 5]);
    for (const d of told) {
      expect(d.partial).toBe(true);
      const settled = d.runs.slice(0, -1); // the last run may grow
      expect(whole.runs.slice(0, settled.length)).toEqual(settled);
    }
  });
  it("with nothing in common are given up in time and shown whole", () => {
    const d = diffSides(big(30_000, () => false), side(Array.from({ length: 30_000 }, (_, i) => `${i}`).join("\n")), false, 100);
    expect(d).toMatchObject({ added: 30_000, removed: 30_000, coarse: true });
  });
  it("that are given up later keep what was found before", () => {
    const other = Array.from({ length: 60_000 }, (_, i) => (i < 30_000 ? `  key-${i}: ${i === 7 ? "new" : "old"} value of some length` : `${i}`));
    const d = diffSides(big(60_000, () => false), side(other.join("\n")), false, 500);
    expect(d.coarse).toBe(true);
    expect(words(d.runs).slice(0, 4)).toEqual(["same 0 0 7", "remove 7 7 1", "add 8 7 1", "same 8 8 29992"]);
  });
});
