import { Trans } from "@lingui/react/macro";
import { ArrowRight } from "lucide-react";
import type { Plan, Trigger } from "../gen/penstock/v1/deployment_pb";
import { Versions } from "../ui/bits";

/** How the change is brought out. */
export function StrategyName({ strategy }: { strategy: string }) {
  if (strategy === "QUICK_SYNC") return <Trans>Quick sync</Trans>;
  if (strategy === "PIPELINE") return <Trans>Pipeline</Trans>;
  if (strategy === "AUTO") return <Trans>Automatic</Trans>;
  return <span className="text-muted">{strategy || "–"}</span>;
}

/** What started it. */
export function TriggerName({ trigger }: { trigger: Trigger | undefined }) {
  if (trigger?.retryOf) return <Trans>Retry</Trans>;
  switch (trigger?.kind) {
    case "ON_COMMIT":
      return <Trans>Commit</Trans>;
    case "ON_COMMAND":
      return <Trans>Command</Trans>;
    case "ON_OUT_OF_SYNC":
      return <Trans>Out of sync</Trans>;
    case "ON_CHAIN":
      return <Trans>Chain</Trans>;
    default:
      return <>{trigger?.kind ?? ""}</>;
  }
}

/** Versions before and after. */
export function VersionChange({ plan }: { plan: Plan | undefined }) {
  if (!plan) return <span className="text-muted">–</span>;
  if (plan.from.length === 0) return <Versions versions={plan.versions} />;
  return (
    <span className="inline-flex flex-wrap items-center gap-x-1.5">
      <Versions versions={plan.from} />
      <ArrowRight aria-label="→" size={13} className="text-muted" />
      <Versions versions={plan.versions} />
    </span>
  );
}
