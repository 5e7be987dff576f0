import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { Trans, useLingui } from "@lingui/react/macro";
import type { Traffic } from "../gen/penstock/v1/application_pb";
import type { Deployment } from "../gen/penstock/v1/deployment_pb";
import { wishedShare } from "../logic/timeline";
import { type RouteView, routeViews } from "../logic/traffic";
import { Section } from "../ui/bits";
import { Bar } from "../ui/bar";
import { Ago } from "../ui/time";

/** Where requests go now, beside where the deployment wants them. */
export function TrafficPanel({ traffic, at, deployment }: { traffic: readonly Traffic[]; at: Timestamp | undefined; deployment: Deployment | undefined }) {
  const { t } = useLingui();
  const routes = routeViews(traffic, deployment?.plan);
  const wished = deployment && wishedShare(deployment);
  return (
    <Section
      title={<Trans>Traffic</Trans>}
      aside={
        <span className="text-muted text-xs">
          <Trans>
            observed <Ago at={at} />
          </Trans>
        </span>
      }
    >
      <div className="space-y-4 p-4">
        {routes.map((r) => (
          <div key={r.route} className="space-y-2">
            {deployment && (
              <dl className="grid grid-cols-[max-content_1fr_max-content] items-center gap-x-3 gap-y-1.5">
                {wished && (
                  <>
                    <dt className="text-muted">
                      <Trans>new version, wished</Trans>
                    </dt>
                    <dd>
                      <Bar label={t`new version, wished`} percent={wished.to} from={wished.from} tone="wait" />
                    </dd>
                    <dd className="text-right font-medium whitespace-nowrap tabular-nums">{shareText(wished)}</dd>
                  </>
                )}
                <dt className="text-muted">
                  <Trans>new version, measured</Trans>
                </dt>
                <dd>
                  <Bar label={t`new version, measured`} percent={r.newShare} tone="run" />
                </dd>
                <dd className="text-right font-medium tabular-nums">{percentText(r.newShare)}</dd>
              </dl>
            )}
            <Groups route={r} />
          </div>
        ))}
      </div>
    </Section>
  );
}

const percentText = (n: number) => `${Math.round(n * 10) / 10} %`;
const shareText = (w: { from: number; to: number }) => (w.from === w.to ? percentText(w.to) : `${percentText(w.from)} → ${percentText(w.to)}`);

function Groups({ route }: { route: RouteView }) {
  return (
    <div className="overflow-x-auto">
      <table className="w-full border-collapse">
        <caption className="text-muted pb-1 text-left text-xs break-all" title={route.route}>
          <Trans>Route</Trans> {route.short}
        </caption>
        <thead>
          <tr>
            <th scope="col" className="th px-0 pr-3">
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
              <td className="td px-0 pr-3" title={g.group}>
                <span className="font-medium">{g.variant || g.short}</span>
                {g.variant && <div className="text-muted text-xs break-all">{g.short}</div>}
              </td>
              <td className="td">
                <div className="flex items-center gap-2">
                  <Bar label={g.variant || g.short} percent={g.percent} tone={g.variant === "canary" ? "run" : "ok"} />
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
