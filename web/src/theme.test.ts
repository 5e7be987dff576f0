import { expect, it } from "vitest";
import css from "./styles.css?raw";
import { chooseTheme } from "./theme";

const tokens = new Map([...css.matchAll(/--c-([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map((m) => [m[1], [m[2] ?? "", m[3] ?? ""]] as const));

function luminance(hex: string): number {
  const part = (i: number) => {
    const c = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
}

/** The lesser contrast of two tokens in both themes. */
function contrast(a: string, b: string): number {
  const of = (i: 0 | 1) => {
    const [hi, lo] = [a, b].map((t) => luminance(tokens.get(t)?.[i] ?? "#000000")).toSorted((x, y) => y - x);
    return ((hi ?? 0) + 0.05) / ((lo ?? 0) + 0.05);
  };
  return Math.min(of(0), of(1));
}

it("keeps every text readable on every ground it stands on", () => {
  const states = ["ok", "run", "wait", "warn", "bad", "idle", "accent"];
  const grounds = ["ground", "panel", "sunken"];
  const pairs = [
    ...["fg", "muted", ...states].flatMap((t) => grounds.map((g) => [t, g] as const)),
    ...states.map((s) => [s, `${s}-soft`] as const),
    ...states.map((s) => ["fg", `${s}-soft`] as const),
    ...states.map((s) => ["muted", `${s}-soft`] as const),
    ["accent-fg", "accent"] as const,
  ];
  expect(pairs.filter(([t, g]) => contrast(t, g) < 4.5).map(([t, g]) => `${t} on ${g}: ${contrast(t, g).toFixed(2)}`)).toEqual([]);
});

it("keeps shapes visible beside what they touch", () => {
  expect(contrast("edge", "panel")).toBeGreaterThan(3);
  expect(contrast("new", "panel")).toBeGreaterThan(3);
  expect(contrast("new", "old")).toBeGreaterThan(2.4);
});

it("takes a kept theme, and the browser's preference for anything else", () => {
  expect(chooseTheme("dark")).toBe("dark");
  expect(chooseTheme(null)).toBe("auto");
  expect(chooseTheme("purple")).toBe("auto");
});
