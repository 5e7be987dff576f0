import { useMutation } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { Keyboard, LogOut, Radio, RadioTower } from "lucide-react";
import { useState } from "react";
import { LiveProvider, useLive } from "../api/live";
import { useWho } from "../api/who";
import { ProjectService } from "../gen/penstock/v1/project_pb";
import { clock } from "../logic/time";
import { Banner } from "../ui/bits";
import { NoticeProvider } from "../ui/notices";
import { HelpDialog } from "./help";
import { LanguageSwitch } from "./language";
import { Notifications } from "./notifications";
import { useShortcuts } from "./shortcuts";

/** What surrounds every page once somebody is signed in. */
export function Shell() {
  const navigate = useNavigate();
  const here = useRouterState({ select: (s) => s.location.href });
  return (
    <LiveProvider onUnauthenticated={() => void navigate({ to: "/login", search: { to: here } })}>
      <NoticeProvider>
        <Frame />
      </NoticeProvider>
    </LiveProvider>
  );
}

function Frame() {
  const [help, setHelp] = useState(false);
  useShortcuts(() => setHelp(true));
  return (
    <div className="flex min-h-screen flex-col">
      <a href="#main" className="bg-panel sr-only focus:not-sr-only focus:absolute focus:z-30 focus:p-2">
        <Trans>Skip to the content</Trans>
      </a>
      <TopBar onHelp={() => setHelp(true)} />
      <StaleBanner />
      <main id="main" tabIndex={-1} className="mx-auto w-full max-w-[1400px] flex-1 px-4 py-4 outline-none sm:px-6">
        <Outlet />
      </main>
      {help && <HelpDialog onClose={() => setHelp(false)} />}
    </div>
  );
}

const tab =
  "text-muted hover:text-fg flex h-12 items-center border-b-2 border-transparent px-1 font-medium data-[status=active]:border-accent data-[status=active]:text-fg";

function TopBar({ onHelp }: { onHelp: () => void }) {
  const { t } = useLingui();
  return (
    <header className="bg-panel border-line border-b">
      <div className="mx-auto flex w-full max-w-[1400px] flex-wrap items-center gap-x-6 px-4 sm:px-6">
        <Link to="/applications" className="flex items-center gap-2 text-base font-semibold">
          <img src="/favicon.svg" alt="" width={22} height={22} />
          Penstock
        </Link>
        <nav aria-label={t`Pages`} className="flex gap-5">
          <Link to="/applications" className={tab}>
            <Trans>Applications</Trans>
          </Link>
          <Link to="/deployments" className={tab}>
            <Trans>Deployments</Trans>
          </Link>
          <Link to="/agents" className={tab}>
            <Trans>Agents</Trans>
          </Link>
        </nav>
        <div className="ml-auto flex flex-wrap items-center gap-x-3 gap-y-1 py-1">
          <LiveSign />
          <Notifications />
          <LanguageSwitch />
          <button type="button" onClick={onHelp} title={t`Keys`} aria-label={t`Keys`} className="text-muted hover:text-fg hover:bg-sunken rounded p-1.5">
            <Keyboard aria-hidden size={17} />
          </button>
          <Person />
        </div>
      </div>
    </header>
  );
}

function LiveSign() {
  const { connected } = useLive();
  return (
    <span className={`inline-flex items-center gap-1.5 text-xs ${connected ? "text-ok" : "text-muted"}`}>
      {connected ? <RadioTower aria-hidden size={14} /> : <Radio aria-hidden size={14} />}
      {connected ? <Trans>Live</Trans> : <Trans>Connecting</Trans>}
    </span>
  );
}

function Person() {
  const { t } = useLingui();
  const who = useWho();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const logout = useMutation(ProjectService.method.logout, {
    onSettled: async () => {
      await navigate({ to: "/login" });
      queries.clear();
    },
  });
  return (
    <span className="flex items-center gap-1">
      <span className="max-w-40 truncate" title={`${who.name} · ${who.role}`}>
        {who.name} <span className="text-muted text-xs">{who.role}</span>
      </span>
      <button
        type="button"
        onClick={() => logout.mutate({})}
        title={t`Sign out`}
        aria-label={t`Sign out`}
        className="text-muted hover:text-fg hover:bg-sunken rounded p-1.5"
      >
        <LogOut aria-hidden size={16} />
      </button>
    </span>
  );
}

/** Says that what the page shows may be old. */
function StaleBanner() {
  const { i18n } = useLingui();
  const { stale, lastAt } = useLive();
  if (!stale) return null;
  const at = lastAt && clock(lastAt, i18n.locale);
  return (
    <div className="mx-auto w-full max-w-[1400px] px-4 pt-3 sm:px-6">
      <Banner tone="warn" title={at ? <Trans>Not live, last update {at}</Trans> : <Trans>Not live</Trans>}>
        <Trans>The server cannot be reached; what you see may be old. The page tries again by itself.</Trans>
      </Banner>
    </div>
  );
}
