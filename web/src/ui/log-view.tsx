import { Plural, useLingui } from "@lingui/react/macro";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown } from "lucide-react";
import { useEffect, useReducer, useRef } from "react";
import { type Level, type LogLine, fold, follow } from "../logic/log-lines";
import { clock, exact } from "../logic/time";
import { Button } from "./button";

const lineHeight = 20;

const colours: Readonly<Record<Level, string>> = { DEBUG: "text-muted", INFO: "", WARN: "text-warn", ERROR: "text-bad font-medium" };

interface Props {
  lines: readonly LogLine[];
  wrap: boolean;
  /** What the reader searches for, to be marked in the lines. */
  query: string;
}

/** Draws only the lines that are in sight, and stays at the end while the reader does. */
export function LogView({ lines, wrap, query }: Props) {
  const { t } = useLingui();
  const box = useRef<HTMLDivElement>(null);
  const [state, dispatch] = useReducer(follow, { following: true, unseen: 0 });
  const drawn = useRef(lines.length);
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => lineHeight,
    overscan: 20,
    initialRect: { width: 800, height: 420 },
  });
  const { following } = state;
  useEffect(() => {
    dispatch({ type: "lines", added: lines.length - drawn.current });
    drawn.current = lines.length;
    if (following && lines.length > 0) rows.scrollToIndex(lines.length - 1, { align: "end" });
  }, [lines.length, following, rows]);
  const onScroll = () => {
    const e = box.current;
    if (e) dispatch({ type: "scrolled", atEnd: e.scrollHeight - e.scrollTop - e.clientHeight < lineHeight });
  };
  return (
    <div className="relative">
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard */}
      <div ref={box} onScroll={onScroll} onWheel={(e) => e.deltaY < 0 && dispatch({ type: "scrolled", atEnd: false })} tabIndex={0} role="log" aria-live="off" aria-label={t`Log lines`} className="bg-sunken max-h-[26rem] min-h-28 overflow-auto py-1 font-mono text-xs">
        <div className="relative min-w-full" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((row) => {
            const line = lines[row.index];
            return (
              line && (
                <div
                  key={line.n}
                  ref={rows.measureElement}
                  data-index={row.index}
                  className={`absolute top-0 left-0 flex min-w-full gap-3 px-3 leading-5 ${wrap ? "w-full" : "w-max"}`}
                  style={{ transform: `translateY(${row.start}px)` }}
                >
                  <Line line={line} wrap={wrap} query={query} />
                </div>
              )
            );
          })}
        </div>
      </div>
      {!following && (
        <Button kind="primary" onClick={() => dispatch({ type: "resume" })} className="absolute right-4 bottom-3 shadow-lg">
          <ArrowDown aria-hidden size={14} />
          <Plural value={state.unseen} _0="To the end" one="# new line" other="# new lines" />
        </Button>
      )}
    </div>
  );
}

function Line({ line, wrap, query }: { line: LogLine; wrap: boolean; query: string }) {
  const { i18n } = useLingui();
  return (
    <>
      <span className="text-muted w-10 shrink-0 text-right tabular-nums select-none">{line.n}</span>
      <span className="text-muted w-16 shrink-0 tabular-nums" title={line.at && exact(line.at, i18n.locale)}>
        {line.at && clock(line.at, i18n.locale)}
      </span>
      <span className={`w-11 shrink-0 ${colours[line.level]}`}>{line.at ? line.level : ""}</span>
      <span className={`${colours[line.level]} ${wrap ? "min-w-0 break-all whitespace-pre-wrap" : "whitespace-pre"}`}>
        <Marked text={line.text} query={query} />
      </span>
    </>
  );
}

/** The text with what the reader searches for marked. Folding can change lengths: then nothing is marked rather than the wrong part. */
function Marked({ text, query }: { text: string; query: string }) {
  const wanted = fold(query.trim());
  const folded = fold(text);
  const at = wanted && folded.length === text.length ? folded.indexOf(wanted) : -1;
  if (at < 0) return text || " ";
  return (
    <>
      {text.slice(0, at)}
      <mark className="bg-warn-soft text-warn">{text.slice(at, at + wanted.length)}</mark>
      {text.slice(at + wanted.length)}
    </>
  );
}
