import { Trans } from "@lingui/react/macro";
import type { Deployment, Stage } from "../gen/penstock/v1/deployment_pb";
import { tailForFailure } from "../logic/log-lines";
import { failedWayBack, failingStage } from "../logic/timeline";
import { Banner, Why } from "../ui/bits";
import { Button } from "../ui/button";
import { useStageLog } from "./use-stage-log";

/** Why it failed, before everything else: the stage, its own message, its last errors, and the way to its log. */
export function CausePanel({ d, onShow }: { d: Deployment; onShow: (s: Stage) => void }) {
  const stage = failingStage(d);
  const back = failedWayBack(d);
  if (!d.failed?.code && d.status !== "FAILURE" && d.status !== "CANCELLED") return null;
  const reason = stage?.reason?.code && stage.status === "FAILURE" ? stage.reason : d.failed?.code ? d.failed : d.reason;
  const attention = d.display === "NEEDS_ATTENTION";
  const cancelled = d.status === "CANCELLED" || d.cancel !== undefined;
  return (
    <Banner
      tone={cancelled && !attention ? "warn" : "bad"}
      title={
        <>
          {attention && (
            <>
              <Trans>A person must look: the live state is neither what git declares nor what it was before.</Trans>{" "}
            </>
          )}
          {cancelled ? (
            <Trans>Cancelled</Trans>
          ) : stage ? (
            <Trans>Stage {stage.name} failed</Trans>
          ) : (
            <Trans>The deployment ended before its first stage</Trans>
          )}
        </>
      }
      actions={
        stage?.type === "PLATFORM" && (
          <Button onClick={() => onShow(stage)}>{stage.attempt > 1 ? <Trans>Log of attempt {stage.attempt}</Trans> : <Trans>Show its log</Trans>}</Button>
        )
      }
    >
      <p className="text-fg">
        <Why reason={reason} />
      </p>
      {back && (
        <p className="mt-1">
          <Trans>The way back failed too, in {back.name}:</Trans> <Why reason={back.reason} />
        </p>
      )}
      {stage?.type === "PLATFORM" && stage.status === "FAILURE" && <LastLines d={d} stage={stage} />}
    </Banner>
  );
}

/** The last errors of the log, open: who is woken should not have to look for them. */
function LastLines({ d, stage }: { d: Deployment; stage: Stage }) {
  const { state } = useStageLog(d.id, stage.id, stage.attempt);
  const lines = tailForFailure(state.lines, 20);
  if (lines.length === 0) return null;
  return (
    <details className="mt-2" open>
      <summary className="text-muted text-sm">
        <Trans>Last lines of its log</Trans>
      </summary>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard */}
      <pre tabIndex={0} className="bg-panel border-line mt-1 max-h-56 overflow-auto rounded-md border p-2 font-mono text-xs">
        {lines.map((l) => l.text).join("\n")}
      </pre>
    </details>
  );
}
