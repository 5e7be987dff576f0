import { Trans, useLingui } from "@lingui/react/macro";
import { Check, TriangleAlert } from "lucide-react";
import type { LiveState, TrafficSample } from "../gen/penstock/v1/application_pb";
import type { Deployment } from "../gen/penstock/v1/deployment_pb";
import { terminal } from "../logic/status";
import { toDate } from "../logic/time";
import { wishedShare } from "../logic/timeline";
import { type RouteView, routeViews } from "../logic/traffic";
import { type Gap, gapOf, shareOf, trafficPicture, versionStates } from "../logic/traffic-history";
import { Bar } from "../ui/bar";
import { Section, Why } from "../ui/bits";
import { Ago, useNow } from "../ui/time";
import { TrafficPicture } from "./traffic-picture";

interface Props {
  live: LiveState;
  /** Observations of the deployment's time. */
  samples?: readonly TrafficSample[];
  deployment?: Deployment;
  /** The live state is this deployment's doing; if not, only what was observed in its time is drawn. */
  ours?: boolean;
}

/** Where requests go and where the deployment wants them: one figure, one bar, their way over time, and who answers. */
export function TrafficPanel({ live, samples = [], deployment: d, ours = true }: Props) {
  const now = useNow(d !== undefined && !terminal(d.status));
  const picture = d && trafficPicture(d, samples, now);
  if (!ours && !picture) return null;
  const routes = routeViews(live.traffic, d?.plan);
  return (
    <Section
      title={<Trans>Traffic</Trans>}
      aside={
        ours && (
          <span className="text-muted text-xs">
            <Trans>
              observed <Ago at={live.at} />
            </Trans>
          </span>
        )
      }
    >
      <div className="space-y-5 p-4">
        {ours && d && <Now d={d} live={live} />}
        {picture && d && <TrafficPicture picture={picture} d={d} />}
        {ours && routes.map((r) => <Groups key={r.route} route={r} fresh={d !== undefined} />)}
      </div>
    </Section>
  );
}

export const percentText = (n: number) => `${Math.round(n * 10) / 10} %`;
const shareText = (w: { from: number; to: number }) => (w.from === w.to ? percentText(w.to) : `${percentText(w.from)} → ${percentText(w.to)}`);

/** The one figure and the one bar that are read from across the room. */
function Now({ d, live }: { d: Deployment; live: LiveState }) {
  const real = shareOf(live.traffic, d);
  const wished = wishedShare(d);
  const states = versionStates(live.traffic, d);
  const fresh = d.plan?.versions.map((v) => v.version).join(", ") ?? "";
  const former = states.filter((s) => !s.fresh).map((s) => s.version).join(", ") || d.plan?.from.map((v) => v.version).join(", ") || "";
  return (
    <div className="space-y-2">
      <div className="flex flex-wrap items-end justify-between gap-x-8 gap-y-2">
        <p className="flex items-baseline gap-3">
          <span className="text-new text-display font-semibold tracking-tight whitespace-nowrap tabular-nums">{percentText(real)}</span>
          <span>
            <span className="block font-medium">
              <Trans>
                of requests reach <code className="font-mono">{fresh}</code>
              </Trans>
            </span>
            {wished && (
              <span className="text-muted text-sm">
                <Trans>wished {shareText(wished)}</Trans>
              </span>
            )}
          </span>
        </p>
        <GapWords gap={gapOf(d, real, toDate(live.at))} d={d} />
      </div>
      <SplitBar real={real} wished={wished} fresh={fresh} former={former} />
    </div>
  );
}

