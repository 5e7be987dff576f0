import { useQuery } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { Link, useMatch } from "@tanstack/react-router";
import { ChevronLeft, ChevronRight } from "lucide-react";
import { type Application, ApplicationService } from "../gen/penstock/v1/application_pb";
import { applicationsRequest, listOf, listText } from "../logic/lists";
import type { ApplicationsSearch } from "../logic/search";

/** On the page of an application: back to the list it was opened from, and to its neighbours there. */
export function Walk() {
  const match = useMatch({ from: "/app/applications/$id", shouldThrow: false });
  const list = listOf(match?.search.from);
  return match && list ? <Neighbours id={match.params.id} list={list} /> : null;
}

function Neighbours({ id, list }: { id: string; list: ApplicationsSearch }) {
  const { t } = useLingui();
  const page = useQuery(ApplicationService.method.listApplications, applicationsRequest(list));
  const rows = page.data?.applications ?? [];
  const place = rows.findIndex((a) => a.id === id);
  const token = page.data?.page?.nextPageToken ?? "";
  const last = place >= 0 && place === rows.length - 1;
  const following = { ...list, after: token };
  const more = useQuery(ApplicationService.method.listApplications, applicationsRequest(following), { enabled: last && token !== "" });
  const previous = rows[place - 1];
  const next = last ? more.data?.applications[0] : rows[place + 1];
  return (
    <nav aria-label={t`The list`} className="mb-3 flex flex-wrap items-center gap-x-4 gap-y-1">
      <Link to="/applications" search={list} className="link">
        <Trans>Back to the list</Trans>
      </Link>
      {place >= 0 && (
        <span className="ml-auto flex flex-wrap items-center gap-3">
          {previous && <Neighbour app={previous} from={listText(list)} way="previous" />}
          {next && <Neighbour app={next} from={listText(last ? following : list)} way="next" />}
        </span>
      )}
    </nav>
  );
}

function Neighbour({ app, from, way }: { app: Application; from: string; way: "next" | "previous" }) {
  const { t } = useLingui();
  const { name } = app;
  return (
    <Link
      to="/applications/$id"
      params={{ id: app.id }}
      search={{ from }}
      data-walk={way}
      aria-label={way === "next" ? t`Next application: ${name}` : t`Previous application: ${name}`}
      className="text-muted hover:text-fg inline-flex items-center gap-1"
    >
      {way === "previous" && <ChevronLeft aria-hidden size={15} />}
      <span className="break-all">{name}</span>
      {way === "next" && <ChevronRight aria-hidden size={15} />}
    </Link>
  );
}
