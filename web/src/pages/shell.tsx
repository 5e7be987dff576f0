import { useMutation } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { Keyboard, LogOut, Radio, RadioTower, Search } from "lucide-react";
import { useCallback, useState } from "react";
import { LiveProvider, useLive } from "../api/live";
import { useWho } from "../api/who";
import { ProjectService } from "../gen/penstock/v1/project_pb";
import { has } from "../logic/may";
import { clock } from "../logic/time";
import { Banner } from "../ui/bits";
import { NoticeProvider } from "../ui/notices";
import { HelpDialog } from "./help";
import { LanguageSwitch } from "./language";
import { Notifications } from "./notifications";
import { useShortcuts } from "./shortcuts";
import { Switcher } from "./switcher";
import { ThemeSwitch } from "./theme-switch";
import { Walk } from "./walk";

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
  const [open, setOpen] = useState<"help" | "find">();
  const onHelp = useCallback(() => setOpen("help"), []);
  const onFind = useCallback(() => setOpen("find"), []);
  const close = () => setOpen(undefined);
  const signOut = useSignOut();
  useShortcuts({ onHelp, onFind });
  return (
    <div className="flex min-h-screen flex-col">
      <a href="#main" className="bg-panel sr-only focus:not-sr-only focus:absolute focus:z-30 focus:p-2">
        <Trans>Skip to the content</Trans>
      </a>
      <TopBar onHelp={onHelp} onFind={onFind} onSignOut={signOut} />
      <StaleBanner />
      <main id="main" tabIndex={-1} className="mx-auto w-full max-w-[1400px] flex-1 px-4 py-4 outline-none sm:px-6">
        <Walk />
        <Outlet />
      </main>
      {open === "help" && <HelpDialog onClose={close} />}
      {open === "find" && <Switcher onClose={close} onHelp={onHelp} onSignOut={signOut} />}
    </div>
  );
}

const tab =
  "text-muted hover:text-fg flex h-12 items-center border-b-2 border-transparent px-1 font-medium data-[status=active]:border-accent data-[status=active]:text-fg";

/** Ends the session; what was read in it is forgotten. */
function useSignOut(): () => void {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const logout = useMutation(ProjectService.method.logout, {
    onSettled: async () => {
      await navigate({ to: "/login" });
      queries.clear();
    },
  });
  return () => logout.mutate({});
}

function TopBar({ onHelp, onFind, onSignOut }: { onHelp: () => void; onFind: () => void; onSignOut: () => void }) {
  const { t } = useLingui();
  const who = useWho();
  return (
    <header className="bg-panel border-line border-b">
      <div className="mx-auto flex w-full max-w-[1400px] flex-wrap items-center gap-x-6 px-4 sm:px-6">
        <Link to="/applications" className="flex items-center gap-2 text-base font-semibold">
          <img src="/favicon.svg" alt="" width={22} height={22} />
          Penstock
        </Link>
        <nav aria-label={t`Pages`} className="flex flex-wrap gap-x-5">
          <Link to="/applications" className={tab}>
            <Trans>Applications</Trans>
          </Link>
          <Link to="/deployments" className={tab}>
            <Trans>Deployments</Trans>
          </Link>
          <Link to="/agents" className={tab}>
            <Trans>Agents</Trans>
          </Link>
          {has(who, "project:write").ok && (
            <Link to="/webhooks" className={tab}>
              <Trans>Webhooks</Trans>
            </Link>
          )}
          {has(who, "key:read").ok && (
            <Link to="/keys" className={tab}>
              <Trans>API keys</Trans>
            </Link>
          )}
        </nav>
        <div className="ml-auto flex flex-wrap items-center gap-x-3 gap-y-1 py-1">
          <LiveSign />
          <Notifications />
          <button type="button" onClick={onFind} aria-keyshortcuts="Control+K Meta+K" className="field text-muted hover:text-fg inline-flex h-7 items-center gap-1.5 text-xs">
            <Search aria-hidden size={13} />
            <Trans>Go to</Trans>
            <kbd className="text-xs">Ctrl K</kbd>
          </button>
          <LanguageSwitch />
          <ThemeSwitch />
          <button type="button" onClick={onHelp} title={t`Keys`} aria-label={t`Keys`} className="tool">
            <Keyboard aria-hidden size={17} />
          </button>
          <Person onSignOut={onSignOut} />
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

function Person({ onSignOut }: { onSignOut: () => void }) {
  const { t } = useLingui();
  const who = useWho();
  return (
    <span className="flex items-center gap-1">
      <span className="max-w-40 truncate" title={`${who.name} · ${who.role}`}>
        {who.name} <span className="text-muted text-xs">{who.role}</span>
      </span>
      <button
        type="button"
        onClick={onSignOut}
        title={t`Sign out`}
        aria-label={t`Sign out`}
        className="tool"
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
