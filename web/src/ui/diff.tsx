import { Trans, useLingui } from "@lingui/react/macro";
import { useVirtualizer } from "@tanstack/react-virtual";
import { Columns2, Download } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { type DiffMark, type DiffRow, diffCounts, diffLines, rowsOf } from "../logic/diff";
import { Button } from "./button";
import { CopyButton } from "./copy";

const colours: Readonly<Record<DiffMark, string>> = { add: "text-ok bg-ok-soft", remove: "text-bad bg-bad-soft", change: "text-warn bg-warn-soft", none: "" };

const lineHeight = 20;

/** A rendered difference; the marks at the beginning of lines say the same as the colours. */
export function DiffText({ text, name = "changes" }: { text: string; name?: string }) {
  const lines = useMemo(() => diffLines(text), [text]);
  const rows = useMemo(() => rowsOf(lines), [lines]);
  if (lines.length === 0) {
    return (
      <p className="text-muted">
        <Trans>Nothing differs.</Trans>
      </p>
    );
  }
  return <DiffRows rows={rows} counts={diffCounts(lines)} text={text} name={name} />;
}

interface Props {
  rows: readonly DiffRow[];
  counts: ReturnType<typeof diffCounts>;
  text: string;
  name: string;
}

function DiffRows({ rows, counts, text, name }: Props) {
  const { t } = useLingui();
  const box = useRef<HTMLDivElement>(null);
  const [aside, setAside] = useState(false);
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => lineHeight,
    overscan: 20,
    initialRect: { width: 800, height: 384 },
  });
  const { add, remove, change } = counts;
  const download = () => {
    const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    const a = Object.assign(document.createElement("a"), { href: url, download: `${name}.diff` });
    a.click();
    URL.revokeObjectURL(url);
  };
  return (
    <div className="border-line overflow-hidden rounded-md border">
      <div className="bg-sunken text-muted border-line flex flex-wrap items-center gap-3 border-b px-3 py-1 text-xs tabular-nums">
        <Trans>{add} added</Trans>
        <span aria-hidden>·</span>
        <Trans>{remove} removed</Trans>
        <span aria-hidden>·</span>
        <Trans>{change} changed</Trans>
        <span className="ml-auto flex items-center gap-1">
          <Button kind="quiet" aria-pressed={aside} onClick={() => setAside(!aside)}>
            <Columns2 aria-hidden size={14} />
            <Trans>Side by side</Trans>
          </Button>
          <CopyButton text={text} />
          <Button kind="quiet" onClick={download} aria-label={t`Download`}>
            <Download aria-hidden size={14} />
          </Button>
        </span>
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard */}
      <div ref={box} tabIndex={0} role="region" aria-label={t`Changes`} className="max-h-96 overflow-auto py-1 font-mono text-xs leading-5">
        <div className="relative min-w-full" style={{ height: list.getTotalSize() }}>
          {list.getVirtualItems().map((v) => {
            const row = rows[v.index];
            return (
              row && (
                <div
                  key={v.key}
                  ref={list.measureElement}
                  data-index={v.index}
                  className="absolute top-0 left-0 w-full"
                  style={{ transform: `translateY(${v.start}px)` }}
                >
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
