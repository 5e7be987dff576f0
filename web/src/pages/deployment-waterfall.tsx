import { Trans, useLingui } from "@lingui/react/macro";
import type { Stage } from "../gen/penstock/v1/deployment_pb";
import { look, stageLooks } from "../logic/status";
import { formatDuration } from "../logic/time";
import { type Bar, type Waterfall, ticks } from "../logic/waterfall";
import { StatusIcon, toneText } from "../ui/status";

interface Props {
  fall: Waterfall;
  selected: string | undefined;
  onSelect: (s: Stage) => void;
}

/** The time of a deployment as bars below each other on one axis. */
export function WaterfallChart({ fall, selected, onSelect }: Props) {
  const { t, i18n } = useLingui();
  const at = (ms: number) => `${(ms / fall.total) * 100}%`;
  const marks = ticks(fall.total, 6);
  return (
    <div className="p-4">
      <ol aria-label={t`Stages`} className="relative">
        {fall.bars.map((b) => (
          <li
            key={b.view?.stage.id ?? b.kind}
            aria-current={b.view?.stage.status === "RUNNING" ? "step" : undefined}
            className={`grid grid-cols-[minmax(0,9rem)_minmax(0,1fr)_4.5rem] items-center gap-x-3 rounded-sm py-1 sm:grid-cols-[minmax(0,16rem)_minmax(0,1fr)_4.5rem] ${b.view && b.view.stage.id === selected ? "bg-accent-soft" : ""}`}
          >
            <Name bar={b} selected={selected} onSelect={onSelect} />
            <div className="bg-sunken relative h-5 rounded-sm">
              {marks.slice(1).map((ms) => (
                <span key={ms} aria-hidden className="border-line absolute inset-y-0 border-l" style={{ left: at(ms) }} />
              ))}
              <Span bar={b} at={at} total={fall.total} />
              {fall.now !== undefined && <span aria-hidden className="border-run absolute -inset-y-1 border-l" style={{ left: at(fall.now) }} />}
            </div>
            <span className="text-right text-xs whitespace-nowrap tabular-nums">
              {b.from !== undefined && b.to !== undefined && b.to > b.from ? (
                formatDuration(b.to - b.from, i18n.locale)
              ) : b.expected !== undefined && b.from !== undefined ? (
                <span className="text-muted">~{formatDuration(b.expected - b.from, i18n.locale)}</span>
              ) : (
                <span className="text-muted">–</span>
              )}
            </span>
          </li>
        ))}
      </ol>
      <div className="grid grid-cols-[minmax(0,9rem)_minmax(0,1fr)_4.5rem] gap-x-3 sm:grid-cols-[minmax(0,16rem)_minmax(0,1fr)_4.5rem]">
        <span />
        <div aria-hidden className="text-muted relative mt-1 h-4 text-xs tabular-nums">
          {marks.map((ms) => (
            <span key={ms} className={`absolute whitespace-nowrap ${ms > 0 ? "-translate-x-1/2" : ""}`} style={{ left: at(ms) }}>
              {ms === 0 ? "0" : formatDuration(ms, i18n.locale)}
            </span>
          ))}
        </div>
      </div>
    </div>
  );
}

function Name({ bar, selected, onSelect }: { bar: Bar; selected: string | undefined; onSelect: (s: Stage) => void }) {
  const { i18n } = useLingui();
  const { view } = bar;
  if (!view) {
    return <span className="text-muted text-sm">{bar.kind === "queue" ? <Trans>In the queue</Trans> : <Trans>Planning</Trans>}</span>;
  }
  const l = look(stageLooks, view.word);
  return (
    <button type="button" data-row="" aria-pressed={view.stage.id === selected} onClick={() => onSelect(view.stage)} className="flex min-w-0 items-start gap-2 text-left text-sm hover:underline">
      <span className="mt-0.5">
        <StatusIcon look={l} />
      </span>
      <span className="min-w-0">
        <span className="font-medium break-all">
          {view.stage.rollback ? "↩ " : `${view.position}. `}
          {view.stage.name}
        </span>
        <span className="sr-only"> {i18n._(l.label)}</span>
      </span>
    </button>
  );
}

function Span({ bar, at, total }: { bar: Bar; at: (ms: number) => string; total: number }) {
  const { i18n } = useLingui();
  if (bar.from === undefined || bar.to === undefined) return null;
  const tone = bar.view ? toneText[look(stageLooks, bar.view.word).tone] : "text-idle";
  const waits = bar.kind === "queue" || (bar.view && bar.view.stage.type !== "PLATFORM");
  return (
    <span className={tone}>
      {bar.to > bar.from && (
        <span
          className={`absolute inset-y-0.5 rounded-sm ${waits ? "border-2 border-current" : "bg-current"}`}
          style={{ left: at(bar.from), width: `max(3px, ${((bar.to - bar.from) / total) * 100}%)` }}
        />
      )}
      {bar.steps.map((s, i) => (
        <span
          key={`${s.at}/${i}`}
          title={`${s.name} ${formatDuration(s.at - (bar.steps[i - 1]?.at ?? bar.from ?? 0), i18n.locale)}`}
          className="border-panel absolute inset-y-0.5 border-r-2 pl-2"
          style={{ right: `calc(100% - ${at(s.at)})` }}
        />
      ))}
      {bar.expected !== undefined && bar.expected > bar.to && (
        <span className="absolute inset-y-0.5 rounded-sm border border-dashed border-current opacity-70" style={{ left: at(bar.to), width: `${((bar.expected - bar.to) / total) * 100}%` }} />
      )}
    </span>
  );
}
