import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { ChevronDown, ChevronUp, ExternalLink, X } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef } from "react";
import type { Application, Resource } from "../gen/penstock/v1/application_pb";
import { type Around, around, factGroups } from "../logic/resource-panel";
import { healthLooks, look } from "../logic/status";
import { toDate } from "../logic/time";
import { Banner, Fact, Id, Why } from "../ui/bits";
import { Status } from "../ui/status";
import { Ago } from "../ui/time";

interface Props {
  app: Application;
  resources: readonly Resource[];
  /** Of the resource that is shown. */
  id: string;
  onShow: (id: string) => void;
  onClose: () => void;
}

/** One resource beside the tree, over it where the window is narrow: how it is and why, what it belongs to, what the platform told of it. */
export function ResourcePanel({ app, resources, id, onShow, onClose }: Props) {
  const { t } = useLingui();
  const title = useId();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const r = resources.find((x) => x.id === id);
  const near = around(resources, id);
  const keys = (e: KeyboardEvent) => {
    if (e.key === "Escape") onClose();
    else if (e.key === "ArrowDown" && e.altKey && near.next) onShow(near.next.id);
    else if (e.key === "ArrowUp" && e.altKey && near.previous) onShow(near.previous.id);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- Escape closes it from wherever the focus is in it
    <aside
      aria-labelledby={title}
      onKeyDown={keys}
      className="bg-panel border-line fixed inset-y-0 right-0 z-20 flex w-112 max-w-full flex-col border-l shadow-xl lg:sticky lg:inset-y-auto lg:top-4 lg:right-auto lg:z-auto lg:h-[calc(100vh-2rem)] lg:w-96 lg:shrink-0 lg:rounded-lg lg:border lg:shadow-none"
    >
      <header className="border-line flex items-start gap-2 border-b px-4 py-3">
        <h2 id={title} ref={heading} tabIndex={-1} className="min-w-0 flex-1 text-lg font-semibold break-all outline-none">
          {r && <span className="text-muted mr-1 text-sm font-normal">{r.kind}</span>}{" "}
          {r ? r.name : <Trans>This resource is gone</Trans>}
        </h2>
        <Step label={t`Previous resource (Alt ↑)`} to={near.previous} onShow={onShow}>
          <ChevronUp aria-hidden size={16} />
        </Step>
        <Step label={t`Next resource (Alt ↓)`} to={near.next} onShow={onShow}>
          <ChevronDown aria-hidden size={16} />
        </Step>
        <button type="button" className="tool" aria-label={t`Close`} title={t`Close`} onClick={onClose}>
          <X aria-hidden size={16} />
        </button>
      </header>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard */}
      <div tabIndex={0} role="region" aria-labelledby={title} className="min-h-0 flex-1 space-y-5 overflow-y-auto p-4">
        {r ? (
          <Content r={r} near={near} app={app} onShow={onShow} />
        ) : (
          <p>
            <Trans>The newest report of the agent does not have it any more. The tree shows what there is now.</Trans>
          </p>
        )}
      </div>
    </aside>
  );
}

function Step({ label, to, onShow, children }: { label: string; to: Resource | undefined; onShow: (id: string) => void; children: ReactNode }) {
  return (
    <button type="button" className="tool aria-disabled:opacity-40" aria-label={label} title={label} aria-disabled={!to} onClick={() => to && onShow(to.id)}>
      {children}
    </button>
  );
}

function Group({ title, children }: { title: ReactNode; children: ReactNode }) {
  return (
    <section>
      <h3 className="text-muted mb-1.5 text-xs font-medium">{title}</h3>
      {children}
    </section>
  );
}

