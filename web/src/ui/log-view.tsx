import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ChevronDown, ChevronRight } from "lucide-react";
import { useEffect, useReducer, useRef } from "react";
import { type Level, fold, follow } from "../logic/log-lines";
import { type LogRow, rowOf } from "../logic/log-rows";
import { clock, exact } from "../logic/time";
import { Button } from "./button";

const lineHeight = 20;

const colours: Readonly<Record<Level, string>> = { DEBUG: "text-muted", INFO: "", WARN: "text-warn", ERROR: "text-bad font-medium" };

interface Look {
  wrap: boolean;
  /** What the reader searches for, to be marked in the lines. */
  query: string;
  /** Zone of the times; the reader's own when not given. */
  zone: string | undefined;
  /** The line that the address points at. */
  marked: number | undefined;
  onMark: (n: number) => void;
  onFold: (n: number) => void;
}

interface Props extends Look {
  /** Grows in place; `count` of them are there now. */
  rows: readonly LogRow[];
  count: number;
}

/** Draws only the lines that are in sight, and stays at the end while the reader does. */
export function LogView({ rows: all, count, ...look }: Props) {
  const { t } = useLingui();
  const box = useRef<HTMLDivElement>(null);
  const { marked } = look;
  const [state, dispatch] = useReducer(follow, { following: marked === undefined, unseen: 0 });
  const drawn = useRef(count);
  const sought = useRef(marked);
  const rows = useVirtualizer({
    count,
    getScrollElement: () => box.current,
    estimateSize: () => lineHeight,
    overscan: 20,
    initialRect: { width: 800, height: 420 },
  });
  const { following } = state;
  useEffect(() => {
    dispatch({ type: "lines", added: count - drawn.current });
    drawn.current = count;
    if (following && count > 0) rows.scrollToIndex(count - 1, { align: "end" });
  }, [count, following, rows]);
  useEffect(() => {
    // The line of the address is sought until it is in sight, then never again: the reader scrolls as they like.
    const at = sought.current === undefined ? -1 : rowOf(all, sought.current);
    if (at < 0) return;
    if (rows.range && rows.range.startIndex <= at && at <= rows.range.endIndex) sought.current = undefined;
    else rows.scrollToIndex(at, { align: "center" });
  });
  const onScroll = () => {
    const e = box.current;
    if (e && sought.current === undefined) dispatch({ type: "scrolled", atEnd: e.scrollHeight - e.scrollTop - e.clientHeight < lineHeight });
  };
  return (
    <div className="relative">
      <div
        ref={box}
        onScroll={onScroll}
        onWheel={(e) => {
          sought.current = undefined;
          if (e.deltaY < 0) dispatch({ type: "scrolled", atEnd: false });
        }}
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label={t`Log lines`}
        className="bg-sunken max-h-[min(28rem,60vh)] min-h-32 overflow-auto py-1 font-mono text-xs"
      >
        <div className="relative min-w-full" style={{ height: rows.getTotalSize() }}>
          {rows.getVirtualItems().map((row) => {
            const r = all[row.index];
            return (
              r && (
                <div
                  key={r.line.n}
                  ref={rows.measureElement}
                  data-index={row.index}
                  data-line={r.line.n}
                  className={`absolute top-0 left-0 flex min-w-full gap-3 px-3 leading-5 ${look.wrap ? "w-full" : "w-max"} ${r.line.n === marked ? "bg-warn-soft" : r.line.group ? "bg-panel font-semibold" : ""}`}
                  style={{ transform: `translateY(${row.start}px)` }}
                >
                  <Line row={r} {...look} />
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

function Line({ row, wrap, query, zone, onMark, onFold }: Look & { row: LogRow }) {
  const { t, i18n } = useLingui();
  const { line } = row;
  const { n } = line;
  const Fold = row.closed ? ChevronRight : ChevronDown;
  return (
    <>
      <button type="button" tabIndex={-1} onClick={() => onMark(n)} title={t`Link to line ${n}`} className="text-muted hover:text-accent w-12 shrink-0 text-right tabular-nums select-none hover:underline">
        {n}
      </button>
      <span className="text-muted hidden w-16 shrink-0 tabular-nums sm:inline" title={line.at && exact(line.at, i18n.locale, zone)}>
        {line.at && clock(line.at, i18n.locale, zone)}
      </span>
      {line.group ? (
        <button type="button" aria-expanded={!row.closed} onClick={() => onFold(n)} className="inline-flex items-center gap-1 text-left hover:underline">
          <Fold aria-hidden size={13} />
          {line.text}
          {row.closed && (
            <span className="text-muted font-normal">
              <Trans>({row.size ?? 0} lines)</Trans>
            </span>
          )}
        </button>
      ) : (
        <>
          <span className={`w-11 shrink-0 ${colours[line.level]}`}>{line.at ? line.level : ""}</span>
          <span className={`${colours[line.level]} ${wrap ? "min-w-0 break-all whitespace-pre-wrap" : "whitespace-pre"}`}>
            <Marked text={line.text} query={query} />
          </span>
        </>
      )}
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
