import { useQuery } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { keepPreviousData } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Bot, Box, Rocket, Zap } from "lucide-react";
import { type KeyboardEvent, useDeferredValue, useEffect, useId, useState } from "react";
import { ProjectService, type SearchHit } from "../gen/penstock/v1/project_pb";
import { type Locale, setLocale } from "../i18n";
import { deploymentLooks, look } from "../logic/status";
import { type Action, type Target, around, targets } from "../logic/switcher";
import { Failure } from "../ui/bits";
import { Dialog } from "../ui/dialog";
import { Status } from "../ui/status";

const icons = { application: Box, deployment: Rocket, agent: Bot, action: Zap } as const;

interface Props {
  onClose: () => void;
  onHelp: () => void;
  onSignOut: () => void;
}

/** Finds an application, a deployment, an agent or an action by a few letters, from any page. */
export function Switcher({ onClose, onHelp, onSignOut }: Props) {
  const { t } = useLingui();
  const id = useId();
  const [query, setQuery] = useState("");
  const [place, setPlace] = useState(0);
  const asked = useDeferredValue(query.normalize("NFKC").trim());
  const found = useQuery(ProjectService.method.search, { query: asked, limit: 20 }, { enabled: asked.length >= 2, placeholderData: keepPreviousData, staleTime: 5_000, retry: false });
  const hits = asked.length >= 2 ? (found.data?.hits ?? []) : [];
  const list = targets(hits, useActions(), query);
  const chosen = Math.min(place, list.length - 1);
  const open = useOpen({ onClose, onHelp, onSignOut });
  const onKeyDown = (e: KeyboardEvent) => {
    if (e.nativeEvent.isComposing) return;
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      setPlace(around(chosen, e.key === "ArrowDown" ? 1 : -1, list.length));
    } else if (e.key === "Enter") {
      e.preventDefault();
      const target = list[chosen];
      if (target) open(target);
    }
  };
  useEffect(() => {
    document.getElementById(`${id}-${chosen}`)?.scrollIntoView({ block: "nearest" });
  }, [id, chosen]);
  return (
    <Dialog title={t`Go to`} onClose={onClose} wide>
      <input
        data-autofocus=""
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={list.length > 0 ? `${id}-${chosen}` : undefined}
        aria-autocomplete="list"
        aria-label={t`Application, deployment, agent or action`}
        placeholder={t`Application, deployment, agent or action`}
        value={query}
        onChange={(e) => {
          setQuery(e.target.value);
          setPlace(0);
        }}
        onKeyDown={onKeyDown}
        className="field h-10 w-full"
      />
      {found.error && (
        <div className="mt-3">
          <Failure error={found.error} retry={() => void found.refetch()} />
        </div>
      )}
      <div id={id} role="listbox" aria-label={t`Found`} className="mt-3 max-h-[50vh] overflow-y-auto">
        {list.map((target, i) => (
          <Option key={`${target.kind}/${target.id}`} id={`${id}-${i}`} target={target} hit={hits.find((h) => h.id === target.id)} chosen={i === chosen} onOpen={() => open(target)} />
        ))}
      </div>
      {list.length === 0 && (
        <p role="status" className="text-muted px-2 py-3">
          {found.isFetching ? <Trans>Searching</Trans> : <Trans>Nothing of this name was found.</Trans>}
        </p>
      )}
    </Dialog>
  );
}

function Option({ id, target, hit, chosen, onOpen }: { id: string; target: Target; hit: SearchHit | undefined; chosen: boolean; onOpen: () => void }) {
  const Icon = icons[target.kind];
  return (
    // The keys are heard by the field, which keeps the focus.
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events -- see above
    <div id={id} role="option" aria-selected={chosen} tabIndex={-1} onClick={onOpen} className="aria-selected:bg-accent-soft hover:bg-sunken flex cursor-pointer items-center gap-3 rounded-md px-2 py-1.5">
      <Icon aria-hidden size={15} className="text-muted shrink-0" />
      <span className="min-w-0 flex-1">
        <span className="font-medium break-words">{target.name}</span>
        {target.apart && <span className="text-muted block text-xs break-words">{target.apart}</span>}
      </span>
      {hit?.status && hit.kind !== "agent" && <Status look={look(deploymentLooks, hit.status)} />}
    </div>
  );
}

function useActions(): Action[] {
  const { t } = useLingui();
  return [
    { id: "/applications", name: t`Applications`, also: t`list page` },
    { id: "/applications?sort=attention", name: t`Applications, problems first`, also: t`list page` },
    { id: "/deployments", name: t`Deployments`, also: t`list page` },
    { id: "/deployments?mine=yes", name: t`My deployments`, also: t`list page` },
    { id: "/agents", name: t`Agents`, also: t`list page` },
    { id: "/keys", name: t`API keys`, also: t`list page` },
    { id: "/webhooks", name: t`Webhooks`, also: t`list page` },
    { id: "lang:en", name: "English", also: t`language` },
    { id: "lang:ja", name: "日本語", also: t`language` },
    { id: "help", name: t`Keys of the keyboard`, also: t`help shortcuts` },
    { id: "sign-out", name: t`Sign out` },
  ];
}

function useOpen({ onClose, onHelp, onSignOut }: Props): (target: Target) => void {
  const navigate = useNavigate();
  return (target) => {
    onClose();
    const { id, kind } = target;
    if (kind === "application") void navigate({ to: "/applications/$id", params: { id } });
    else if (kind === "deployment") void navigate({ to: "/deployments/$id", params: { id } });
    else if (kind === "agent") void navigate({ to: "/agents", hash: id });
    else if (id === "help") onHelp();
    else if (id === "sign-out") onSignOut();
    else if (id.startsWith("lang:")) void setLocale(id.slice(5) as Locale);
    else void navigate({ to: id });
  };
}
