import { Trans, useLingui } from "@lingui/react/macro";
import { type DiffMark, diffCounts, diffLines } from "../logic/diff";

const colours: Readonly<Record<DiffMark, string>> = { add: "text-ok bg-ok-soft", remove: "text-bad bg-bad-soft", change: "text-warn bg-warn-soft", none: "" };

/** A rendered difference; the marks at the beginning of lines say the same as the colours. */
export function DiffText({ text }: { text: string }) {
  const { t } = useLingui();
  const lines = diffLines(text);
  if (lines.length === 0) {
    return (
      <p className="text-muted">
        <Trans>Nothing differs.</Trans>
      </p>
    );
  }
  const { add, remove, change } = diffCounts(lines);
  return (
    <div className="border-line overflow-hidden rounded-md border">
      <div className="bg-sunken text-muted border-line flex gap-3 border-b px-3 py-1 text-xs tabular-nums">
        <Trans>{add} added</Trans>
        <span aria-hidden>·</span>
        <Trans>{remove} removed</Trans>
        <span aria-hidden>·</span>
        <Trans>{change} changed</Trans>
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard */}
      <pre tabIndex={0} aria-label={t`Changes`} className="max-h-96 overflow-auto py-1 font-mono text-xs leading-5">
        {lines.map((l, i) => (
          <div key={i} className={`min-w-fit px-3 whitespace-pre ${colours[l.mark]}`}>
            {l.text || " "}
          </div>
        ))}
      </pre>
    </div>
  );
}
