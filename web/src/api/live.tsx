import { createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { type Query, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, createContext, useContext, useEffect, useState, useSyncExternalStore } from "react";
import { WatchService } from "../gen/penstock/v1/project_pb";
import { isTransient, isUnauthenticated } from "./errors";
import { Invalidator } from "./invalidate";
import { shared } from "./shared-stream";
import { runWhileSeen } from "./visibility";
import { useWho } from "./who";
import { WatchClient, type WatchState } from "./watch-client";

const Live = createContext<WatchClient | undefined>(undefined);

/** Keeps the page's one stream of changes while it is shown; tabs of one browser share it. */
export function LiveProvider({ onUnauthenticated, children }: { onUnauthenticated: () => void; children: ReactNode }) {
  const transport = useTransport();
  const queries = useQueryClient();
  const who = useWho();
  const [watch] = useState(() => {
    const watcher = createClient(WatchService, transport);
    const invalidator = new Invalidator(queries);
    return new WatchClient({
      open: shared((cursor, signal) => watcher.watch({ cursor }, { signal })),
      isUnauthenticated,
      cursor: who.cursor,
      handlers: {
        onChanges: (changes) => invalidator.changes(changes),
        onReset: () => invalidator.everything(),
        onUnauthenticated,
      },
    });
  });
  useEffect(() => {
    return runWhileSeen(watch, document, { glimpseEvery: 20_000 });
  }, [watch]);
  useEffect(() => {
    // What could not be read while the server was gone is read now, without a press.
    const failed = { predicate: (q: Query) => q.state.status === "error" && isTransient(q.state.error) };
    return watch.listen((changes) => void (!changes && watch.state.get().connected && queries.invalidateQueries(failed)));
  }, [watch, queries]);
  return <Live value={watch}>{children}</Live>;
}

const none: WatchState = { connected: false, stale: false };

const deaf = () => () => undefined;

/** Hears what changed, for what is not an answer of the cache; the result stops hearing. */
export function useListen(): WatchClient["listen"] {
  return useContext(Live)?.listen ?? deaf;
}

/** How the stream of changes is. */
export function useLive(): WatchState {
  const watch = useContext(Live);
  return useSyncExternalStore(watch?.state.subscribe ?? (() => () => undefined), watch?.state.get ?? (() => none));
}
