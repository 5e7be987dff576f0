import { Trans, useLingui } from "@lingui/react/macro";
import { useVirtualizer } from "@tanstack/react-virtual";
import { Columns2, Download } from "lucide-react";
import { type ReactNode, useMemo, useRef, useState } from "react";
import type { Document } from "../gen/penstock/v1/common_pb";
import { type DiffMark, type DiffRow, diffCounts, diffLines, rowsOf } from "../logic/diff";
import { CopyButton } from "./copy";
import { saveText } from "./save";
import { TextDiff } from "./text-diff";

const colours: Readonly<Record<DiffMark, string>> = { add: "text-ok bg-ok-soft", remove: "text-bad bg-bad-soft", change: "text-warn bg-warn-soft", none: "" };

const lineHeight = 20;

interface DifferenceProps {
  /** Lines of changed fields, and both sides whole where they are known. */
  of: { text: string; before?: Document | undefined; after?: Document | undefined };
  name?: string | undefined;
}

/** A difference: the fields that changed, and where in the whole they stand. */
export function Difference({ of: { text, before, after }, name = "changes" }: DifferenceProps) {
  const [whole, setWhole] = useState(false);
  if (text.trim() === "") {
    return (
      <p className="text-muted">
        <Trans>Nothing differs.</Trans>
      </p>
    );
  }
  const lead = before && after && <Views whole={whole} onWhole={setWhole} />;
  return whole && before && after ? <TextDiff before={before} after={after} name={name} lead={lead} /> : <Fields text={text} name={name} lead={lead} />;
}

function Views({ whole, onWhole }: { whole: boolean; onWhole: (whole: boolean) => void }) {
  const { t } = useLingui();
  return (
    <span role="radiogroup" aria-label={t`How the difference is shown`} className="choices">
      <button type="button" role="radio" aria-checked={!whole} className="choice" onClick={() => onWhole(false)}>
        <Trans>Fields</Trans>
      </button>
      <button type="button" role="radio" aria-checked={whole} className="choice" onClick={() => onWhole(true)}>
        <Trans>Whole text</Trans>
      </button>
    </span>
  );
}

/** The fields that changed, one a line; the marks at the beginning of lines say the same as the colours. */
function Fields({ text, name, lead }: { text: string; name: string; lead: ReactNode }) {
  const { t } = useLingui();
  const lines = useMemo(() => diffLines(text), [text]);
  const rows = useMemo(() => rowsOf(lines), [lines]);
  const box = useRef<HTMLDivElement>(null);
  const [aside, setAside] = useState(false);
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => lineHeight,
    overscan: 20,
    initialRect: { width: 800, height: 384 },
  });
  const { add, remove, change } = diffCounts(lines);
  return (
    <div className="border-line overflow-hidden rounded-md border">
      <div className="bg-sunken text-muted border-line flex flex-wrap items-center gap-x-3 gap-y-1 border-b px-2 py-1 text-xs tabular-nums">
        {lead}
        <span className="inline-flex gap-2 px-1">
          <Trans>{add} added</Trans>
          <span aria-hidden>·</span>
          <Trans>{remove} removed</Trans>
          <span aria-hidden>·</span>
          <Trans>{change} changed</Trans>
        </span>
        <span className="ml-auto flex items-center">
          <button type="button" className="tool" aria-pressed={aside} aria-label={t`Side by side`} title={t`Side by side`} onClick={() => setAside(!aside)}>
            <Columns2 aria-hidden size={15} />
          </button>
          <CopyButton text={text} />
          <button type="button" className="tool" aria-label={t`Download`} title={t`Download`} onClick={() => saveText(text, `${name}.diff`)}>
            <Download aria-hidden size={15} />
          </button>
        </span>
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard */}
      <div ref={box} tabIndex={0} role="region" aria-label={t`Changes`} className="max-h-96 overflow-auto py-1 font-mono text-xs leading-5">
        <div className="relative min-w-full" style={{ height: list.getTotalSize() }}>
          {list.getVirtualItems().map((v) => {
            const row = rows[v.index];
            return (
              row && (
                <div key={v.key} ref={list.measureElement} data-index={v.index} className="absolute top-0 left-0 w-full" style={{ transform: `translateY(${v.start}px)` }}>
                  <Row row={row} aside={aside} />
                </div>
              )
            );
          })}
        </div>
      </div>
    </div>
  );
}

function Row({ row, aside }: { row: DiffRow; aside: boolean }) {
  if (!aside) return <div className={`px-3 break-all whitespace-pre-wrap ${colours[row.mark]}`}>{row.text || " "}</div>;
  const left = row.mark === "none" ? "" : colours.remove;
  const right = row.mark === "none" ? "" : colours.add;
  return (
    <div className="grid grid-cols-2 gap-px">
      <span className={`px-3 break-all whitespace-pre-wrap ${row.before === undefined ? "" : left}`}>{row.before ?? " "}</span>
      <span className={`px-3 break-all whitespace-pre-wrap ${row.after === undefined ? "" : right}`}>{row.after ?? " "}</span>
    </div>
  );
}
