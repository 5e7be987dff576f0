import { equals } from "@bufbuild/protobuf";
import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { GitCompareArrows } from "lucide-react";
import { memo, useCallback, useState } from "react";
import { type Deployment, DeploymentSchema } from "../gen/penstock/v1/deployment_pb";
import { inOrder, picked } from "../logic/compare";
import { shortId } from "../logic/kinds";
import { mayCompare } from "../logic/may";
import { deploymentLooks, look, terminal } from "../logic/status";
import { between, toDate } from "../logic/time";
import { CommitRef, Why } from "../ui/bits";
import { Button } from "../ui/button";
import { RowLink } from "../ui/row-link";
import { Status } from "../ui/status";
import { Ago, Span, useNow } from "../ui/time";
import { StrategyName, VersionChange } from "./deployment-words";

/** Deployments, one a row; inside the page of an application its name is left out. Two can be chosen to be compared. */
export function DeploymentTable({ deployments, ofOne }: { deployments: readonly Deployment[]; ofOne?: boolean }) {
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const shown = chosen.filter((id) => deployments.some((d) => d.id === id));
  const pick = useCallback((id: string) => setChosen((was) => picked(was, id)), []);
  return (
    <>
      {shown.length > 0 && <CompareBar chosen={deployments.filter((d) => shown.includes(d.id))} onClear={() => setChosen([])} />}
      <Table deployments={deployments} ofOne={ofOne} chosen={shown} onPick={pick} />
    </>
  );
}

/** What can be done with the deployments that are chosen. */
function CompareBar({ chosen, onClear }: { chosen: readonly Deployment[]; onClear: () => void }) {
  const navigate = useNavigate();
  const [a, b] = chosen;
  const compare = () => {
    if (!a || !b) return;
    const [older, newer] = inOrder(a, b);
    void navigate({ to: "/compare", search: { a: older.id, b: newer.id } });
  };
  return (
    <div role="status" className="bg-accent-soft border-line sticky left-0 flex rounded-t-lg flex-wrap items-center gap-2 border-b px-3 py-1.5">
      <span>
        {chosen.length < 2 ? <Trans>Choose one more to compare</Trans> : <Trans>Two are chosen</Trans>}
      </span>
      <span className="ml-auto flex flex-wrap gap-2">
        <Button kind="quiet" onClick={onClear}>
          <Trans>Choose none</Trans>
        </Button>
        <Button kind="primary" verdict={mayCompare(chosen)} onClick={compare}>
          <GitCompareArrows aria-hidden size={14} />
          <Trans>Compare</Trans>
        </Button>
      </span>
    </div>
  );
}

interface TableProps {
  deployments: readonly Deployment[];
  ofOne: boolean | undefined;
  chosen: readonly string[];
  onPick: (id: string) => void;
}

function Table({ deployments, ofOne, chosen, onPick }: TableProps) {
  const { t } = useLingui();
  return (
    <table className="w-full border-collapse" aria-label={t`Deployments`}>
      <thead>
        <tr>
          <th scope="col" className="th w-8" aria-label={t`Compare`} />
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
          <Row key={d.id} d={d} ofOne={ofOne} chosen={chosen.includes(d.id)} onPick={onPick} />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  d: Deployment;
  ofOne: boolean | undefined;
  chosen: boolean;
  onPick: (id: string) => void;
}

/** A row is drawn again when its deployment or its choice changed, not with every answer. */
const Row = memo(
  DeploymentRow,
  (a, b) => a.ofOne === b.ofOne && a.chosen === b.chosen && a.onPick === b.onPick && equals(DeploymentSchema, a.d, b.d),
);

function DeploymentRow({ d, ofOne, chosen, onPick }: RowProps) {
  const { t } = useLingui();
  return (
    <tr className={`last:[&>td]:border-b-0 ${chosen ? "bg-accent-soft" : "hover:bg-sunken"}`}>
      <td className="td pr-0">
        <input
          type="checkbox"
          checked={chosen}
          onChange={() => onPick(d.id)}
          aria-label={t`Choose deployment ${shortId(d.id)} of ${d.applicationName} to compare`}
          className="mt-0.5 size-4"
        />
      </td>
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
