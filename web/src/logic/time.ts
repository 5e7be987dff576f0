import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampDate } from "@bufbuild/protobuf/wkt";

/** A timestamp of the wire as a date; undefined when it was never set. */
export function toDate(ts: Timestamp | undefined): Date | undefined {
  return ts && (ts.seconds !== 0n || ts.nanos !== 0) ? timestampDate(ts) : undefined;
}

/** A duration of the wire in milliseconds, 0 when it was not set. */
export function toMs(d: Duration | undefined): number {
  return d ? Number(d.seconds) * 1000 + d.nanos / 1e6 : 0;
}

/** Milliseconds from one instant to another, never negative; undefined when one of them is missing. */
export function between(from: Date | undefined, to: Date | undefined): number | undefined {
  return from && to ? Math.max(0, to.getTime() - from.getTime()) : undefined;
}

const units = {
  en: { d: "d", h: "h", m: "m", s: "s", ms: "ms", gap: " " },
  ja: { d: "日", h: "時間", m: "分", s: "秒", ms: "ミリ秒", gap: "" },
} as const;

/** The two largest units of a duration in milliseconds: 450ms, 4.2s, 2m 30s, 1h 5m, 3d 4h. */
export function formatDuration(ms: number, locale: string): string {
  const u = locale.startsWith("ja") ? units.ja : units.en;
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}${u.ms}`;
  if (ms < 9950) return `${(Math.round(ms / 100) / 10).toString()}${u.s}`;
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s}${u.s}`;
  const two = (a: number, ua: string, b: number, ub: string) => (b ? `${a}${ua}${u.gap}${b}${ub}` : `${a}${ua}`);
  const m = Math.floor(s / 60);
  if (m < 60) return two(m, u.m, s % 60, u.s);
  const h = Math.floor(m / 60);
  if (h < 24) return two(h, u.h, m % 60, u.m);
  return two(Math.floor(h / 24), u.d, h % 24, u.h);
}

const steps: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", 30],
  ["month", 12],
  ["year", Infinity],
];

// Making a format costs more than using it a hundred times, and a list or a log has many lines.
function kept<T>(make: (locale: string, timeZone: string | undefined) => T): (locale: string, timeZone?: string) => T {
  const made = new Map<string, T>();
  return (locale, timeZone) => {
    const key = `${locale} ${timeZone ?? ""}`;
    const format = made.get(key) ?? make(locale, timeZone);
    made.set(key, format);
    return format;
  };
}

const agoFormat = kept((locale) => new Intl.RelativeTimeFormat(locale, { numeric: "auto" }));
const exactFormat = kept(
  (locale, timeZone) =>
    new Intl.DateTimeFormat(locale, {
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: "h23",
      timeZoneName: "short",
      ...(timeZone ? { timeZone } : {}),
    }),
);
const clockFormat = kept(
  (locale, timeZone) => new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", ...(timeZone ? { timeZone } : {}) }),
);

/** How long ago, or how soon, in the words of the locale. */
export function relative(at: Date, now: Date, locale: string): string {
  let value = (at.getTime() - now.getTime()) / 1000;
  if (Math.abs(value) < 1) value = 0;
  for (const [unit, size] of steps) {
    if (Math.abs(Math.round(value)) < size) return agoFormat(locale).format(Math.round(value), unit);
    value /= size;
  }
  return at.toISOString();
}

/** The exact instant in a zone (the reader's when not given), with the same in UTC behind it. */
export function exact(at: Date, locale: string, timeZone?: string): string {
  const local = exactFormat(locale, timeZone).format(at);
  return `${local} · ${at.toISOString()}`;
}

/** hh:mm:ss of an instant in a zone. */
export function clock(at: Date, locale: string, timeZone?: string): string {
  return clockFormat(locale, timeZone).format(at);
}
