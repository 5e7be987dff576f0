import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ChevronDown, ChevronUp, Columns2, Download, UnfoldVertical } from "lucide-react";
import { type ReactNode, useMemo, useRef, useState } from "react";
import { type Row, type Side, changesIn, linesOf, patchOf, rowsOf, wordsOf } from "../logic/text-diff";
import { Loading } from "./bits";
import { CopyButton } from "./copy";
import { saveText } from "./save";
import { useTextDiff } from "./use-text-diff";

const lineHeight = 20;

interface Props {
  before: Side;
  after: Side;
  /** Of the file that can be saved. */
  name: string;
  /** Stands before what can be done with it. */
  lead?: ReactNode;
  tall?: boolean;
}

/** Two texts against each other: what is equal is folded, what nobody declared is hidden, large ones stay usable. */
export function TextDiff({ before, after, name, lead, tall }: Props) {
  const { t } = useLingui();
  const [noise, setNoise] = useState(false);
  const [aside, setAside] = useState(false);
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const diffed = useTextDiff(before, after, noise);
  const left = useMemo(() => linesOf(before, noise), [before, noise]);
  const right = useMemo(() => linesOf(after, noise), [after, noise]);
  const rows = useMemo(() => (diffed ? rowsOf(diffed.runs, aside, open) : []), [diffed, aside, open]);
  const box = useRef<HTMLDivElement>(null);
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => lineHeight,
    overscan: 20,
    initialRect: { width: 800, height: 384 },
  });
  const jump = (by: 1 | -1) => {
    const top = list.getVirtualIndexes().find((i) => (list.measurementsCache[i]?.end ?? 0) > (box.current?.scrollTop ?? 0) + 1) ?? 0;
    const places = changesIn(rows);
    const next = by > 0 ? places.find((p) => p > top + 1) : places.findLast((p) => p < top);
    if (next !== undefined) list.scrollToIndex(Math.max(next - 1, 0), { align: "start" });
  };
  const bothNoise = before.noise.length + after.noise.length > 0;
  const whole = diffed?.partial === false ? diffed : undefined;
  const { added = 0, removed = 0, hidden = 0 } = whole ?? {};
  return (
    <div className="border-line overflow-hidden rounded-md border">
      <div className="bg-sunken text-muted border-line flex flex-wrap items-center gap-x-3 gap-y-1 border-b px-2 py-1 text-xs tabular-nums">
        {lead}
        {whole && (
          <span className="inline-flex gap-2 px-1">
            <Plural value={added} one="# line added" other="# lines added" />
            <span aria-hidden>·</span>
            <Plural value={removed} one="# line removed" other="# lines removed" />
          </span>
        )}
        {bothNoise && (
          <label className="inline-flex items-center gap-1.5">
            <input type="checkbox" checked={noise} onChange={(e) => setNoise(e.target.checked)} />
            <Trans>Filled in by the platform</Trans>
            {!noise && hidden > 0 && (
              <span>
                (<Plural value={hidden} one="# hidden" other="# hidden" />)
              </span>
            )}
          </label>
        )}
        <span className="ml-auto flex items-center">
          <button type="button" className="tool" aria-label={t`Previous change`} title={t`Previous change`} onClick={() => jump(-1)}>
            <ChevronUp aria-hidden size={15} />
          </button>
          <button type="button" className="tool" aria-label={t`Next change`} title={t`Next change`} onClick={() => jump(1)}>
            <ChevronDown aria-hidden size={15} />
          </button>
          <button type="button" className="tool" aria-pressed={aside} aria-label={t`Side by side`} title={t`Side by side`} onClick={() => setAside(!aside)}>
            <Columns2 aria-hidden size={15} />
          </button>
          {whole && <CopyButton text={() => patchOf(whole.runs, left, right)} />}
          {whole && (
            <button type="button" className="tool" aria-label={t`Download`} title={t`Download`} onClick={() => saveText(patchOf(whole.runs, left, right), `${name}.diff`)}>
              <Download aria-hidden size={15} />
            </button>
          )}
        </span>
      </div>
      {diffed?.coarse && (
        <p className="bg-warn-soft text-warn px-3 py-1.5">
          <Trans>The texts have too little in common to be compared line by line to their end: of the rest, all of the first, then all of the second.</Trans>
        </p>
      )}
      {whole && added + removed === 0 && (
        <p className="text-muted px-3 py-2">
          <Trans>Both texts are the same, as far as they are shown: values of the environment are hidden.</Trans>
        </p>
      )}
      {diffed && rows.length > 0 && (
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
        <div ref={box} tabIndex={0} role="region" aria-label={t`Differences of the texts`} className={`overflow-auto font-mono text-xs leading-5 ${tall ? "max-h-[70vh]" : "max-h-96"}`}>
          <div className="relative min-w-full" style={{ height: list.getTotalSize() }}>
            {list.getVirtualItems().map((v) => {
              const row = rows[v.index];
              return (
                row && (
                  <div key={v.key} ref={list.measureElement} data-index={v.index} className="absolute top-0 left-0 w-full" style={{ transform: `translateY(${v.start}px)` }}>
                    {row.kind === "fold" ? (
                      <Fold count={row.count} onOpen={() => setOpen(new Set([...open, row.at]))} />
                    ) : aside ? (
                      <Pair row={row} left={left} right={right} />
                    ) : (
                      <Single row={row} left={left} right={right} />
                    )}
                  </div>
                )
              );
            })}
          </div>
        </div>
      )}
      {!whole && <Loading lines={diffed ? 2 : 6} />}
    </div>
  );
}

