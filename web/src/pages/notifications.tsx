import { useQuery } from "@connectrpc/connect-query";
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { Bell } from "lucide-react";
import { useEffect, useState } from "react";
import { type Command, DecisionService } from "../gen/penstock/v1/decision_pb";
import { commandLooks, commandName, nextChange, pending, unseenFailures } from "../logic/commands";
import { look } from "../logic/status";
import { Empty, Failure, Loading, Why } from "../ui/bits";
import { Button } from "../ui/button";
import { Dialog, DialogButtons } from "../ui/dialog";
import { Status } from "../ui/status";
import { Ago } from "../ui/time";

const seenKey = "penstock.commands.seen";

/** What the reader asked for and what became of it: it comes from the record, so it is there after a reload and in every tab. */
export function Notifications() {
  const { t } = useLingui();
  const [open, setOpen] = useState(false);
  const [seen, setSeen] = useState(() => Number(localStorage.getItem(seenKey) ?? 0));
  const got = useQuery(DecisionService.method.listCommands, { mine: true, page: { pageSize: 30 } });
  const commands = got.data?.commands ?? [];
  const { refetch, dataUpdatedAt } = got;
  const changes = got.data?.commands;
  useEffect(() => {
    const wait = nextChange(changes ?? [], dataUpdatedAt);
    if (wait === undefined) return undefined;
    const timer = setTimeout(() => void refetch(), wait);
    return () => clearTimeout(timer);
  }, [changes, dataUpdatedAt, refetch]);
  const failed = unseenFailures(commands, seen);
  const running = commands.filter(pending).length;
  const show = () => {
    const now = Date.now();
    localStorage.setItem(seenKey, String(now));
    setSeen(now);
    setOpen(true);
  };
  return (
    <>
      <button
        type="button"
        onClick={show}
        aria-label={t`Commands: ${running} at work, ${failed} failed`}
        className={`hover:bg-sunken flex items-center gap-1 rounded p-1.5 ${failed > 0 ? "text-bad" : running > 0 ? "text-run" : "text-muted hover:text-fg"}`}
      >
        <Bell aria-hidden size={17} />
        <span aria-live="polite" className="text-xs tabular-nums">
          {failed > 0 ? <Plural value={failed} one="# failed" other="# failed" /> : running > 0 ? running : ""}
        </span>
      </button>
      {open && (
        <Dialog title={t`What you asked for`} onClose={() => setOpen(false)} wide>
          {got.isPending ? (
            <Loading />
          ) : got.error ? (
            <Failure error={got.error} retry={() => void refetch()} />
          ) : commands.length === 0 ? (
            <Empty>
              <Trans>You have asked for nothing yet. What you ask for is kept here with what became of it.</Trans>
            </Empty>
          ) : (
            <ul className="divide-line divide-y">
              {commands.map((c) => (
                <Item key={c.id} c={c} onFollow={() => setOpen(false)} />
              ))}
            </ul>
          )}
          <DialogButtons>
            <Button data-autofocus="" onClick={() => setOpen(false)}>
              <Trans>Close</Trans>
            </Button>
          </DialogButtons>
        </Dialog>
      )}
    </>
  );
}

function Item({ c, onFollow }: { c: Command; onFollow: () => void }) {
  const { i18n } = useLingui();
  const name = `${i18n._(commandName(c.kind))} · ${c.applicationName}`;
  return (
    <li className="py-2">
      <div className="flex flex-wrap items-center gap-x-3">
        <Status look={look(commandLooks, c.state)} />
        {c.deploymentId ? (
          <Link to="/deployments/$id" params={{ id: c.deploymentId }} className="link" onClick={onFollow}>
            {name}
          </Link>
        ) : (
          <span>{name}</span>
        )}
        <span className="text-muted ml-auto text-xs">
          <Ago at={c.at} />
        </span>
      </div>
      {c.reason && (
        <p className={c.state === "FAILED" ? "text-bad" : "text-muted"}>
          <Why reason={c.reason} />
        </p>
      )}
      {c.note && <p className="text-muted whitespace-pre-wrap">{c.note}</p>}
    </li>
  );
}
