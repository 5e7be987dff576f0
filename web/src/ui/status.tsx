import { useLingui } from "@lingui/react";
import type { Look, Shape, Tone } from "../logic/status";

const circle = "M3 12a9 9 0 1 0 18 0a9 9 0 1 0-18 0";

/** Drawn with a pen on a square of 24, each in one stroke: a list has two hundred of them, and every element counts. */
const glyphs: Readonly<Record<Shape | "star", string>> = {
  check: "M4 12.5l5.5 5.5L20 6.5",
  cross: "M6 6l12 12M18 6L6 18",
  spin: "M12 3a9 9 0 1 0 9 9",
  clock: `${circle}M12 7v5l3.5 2`,
  pause: `${circle}M10 9v6M14 9v6`,
  back: "M9 14l-5-5l5-5M4 9h10a5.5 5.5 0 0 1 0 11h-4",
  skip: "M5 5l10 7l-10 7zM19 5v14",
  dash: "M5 12h14",
  dot: "M10 3.2a9 9 0 0 1 4 0M17.5 4.9a9 9 0 0 1 2.5 3M21 12.5a9 9 0 0 1-1.4 4.3M16.5 19.8a9 9 0 0 1-3.6 1.1M9.4 20.6a9 9 0 0 1-3.6-2.1M3.4 15a9 9 0 0 1-.2-4M4.9 6.5a9 9 0 0 1 2-1.9",
  alert: `${circle}M12 7.5v5M12 16.2v.1`,
  question: `${circle}M9.2 9.3a2.9 2.9 0 0 1 5.6.9c0 1.9-2.8 2.3-2.8 3.6M12 16.8v.1`,
  stop: `${circle}M6 6l12 12`,
  exit: "M7 17L17 7M8 7h9v9",
  star: "M12 3l2.8 5.7l6.2.9l-4.5 4.4l1.1 6.2l-5.6-2.9l-5.6 2.9l1.1-6.2l-4.5-4.4l6.2-.9z",
};

/** A shape without a word. */
export function Glyph({ shape, size, className = "" }: { shape: Shape | "star"; size: number; className?: string }) {
  return (
    <svg aria-hidden viewBox="0 0 24 24" width={size} height={size} className={`glyph ${className}`}>
      <path d={glyphs[shape]} />
    </svg>
  );
}

export const toneText: Readonly<Record<Tone, string>> = {
  ok: "text-ok",
  run: "text-run",
  wait: "text-wait",
  warn: "text-warn",
  bad: "text-bad",
  idle: "text-idle",
};

export const toneSoft: Readonly<Record<Tone, string>> = {
  ok: "bg-ok-soft",
  run: "bg-run-soft",
  wait: "bg-wait-soft",
  warn: "bg-warn-soft",
  bad: "bg-bad-soft",
  idle: "bg-idle-soft",
};

/** The shape of a state alone; the words stand beside it. */
export function StatusIcon({ look, size = 14 }: { look: Look; size?: number }) {
  return <Glyph shape={look.shape} size={size} className={look.shape === "spin" ? `${toneText[look.tone]} animate-spin` : toneText[look.tone]} />;
}

/** A state as icon and words. */
export function Status({ look, note }: { look: Look; note?: string }) {
  const { _ } = useLingui();
  return (
    <span className={`inline-flex items-center gap-1.5 font-medium whitespace-nowrap ${toneText[look.tone]}`} title={note}>
      <StatusIcon look={look} />
      {_(look.label)}
    </span>
  );
}

/** The same with a ground of its own, for headers. */
export function StatusPill({ look }: { look: Look }) {
  const { _ } = useLingui();
  return (
    <span className={`inline-flex items-center gap-1.5 rounded-full px-2.5 py-1 font-semibold whitespace-nowrap ${toneText[look.tone]} ${toneSoft[look.tone]}`}>
      <StatusIcon look={look} size={15} />
      {_(look.label)}
    </span>
  );
}
