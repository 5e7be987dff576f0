import { useLingui } from "@lingui/react";
import {
  ArrowUpRight,
  Check,
  CircleAlert,
  CircleDashed,
  CircleHelp,
  CirclePause,
  CircleSlash,
  Clock,
  LoaderCircle,
  type LucideIcon,
  Minus,
  SkipForward,
  Undo2,
  X,
} from "lucide-react";
import type { Look, Shape, Tone } from "../logic/status";

const icons: Readonly<Record<Shape, LucideIcon>> = {
  check: Check,
  cross: X,
  spin: LoaderCircle,
  clock: Clock,
  pause: CirclePause,
  back: Undo2,
  skip: SkipForward,
  dash: Minus,
  dot: CircleDashed,
  alert: CircleAlert,
  question: CircleHelp,
  stop: CircleSlash,
  exit: ArrowUpRight,
};

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
  const Icon = icons[look.shape];
  return <Icon aria-hidden size={size} strokeWidth={2.4} className={`shrink-0 ${toneText[look.tone]} ${look.shape === "spin" ? "animate-spin" : ""}`} />;
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