function Fold({ count, onOpen }: { count: number; onOpen: () => void }) {
  return (
    <button type="button" onClick={onOpen} className="bg-sunken text-muted hover:text-fg border-line flex w-full items-center gap-2 border-y px-3 py-0.5 font-sans">
      <UnfoldVertical aria-hidden size={12} />
      <Plural value={count} one="Show # equal line" other="Show # equal lines" />
    </button>
  );
}

type Line = Row & { kind: "line" };

interface LineProps {
  row: Line;
  left: readonly string[];
  right: readonly string[];
}

const looks = { remove: "bg-bad-soft text-bad", add: "bg-ok-soft text-ok", same: "" } as const;
const signs = { remove: "−", add: "+", same: " " } as const;

/** A line with its sign, and what is only in it underlined. */
function Text({ mark, line, partner }: { mark: "remove" | "add" | "same"; line: string; partner: string | undefined }) {
  const parts = mark === "same" ? [{ text: line, differs: false }] : wordsOf(line, partner, mark === "remove" ? "left" : "right");
  return (
    <div className={`flex min-w-0 gap-2 px-2 ${looks[mark]}`}>
      <span aria-hidden className="w-2 shrink-0 select-none">
        {signs[mark]}
      </span>
      <span className="min-w-0 break-all whitespace-pre-wrap">
        {mark !== "same" && <span className="sr-only">{mark === "remove" ? <Trans>removed:</Trans> : <Trans>added:</Trans>} </span>}
        {parts.map((p, i) => (p.differs ? <b key={i} className="underline decoration-2 underline-offset-2">{p.text}</b> : p.text))}
        {line === "" && " "}
      </span>
    </div>
  );
}

const at = (lines: readonly string[], i: number | undefined) => (i === undefined ? undefined : lines[i]);

function Single({ row, left, right }: LineProps) {
  if (row.mark === "remove") return <Text mark="remove" line={at(left, row.left) ?? ""} partner={at(right, row.pair)} />;
  if (row.mark === "add") return <Text mark="add" line={at(right, row.right) ?? ""} partner={at(left, row.pair)} />;
  return <Text mark="same" line={at(right, row.right) ?? ""} partner={undefined} />;
}

function Pair({ row, left, right }: LineProps) {
  const [l, r] = [at(left, row.left), at(right, row.right)];
  const same = row.mark === "same";
  return (
    <div className="divide-line grid grid-cols-2 divide-x">
      {l === undefined ? <div className="bg-sunken" /> : <Text mark={same ? "same" : "remove"} line={l} partner={r} />}
      {r === undefined ? <div className="bg-sunken" /> : <Text mark={same ? "same" : "add"} line={r} partner={l} />}
    </div>
  );
}