function SplitBar({ real, wished, fresh, former }: { real: number; wished: { from: number; to: number } | undefined; fresh: string; former: string }) {
  const { t } = useLingui();
  const share = percentText(real);
  return (
    <div role="img" aria-label={t`${share} of requests reach ${fresh}`} className="relative pt-3">
      <div className="bg-old flex h-9 overflow-hidden rounded-md text-sm font-medium">
        <div
          className="bg-new text-panel flex min-w-0 items-center overflow-hidden whitespace-nowrap transition-[width] duration-300 ease-out"
          style={{ width: `${real}%` }}
        >
          <span className="px-2.5">{real >= 12 && fresh}</span>
        </div>
        <span className="text-fg flex min-w-0 flex-1 items-center justify-end overflow-hidden px-2.5 whitespace-nowrap">{real <= 88 && former}</span>
      </div>
      {wished && (
        <div
          aria-hidden
          className="border-fg absolute top-0 bottom-0 -ml-px border-l-2 border-dashed transition-[left] duration-300 ease-out"
          style={{ left: `${wished.to}%` }}
        >
          <span className={`bg-panel absolute -top-1 px-1 text-xs leading-none whitespace-nowrap ${wished.to > 85 ? "right-1" : "left-0"}`}>
            <Trans>wished</Trans>
          </span>
        </div>
      )}
    </div>
  );
}

/** Says why what is real is not what is wished. */
function GapWords({ gap, d }: { gap: Gap; d: Deployment }) {
  const running = d.stages.find((s) => s.status === "RUNNING");
  if (gap === "unknown") return null;
  const foreign = gap === "foreign";
  const Icon = gap === "none" ? Check : TriangleAlert;
  return (
    <p className={`inline-flex max-w-md items-start gap-1.5 text-sm ${gap === "none" ? "text-ok" : foreign ? "text-bad font-medium" : "text-wait"}`}>
      <Icon aria-hidden size={15} className="mt-0.5 shrink-0" />
      <span>
        {gap === "none" && <Trans>real is as wished</Trans>}
        {gap === "old" && <Trans>not looked at yet since this stage began</Trans>}
        {gap === "back" && <Trans>on its way back: routers apply weights later than they show them</Trans>}
        {gap === "writing" && <Trans>this stage is about to move it</Trans>}
        {gap === "waiting" && <Why reason={running?.waiting} />}
        {foreign && <Trans>real differs from what is wished, and nothing is at work that would change it: look at the route</Trans>}
      </span>
    </p>
  );
}

function Groups({ route, fresh }: { route: RouteView; fresh: boolean }) {
  return (
    <div className="overflow-x-auto">
      <table className="w-full border-collapse">
        <caption className="text-muted pb-1 text-left text-xs break-all" title={route.route}>
          <Trans>Route</Trans> {route.short}
        </caption>
        <thead>
          <tr>
            <th scope="col" className="th pl-0">
              <Trans>Group</Trans>
            </th>
            <th scope="col" className="th w-1/3">
              <Trans>Share</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Healthy targets</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Versions</Trans>
            </th>
          </tr>
        </thead>
        <tbody>
          {route.groups.map((g) => (
            <tr key={g.group} className="last:[&>td]:border-b-0">
              <td className="td pl-0" title={g.group}>
                <span className="font-medium">{g.variant || g.short}</span>
                {g.variant && <div className="text-muted text-xs break-all">{g.short}</div>}
              </td>
              <td className="td">
                <div className="flex items-center gap-2">
                  <Bar label={g.variant || g.short} percent={g.percent} tone={fresh && g.newPart > 0.5 ? "new" : "idle"} />
                  <span className="w-16 shrink-0 text-right whitespace-nowrap tabular-nums">{percentText(g.percent)}</span>
                </div>
              </td>
              <td className={`td whitespace-nowrap tabular-nums ${g.starved ? "text-bad font-semibold" : ""}`}>
                {g.healthy} / {g.total}
                {g.starved && (
                  <div className="text-xs">
                    <Trans>nobody answers</Trans>
                  </div>
                )}
              </td>
              <td className="td font-mono text-xs">{g.versions.map((v) => `${v.version} × ${v.targets}`).join(", ") || "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
