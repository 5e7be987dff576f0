import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { useLingui } from "@lingui/react";
import { useSyncExternalStore } from "react";
import { Ticker } from "../logic/ticker";
import { exact, formatDuration, relative, toDate } from "../logic/time";

const seconds = new Ticker(1000);
const quarters = new Ticker(15_000);

const still = () => () => undefined;

/** The time now, which moves once a second while something on the page shows it; what is over needs no moving time. */
export function useNow(moving = true): Date {
  return useSyncExternalStore(moving ? seconds.subscribe : still, moving ? seconds.now : quarters.now);
}

/** An instant as people speak of it; the exact one appears on hover and is what a machine reads. */
export function Ago({ at }: { at: Timestamp | undefined }) {
  const { i18n } = useLingui();
  const date = toDate(at);
  // What is older than a minute is said in minutes: no need to look every second.
  const ticker = date && Math.abs(quarters.now().getTime() - date.getTime()) < 60_000 ? seconds : quarters;
  const now = useSyncExternalStore(ticker.subscribe, ticker.now);
  if (!date) return <span className="text-muted">–</span>;
  return (
    <time dateTime={date.toISOString()} title={exact(date, i18n.locale)} className="whitespace-nowrap">
      {relative(date, now, i18n.locale)}
    </time>
  );
}

/** A span of time. */
export function Span({ ms }: { ms: number | undefined }) {
  const { i18n } = useLingui();
  return <span className="whitespace-nowrap tabular-nums">{ms === undefined ? "–" : formatDuration(ms, i18n.locale)}</span>;
}
