import { Trans } from "@lingui/react/macro";
import { useLingui } from "@lingui/react";
import { CircleAlert, Info, TriangleAlert } from "lucide-react";
import { type ReactNode, useId } from "react";
import { tell } from "../api/errors";
import type { Commit, Reason, Version } from "../gen/penstock/v1/common_pb";
import { sentence } from "../logic/reason";
import { Button } from "./button";
import { CopyButton } from "./copy";

/** The sentence of a reason in the reader's language. */
export function Why({ reason }: { reason: Reason | undefined }) {
  const { _ } = useLingui();
  return <>{sentence(reason, (m) => _(m))}</>;
}

/** A section with a heading. */
export function Section({ title, aside, children, className = "" }: { title: ReactNode; aside?: ReactNode; children: ReactNode; className?: string }) {
  const id = useId();
  return (
    <section aria-labelledby={id} className={`panel min-w-0 ${className}`}>
      <header className="border-line flex min-h-10 flex-wrap items-center justify-between gap-2 border-b px-4 py-1.5">
        <h2 id={id} className="font-semibold">
          {title}
        </h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

/** A fact with its name, for a <dl>. */
export function Fact({ name, children }: { name: ReactNode; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-muted text-xs">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </div>
  );
}

type BannerTone = "bad" | "warn" | "info";

const banners = {
  bad: { box: "border-bad bg-bad-soft", text: "text-bad", Icon: CircleAlert },
  warn: { box: "border-warn bg-warn-soft", text: "text-warn", Icon: TriangleAlert },
  info: { box: "border-run bg-run-soft", text: "text-run", Icon: Info },
} as const;

/** Something the reader has to know before all else. */
export function Banner({ tone, title, children, actions }: { tone: BannerTone; title: ReactNode; children?: ReactNode; actions?: ReactNode }) {
  const { box, text, Icon } = banners[tone];
  return (
    <div role={tone === "bad" ? "alert" : "status"} className={`flex flex-wrap items-start gap-x-3 gap-y-2 rounded-lg border-l-4 px-4 py-3 ${box}`}>
      <Icon aria-hidden size={18} className={`mt-0.5 shrink-0 ${text}`} />
      <div className="min-w-0 flex-1 basis-60">
        <p className={`font-semibold ${text}`}>{title}</p>
        {children && <div className="mt-1 break-words whitespace-pre-wrap">{children}</div>}
      </div>
      {actions && <div className="flex flex-wrap gap-2">{actions}</div>}
    </div>
  );
}

/** An error with what to do about it. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const { _ } = useLingui();
  const told = tell(error);
  return (
    <Banner
      tone="bad"
      title={_(told.title)}
      actions={
        retry && (
          <Button onClick={retry}>
            <Trans>Try again</Trans>
          </Button>
        )
      }
    >
      {told.detail}
      {told.request && (
        <div className="text-muted text-xs">
          <Trans>
            request <code className="font-mono">{told.request}</code>
          </Trans>
        </div>
      )}
    </Banner>
  );
}

/** Nothing is here, and why that may be. */
export function Empty({ children }: { children: ReactNode }) {
  return <p className="text-muted px-4 py-8 text-center">{children}</p>;
}

/** Stands where something is going to be. */
export function Loading({ lines = 4 }: { lines?: number }) {
  return (
    <div role="status" className="space-y-3 p-4">
      <span className="sr-only">
        <Trans>Loading</Trans>
      </span>
      {Array.from({ length: lines }, (_, i) => (
        <div key={i} className="bg-sunken h-4 animate-pulse rounded" />
      ))}
    </div>
  );
}

/** A commit: its subject, and its hash as a link to the code host. */
export function CommitRef({ commit, subject = true }: { commit: Commit | undefined; subject?: boolean }) {
  if (!commit?.hash) return <span className="text-muted">–</span>;
  const hash = <code className="font-mono">{commit.hash.slice(0, 7)}</code>;
  return (
    <span className="break-words" title={[commit.subject, commit.author, commit.hash].filter(Boolean).join("\n")}>
      {/^https?:\/\//.test(commit.url) ? (
        <a href={commit.url} rel="noreferrer" className="link">
          {hash}
        </a>
      ) : (
        hash
      )}
      {subject && commit.subject && <> {commit.subject}</>}
    </span>
  );
}

/** Versions, each with its name when there are several. */
export function Versions({ versions }: { versions: readonly Version[] }) {
  if (versions.length === 0) return <span className="text-muted">–</span>;
  return (
    <span className="break-words">
      {versions.map((v, i) => (
        <span key={`${v.name}/${v.version}`} title={`${v.kind} ${v.name} ${v.version}`}>
          {i > 0 && ", "}
          {versions.length > 1 && <span className="text-muted">{v.name} </span>}
          {/^https?:\/\//.test(v.url) ? (
            <a href={v.url} rel="noreferrer" className="link font-mono">
              {v.version}
            </a>
          ) : (
            <code className="font-mono">{v.version}</code>
          )}
        </span>
      ))}
    </span>
  );
}

/** An id that can be copied. */
export function Id({ id }: { id: string }) {
  return (
    <span className="inline-flex items-center gap-1">
      <code className="font-mono text-xs break-all">{id}</code>
      <CopyButton text={id} />
    </span>
  );
}
