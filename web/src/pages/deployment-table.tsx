import { equals } from "@bufbuild/protobuf";
import { Trans, useLingui } from "@lingui/react/macro";
import { memo } from "react";
import { type Deployment, DeploymentSchema } from "../gen/penstock/v1/deployment_pb";
import { shortId } from "../logic/kinds";
import { deploymentLooks, look, terminal } from "../logic/status";
import { between, toDate } from "../logic/time";
import { CommitRef, Why } from "../ui/bits";
import { RowLink } from "../ui/row-link";
import { Status } from "../ui/status";
import { Ago, Span, useNow } from "../ui/time";
import { StrategyName, VersionChange } from "./deployment-words";

/** Deployments, one a row; inside the page of an application its name is left out. */
export function DeploymentTable({ deployments, ofOne }: { deployments: readonly Deployment[]; ofOne?: boolean }) {
  const { t } = useLingui();
  return (
    <table className="w-full border-collapse" aria-label={t`Deployments`}>
      <thead>
        <tr>
          <th scope="col" className="th">
            <Trans>Status</Trans>
          </th>
          {!ofOne && (
            <th scope="col" className="th">
              <Trans>Application</Trans>
            </th>
          )}
          <th scope="col" className="th">
            <Trans>Version</Trans>
          </th>
          <th scope="col" className="th">
            <Trans>Commit</Trans>
          </th>
          <th scope="col" className="th">
            <Trans>Strategy</Trans>
          </th>
          <th scope="col" className="th">
            <Trans>Triggered</Trans>
          </th>
          <th scope="col" className="th text-right">
            <Trans>Duration</Trans>
          </th>
        </tr>
      </thead>
      <tbody>
        {deployments.map((d) => (
          <Row key={d.id} d={d} ofOne={ofOne} />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  d: Deployment;
  ofOne?: boolean | undefined;
}

/** A row is drawn again when its deployment changed, not with every answer. */
const Row = memo(DeploymentRow, (a, b) => a.ofOne === b.ofOne && equals(DeploymentSchema, a.d, b.d));

function DeploymentRow({ d, ofOne }: RowProps) {
  const { t } = useLingui();
  return (
    <tr className="hover:bg-sunken last:[&>td]:border-b-0">
      <td className="td">
        <RowLink
          leadsTo={{ to: "/deployments/$id", params: { id: d.id } }}
          data-row=""
          aria-label={t`Deployment ${shortId(d.id)} of ${d.applicationName}`}
          className="inline-block hover:underline"
        >
          <Status look={look(deploymentLooks, d.display)} />
        </RowLink>
        {(d.failed?.code || d.status === "CANCELLED") && (
          <div className="text-muted max-w-72 truncate text-xs">
            <Why reason={d.failed?.code ? d.failed : d.reason} />
          </div>
        )}
      </td>
      {!ofOne && (
        <td className="td">
          <RowLink leadsTo={{ to: "/applications/$id", params: { id: d.applicationId } }} className="link font-medium">
            {d.applicationName}
          </RowLink>
        </td>
      )}
      <td className="td">
        <VersionChange plan={d.plan} />
      </td>
      <td className="td max-w-80">
        <CommitRef commit={d.trigger?.commit} />
      </td>
      <td className="td">
        <StrategyName strategy={d.plan?.strategy ?? ""} />
      </td>
      <td className="td">
        <Ago at={d.triggeredAt} />
        <div className="text-muted max-w-40 truncate text-xs">{d.trigger?.by || d.trigger?.commit?.author}</div>
      </td>
      <td className="td text-right">{terminal(d.status) ? <Span ms={between(toDate(d.triggeredAt), toDate(d.finishedAt))} /> : <Running d={d} />}</td>
    </tr>
  );
}

function Running({ d }: { d: Deployment }) {
  return <Span ms={between(toDate(d.triggeredAt), useNow())} />;
}