function Content({ r, near, app, onShow }: { r: Resource; near: Around; app: Application; onShow: (id: string) => void }) {
  return (
    <>
      {!app.agentOnline && (
        <Banner tone="warn" title={<Trans>No agent is connected</Trans>}>
          <Trans>
            This is how it was <Ago at={app.liveAt} />; how it is now is not known.
          </Trans>
        </Banner>
      )}
      <div className="space-y-2">
        <p className="flex flex-wrap items-center gap-x-3">
          <Status look={look(healthLooks, r.health)} />
          {r.status && <span className="text-muted">{r.status}</span>}
        </p>
        {r.reason?.code && (
          <p className={`rounded-md border-l-4 px-3 py-2 ${r.health === "UNHEALTHY" ? "bg-bad-soft border-bad" : "bg-run-soft border-run"}`}>
            <Why reason={r.reason} />
          </p>
        )}
        {r.url && (
          <a href={r.url} target="_blank" rel="noreferrer" className="link inline-flex items-center gap-1.5">
            <ExternalLink aria-hidden size={14} />
            <Trans>Open in the console of the platform</Trans>
          </a>
        )}
      </div>
      <dl className="grid grid-cols-2 gap-x-4 gap-y-3">
        <Fact name={<Trans>Version</Trans>}>
          <code className="font-mono">{r.version || "–"}</code>
        </Fact>
        <Fact name={<Trans>Variant</Trans>}>{r.variant || "–"}</Fact>
        <Fact name={<Trans>Created</Trans>}>
          <Ago at={r.created} />
        </Fact>
        <Fact name={<Trans>Belongs to</Trans>}>
          {near.owner ? <ResourceLink r={near.owner} onShow={onShow} /> : <span className="text-muted">–</span>}
        </Fact>
        <div className="col-span-2">
          <Fact name={<Trans>Identity</Trans>}>
            <Id id={r.id} />
          </Fact>
        </div>
      </dl>
      {near.parts.length > 0 && (
        <Group title={<Trans>Its parts</Trans>}>
          <ul className="space-y-1">
            {near.parts.map((p) => (
              <li key={p.id} className="grid grid-cols-[8rem_minmax(0,1fr)] gap-x-3">
                <Status look={look(healthLooks, p.health)} />
                <ResourceLink r={p} onShow={onShow} />
              </li>
            ))}
          </ul>
        </Group>
      )}
      {factGroups(r.fields).map((g) => (
        <Group key={g.name} title={g.name || <Trans>Facts</Trans>}>
          <dl className="divide-line divide-y">
            {g.facts.map((f) => (
              <div key={f.name} className="flex flex-wrap justify-between gap-x-4 py-0.5">
                <dt className="text-muted break-all">{f.name}</dt>
                <dd className="min-w-0 text-right font-mono text-xs leading-5 break-all">{f.value}</dd>
              </div>
            ))}
          </dl>
        </Group>
      ))}
      <Group title={<Trans>What the platform told of it</Trans>}>
        <Events r={r} />
      </Group>
      <Group title={<Trans>Elsewhere</Trans>}>
        <ul className="text-muted space-y-1">
          {app.lastGood && (
            <li>
              <Link to="/deployments/$id" params={{ id: app.lastGood.deploymentId }} search={{ tab: "changes" }} className="link">
                <Trans>What was declared, in the last good deployment</Trans>
              </Link>
            </li>
          )}
          <li>
            <Trans>Logs of containers stay with the platform: agents do not read them.</Trans>
          </li>
        </ul>
      </Group>
    </>
  );
}

function ResourceLink({ r, onShow }: { r: Resource; onShow: (id: string) => void }) {
  return (
    <button type="button" className="link min-w-0 text-left break-all" onClick={() => onShow(r.id)}>
      <span className="text-muted mr-1 text-xs">{r.kind}</span>{" "}
      {r.name}
    </button>
  );
}

function Events({ r }: { r: Resource }) {
  if (r.events.length === 0) {
    return (
      <p className="text-muted">
        <Trans>Nothing that was kept.</Trans>
      </p>
    );
  }
  return (
    <ol className="space-y-2">
      {r.events.map((e) => (
        <li key={`${toDate(e.at)?.getTime() ?? 0} ${e.text}`} className="border-line border-l-2 pl-2.5">
          <div className="text-muted text-xs">
            <Ago at={e.at} />
          </div>
          <div className="break-words">{e.text}</div>
        </li>
      ))}
    </ol>
  );
}
