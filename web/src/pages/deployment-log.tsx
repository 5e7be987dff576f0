import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useRouter } from "@tanstack/react-router";
import { ArrowDownToLine, Check, ChevronsDownUp, ChevronsUpDown, Copy, Download, Globe, Search, WrapText } from "lucide-react";
import { type ReactNode, useDeferredValue, useRef, useState } from "react";
import type { Deployment, Stage } from "../gen/penstock/v1/deployment_pb";
import { shortId } from "../logic/kinds";
import type { LogState } from "../logic/log-follower";
import { type Level, type LogFilter, levels } from "../logic/log-lines";
import { LogRows } from "../logic/log-rows";
import type { DeploymentSearch } from "../logic/search";
import { Empty, Failure, Section } from "../ui/bits";
import { CopyButton } from "../ui/copy";
import { LogView } from "../ui/log-view";
import { saveBlob } from "../ui/save";
import { useStageLog } from "./use-stage-log";

interface Props {
  deployment: Deployment;
  stage: Stage;
  /** None is the newest. */
  attempt: number | undefined;
  onAttempt: (attempt: number | undefined) => void;
  /** The line that the address points at. */
  line: number | undefined;
  onLine: (line: number) => void;
}

/** The log of a stage as it is written. */
export function LogPanel(props: Props) {
  const { stage, attempt } = props;
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
  return <Log {...props} key={`${stage.id}/${shown}`} attempt={shown} />;
}

/** The address of a log, as another person opens it: stage, attempt and line are in it. */
function useLinkTo() {
  const router = useRouter();
  return (id: string, search: DeploymentSearch) => window.location.origin + router.buildLocation({ to: "/deployments/$id", params: { id }, search }).href;
}

function Quiet({ stage, children }: { stage: Stage; children: ReactNode }) {
  return (
    <Section title={<Trans>Log of {stage.name}</Trans>}>
      <Empty>{children}</Empty>
    </Section>
  );
}

function Log({ deployment, stage, attempt, onAttempt, line, onLine }: Props & { attempt: number }) {
  const { t } = useLingui();
  const linkTo = useLinkTo();
  const { state, raw } = useStageLog(deployment.id, stage.id, attempt);
  const [filter, setFilter] = useState<LogFilter>({ level: "DEBUG", query: "" });
  const [wrap, setWrap] = useState(false);
  const [zone, setZone] = useState<"UTC">();
  const [closed, setClosed] = useState<ReadonlySet<number>>(new Set());
  const [index] = useState(() => new LogRows());
  const asked = useDeferredValue(filter);
  const rows = index.take(state.lines, state.count, asked, closed);
  const searching = asked.level !== "DEBUG" || asked.query.trim() !== "";
  const toggle = (n: number) => setClosed((old) => (old.has(n) ? new Set([...old].filter((x) => x !== n)) : new Set([...old, n])));
  const groups = state.lines.filter((l) => l.group).map((l) => l.n);
  return (
    <Section
      title={<Trans>Log of {stage.name}</Trans>}
      aside={
        <div className="flex flex-wrap items-center gap-1.5">
          {stage.attempt > 1 && <Attempts stage={stage} attempt={attempt} onAttempt={onAttempt} />}
          <SearchField query={filter.query} onChange={(query) => setFilter((f) => ({ ...f, query }))} />
          <LevelSelect level={filter.level} onChange={(level) => setFilter((f) => ({ ...f, level }))} />
          <CopyButton label={t`Copy link`} text={() => linkTo(deployment.id, { stage: stage.id, attempt, ...(line !== undefined && { line }) })} />
          <Tools
            wrap={wrap}
            onWrap={() => setWrap(!wrap)}
            utc={zone === "UTC"}
            onUtc={() => setZone(zone ? undefined : "UTC")}
            folded={closed.size > 0}
            onFold={groups.length > 0 ? () => setClosed(closed.size > 0 ? new Set() : new Set(groups)) : undefined}
            text={() => rows.map((r) => r.line.text).join("\n")}
            onDownload={() => saveBlob(raw(), `${shortId(deployment.id)}-${stage.name}-${attempt}.jsonl`)}
          />
        </div>
      }
    >
      {state.phase === "failed" ? (
        <div className="p-4">
          <Failure error={state.error} />
        </div>
      ) : rows.length === 0 ? (
        <Empty>{searching ? <Trans>No line matches.</Trans> : state.phase === "completed" ? <Trans>This stage wrote nothing.</Trans> : <Trans>No line yet.</Trans>}</Empty>
      ) : (
        <LogView
          key={`${asked.level}${asked.query}`}
          rows={rows}
          count={rows.length}
          wrap={wrap}
          query={asked.query}
          zone={zone}
          marked={line}
          onMark={onLine}
          onFold={toggle}
        />
      )}
      <Foot state={state} shown={searching ? rows.length : state.count} />
    </Section>
  );
}

function SearchField({ query, onChange }: { query: string; onChange: (q: string) => void }) {
  const { t } = useLingui();
  return (
    <label className="relative">
      <span className="sr-only">
        <Trans>Search the log</Trans>
      </span>
      <Search aria-hidden size={13} className="text-muted pointer-events-none absolute top-2 left-2" />
      <input type="search" data-filter="" placeholder={t`Search the log`} value={query} onChange={(e) => onChange(e.target.value)} className="field h-7 w-40 pl-7 text-xs" />
    </label>
  );
}

interface ToolsProps {
  wrap: boolean;
  onWrap: () => void;
  utc: boolean;
  onUtc: () => void;
  folded: boolean;
  /** None when nothing can be folded. */
  onFold: (() => void) | undefined;
  text: () => string;
  onDownload: () => void;
}

function Tools({ wrap, onWrap, utc, onUtc, folded, onFold, text, onDownload }: ToolsProps) {
  const { t } = useLingui();
  return (
    <>
      {onFold && (
        <Tool label={folded ? t`Unfold all steps` : t`Fold all steps`} onClick={onFold}>
          {folded ? <ChevronsUpDown aria-hidden size={15} /> : <ChevronsDownUp aria-hidden size={15} />}
        </Tool>
      )}
      <Tool label={t`Wrap long lines`} pressed={wrap} onClick={onWrap}>
        <WrapText aria-hidden size={15} />
      </Tool>
      <Tool label={t`Times in UTC`} pressed={utc} onClick={onUtc}>
        <Globe aria-hidden size={15} />
      </Tool>
      <CopyLines text={text} />
      <Tool label={t`Download`} onClick={onDownload}>
        <Download aria-hidden size={15} />
      </Tool>
    </>
  );
}

/** Copies the lines that are shown; they are put together only when asked for. */
function CopyLines({ text }: { text: () => string }) {
  const { t } = useLingui();
  const [done, setDone] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  if (!("clipboard" in navigator)) return null;
  const copy = async () => {
    await navigator.clipboard.writeText(text());
    setDone(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setDone(false), 1500);
  };
  return (
    <Tool label={done ? t`Copied` : t`Copy the lines shown`} onClick={() => void copy()}>
      {done ? <Check aria-hidden size={15} className="text-ok" /> : <Copy aria-hidden size={15} />}
    </Tool>
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
      className="tool"
    >
      {children}
    </button>
  );
}

function Foot({ state, shown }: { state: LogState; shown: number }) {
  const all = state.count;
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
