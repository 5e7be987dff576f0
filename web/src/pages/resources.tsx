import { Trans, useLingui } from "@lingui/react/macro";
import type { Resource } from "../gen/penstock/v1/application_pb";
import { treeRows } from "../logic/resource-tree";
import { healthLooks, look } from "../logic/status";
import { Why } from "../ui/bits";
import { Status } from "../ui/status";
import { Ago } from "../ui/time";

const indents = ["", "pl-5", "pl-10", "pl-15", "pl-20", "pl-25"] as const;

interface Props {
  resources: readonly Resource[];
  truncated: number;
  /** Id of the resource whose panel is open. */
  chosen: string | undefined;
  onChoose: (id: string) => void;
}

/** The live state as a tree in a table, problems first; each resource opens a panel. */
export function ResourceTable({ resources, truncated, chosen, onChoose }: Props) {
  const { t } = useLingui();
  const rows = treeRows(resources);
  return (
    <div className="overflow-x-auto">
      <table className="w-full border-collapse" aria-label={t`Live state`}>
        <thead>
          <tr>
            <th scope="col" className="th">
              <Trans>Resource</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Health</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Variant</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Version</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Facts</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Created</Trans>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ resource: r, depth }) => (
            <tr key={r.id} className={`last:[&>td]:border-b-0 ${chosen === r.id ? "bg-accent-soft" : "hover:bg-sunken"}`}>
              <td className="td" title={r.id}>
                <div className={indents[Math.min(depth, indents.length - 1)]}>
                  {depth > 0 && (
                    <span aria-hidden className="text-edge mr-1.5 font-mono">
                      └
                    </span>
                  )}
                  <button
                    type="button"
                    data-resource={r.id}
                    aria-expanded={chosen === r.id}
                    onClick={() => onChoose(r.id)}
                    className="min-h-6 text-left hover:underline"
                  >
                    <span className="text-muted mr-1 text-xs">{r.kind}</span>{" "}
                    <span className="font-medium break-all">{r.name}</span>
                  </button>
                </div>
              </td>
              <td className="td">
                <Status look={look(healthLooks, r.health)} />
                {r.status && <div className="text-muted text-xs">{r.status}</div>}
                {r.reason?.code && r.health === "UNHEALTHY" && (
                  <div className="text-bad max-w-72 text-xs">
                    <Why reason={r.reason} />
                  </div>
                )}
              </td>
              <td className="td">{r.variant || "–"}</td>
              <td className="td font-mono text-xs break-all">{r.version || "–"}</td>
              <td className="td text-xs">
                <Fields fields={r.fields} />
              </td>
              <td className="td">
                <Ago at={r.created} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {truncated > 0 && (
        <p className="text-warn border-line border-t px-4 py-2">
          <Trans>{truncated} further resources are not in the report.</Trans>
        </p>
      )}
    </div>
  );
}

function Fields({ fields }: { fields: Readonly<Record<string, string>> }) {
  const list = Object.entries(fields).toSorted(([a], [b]) => a.localeCompare(b));
  if (list.length === 0) return <span className="text-muted">–</span>;
  return (
    <dl className="flex flex-wrap gap-x-3">
      {list.map(([k, v]) => (
        <div key={k} className="flex gap-1">
          <dt className="text-muted">{k}</dt>
          <dd className="font-mono break-all">{v}</dd>
        </div>
      ))}
    </dl>
  );
}
