import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { ArrowDownToLine, Download, Search, WrapText } from "lucide-react";
import { type ReactNode, useDeferredValue, useMemo, useState } from "react";
import type { Deployment, Stage } from "../gen/penstock/v1/deployment_pb";
import { shortId } from "../logic/kinds";
import type { LogState } from "../logic/log-follower";
import { type Level, type LogFilter, filterLines, levels } from "../logic/log-lines";
import { Empty, Failure, Section } from "../ui/bits";
import { LogView } from "../ui/log-view";
import { useStageLog } from "./use-stage-log";

interface Props {
  deployment: Deployment;
  stage: Stage;
  /** None is the newest. */
  attempt: number | undefined;
  onAttempt: (attempt: number | undefined) => void;
}

/** The log of a stage as it is written. */
export function LogPanel({ deployment, stage, attempt, onAttempt }: Props) {
  const shown = Math.min(attempt ?? stage.attempt, stage.attempt);
  if (stage.type !== "PLATFORM") {
    return (
      <Quiet stage={stage}>
        <Trans>This stage is kept by the server and writes no log; the events below tell when it began and ended.</Trans>
      </Quiet>
    );
  }
  if (stage.attempt === 0) {
    return (
      <Quiet stage={stage}>
        <Trans>This stage has not begun.</Trans>
      </Quiet>
    );
  }
  return <Log key={`${stage.id}/${shown}`} deployment={deployment} stage={stage} attempt={shown} onAttempt={onAttempt} />;
}

function Quiet({ stage, children }: { stage: Stage; children: ReactNode }) {
  return (
    <Section title={<Trans>Log of {stage.name}</Trans>}>
      <Empty>{children}</Empty>
    </Section>
  );
}

function Log({ deployment, stage, attempt, onAttempt }: Props & { attempt: number }) {
  const { t } = useLingui();
  const { state, raw } = useStageLog(deployment.id, stage.id, attempt);
  const [filter, setFilter] = useState<LogFilter>({ level: "DEBUG", query: "" });
  const [wrap, setWrap] = useState(false);
  const asked = useDeferredValue(filter);
  const lines = useMemo(() => filterLines(state.lines, asked), [state.lines, asked]);
  const filtered = lines.length !== state.lines.length;
  return (
    <Section
      title={<Trans>Log of {stage.name}</Trans>}
      aside={
        <div className="flex flex-wrap items-center gap-2">
          {stage.attempt > 1 && <Attempts stage={stage} attempt={attempt} onAttempt={onAttempt} />}
          <label className="relative">
            <span className="sr-only">
              <Trans>Search the log</Trans>
            </span>
            <Search aria-hidden size={13} className="text-muted pointer-events-none absolute top-2 left-2" />
            <input
              type="search"
              data-filter=""
              placeholder={t`Search the log`}
              value={filter.query}
              onChange={(e) => setFilter((f) => ({ ...f, query: e.target.value }))}
              className="field h-7 w-40 pl-7 text-xs"
            />
          </label>
          <LevelSelect level={filter.level} onChange={(level) => setFilter((f) => ({ ...f, level }))} />
          <Tool label={t`Wrap long lines`} pressed={wrap} onClick={() => setWrap(!wrap)}>
            <WrapText aria-hidden size={15} />
          </Tool>
          <Tool label={t`Download`} onClick={() => download(raw(), `${shortId(deployment.id)}-${stage.name}-${attempt}.jsonl`)}>
            <Download aria-hidden size={15} />
          </Tool>
        </div>
      }
    >
      {state.phase === "failed" ? (
        <div className="p-4">
          <Failure error={state.error} />
        </div>
      ) : lines.length === 0 ? (
        <Empty>{filtered ? <Trans>No line matches.</Trans> : state.phase === "completed" ? <Trans>This stage wrote nothing.</Trans> : <Trans>No line yet.</Trans>}</Empty>
      ) : (
        <LogView key={String(filtered)} lines={lines} wrap={wrap} query={asked.query} />
      )}
      <Foot state={state} shown={lines.length} />
    </Section>
  );
}

function Attempts({ stage, attempt, onAttempt }: { stage: Stage; attempt: number; onAttempt: Props["onAttempt"] }) {
  return (
    <label className="inline-flex items-center gap-1.5 text-xs">
      <span className="text-muted">
        <Trans>Attempt</Trans>
      </span>
      <select
        value={attempt}
        onChange={(e) => onAttempt(Number(e.target.value) === stage.attempt ? undefined : Number(e.target.value))}
        className="field h-7 text-xs"
      >
        {Array.from({ length: stage.attempt }, (_, i) => (
          <option key={i + 1}>{i + 1}</option>
        ))}
      </select>
    </label>
  );
}

function LevelSelect({ level, onChange }: { level: Level; onChange: (l: Level) => void }) {
  const { t } = useLingui();
  const names: Readonly<Record<Level, string>> = { DEBUG: t`everything`, INFO: t`info and worse`, WARN: t`warnings and worse`, ERROR: t`errors` };
  return (
    <label>
      <span className="sr-only">
        <Trans>Level</Trans>
      </span>
      <select
        value={level}
        onChange={(e) => {
          const next = levels.find((l) => l === e.target.value);
          if (next) onChange(next);
        }}
        className="field h-7 text-xs"
      >
        {levels.map((l) => (
          <option key={l} value={l}>
            {names[l]}
          </option>
        ))}
      </select>
    </label>
  );
}

function Tool({ label, pressed, onClick, children }: { label: string; pressed?: boolean; onClick: () => void; children: ReactNode }) {
  return (
    <button
      type="button"
      title={label}
      aria-label={label}
      aria-pressed={pressed}
      onClick={onClick}
      className="text-muted hover:text-fg hover:bg-sunken aria-pressed:bg-accent-soft aria-pressed:text-accent rounded p-1.5"
    >
      {children}
    </button>
  );
}

function Foot({ state, shown }: { state: LogState; shown: number }) {
  const all = state.lines.length;
  return (
    <div className="border-line text-muted flex items-center gap-3 border-t px-4 py-1.5 text-xs">
      <span className="tabular-nums">
        {shown === all ? (
          <Plural value={all} one="# line" other="# lines" />
        ) : (
          <Trans>
            {shown} of {all} lines
          </Trans>
        )}
      </span>
      <span role="status" className="ml-auto inline-flex items-center gap-1">
        {state.phase === "completed" && <Trans>complete</Trans>}
        {state.phase === "live" && (
          <>
            <ArrowDownToLine aria-hidden size={12} className="text-run" />
            <Trans>being written</Trans>
          </>
        )}
        {state.phase === "opening" && <Trans>opening</Trans>}
        {state.phase === "lost" && <Trans>connection lost, trying again</Trans>}
      </span>
    </div>
  );
}

function download(blob: Blob, name: string): void {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(blob);
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10_000);
}
