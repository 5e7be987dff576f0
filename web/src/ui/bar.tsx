import type { Tone } from "../logic/status";
import { toneText } from "./status";

/** A share of a hundred as a bar; `from` marks where it comes from. The number stands beside it in words. */
export function Bar({ label, percent, from, tone }: { label: string; percent: number; from?: number; tone: Tone | "new" }) {
  const to = Math.max(0, Math.min(100, percent));
  const start = from !== undefined && from !== percent ? Math.max(0, Math.min(100, from)) : undefined;
  return (
    <svg
      role="meter"
      aria-label={label}
      aria-valuenow={Math.round(to * 10) / 10}
      aria-valuemin={0}
      aria-valuemax={100}
      viewBox="0 0 100 8"
      preserveAspectRatio="none"
      className={`h-2.5 w-full min-w-16 rounded-full ${tone === "new" ? "text-new" : toneText[tone]}`}
    >
      <rect width="100" height="8" className="fill-line" />
      {start === undefined ? (
        <rect width={to} height="8" fill="currentColor" />
      ) : (
        <>
          <rect width={Math.min(start, to)} height="8" fill="currentColor" />
          <rect x={Math.min(start, to)} width={Math.abs(to - start)} height="8" fill="currentColor" opacity="0.45" />
        </>
      )}
    </svg>
  );
}
