import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { useListen } from "../api/live";
import { runWhileSeen } from "../api/visibility";
import { DeploymentService } from "../gen/penstock/v1/deployment_pb";
import { Bell } from "../logic/bell";
import { LogFollower, type LogState } from "../logic/log-follower";

const final = new Set([Code.NotFound, Code.PermissionDenied, Code.Unauthenticated, Code.InvalidArgument, Code.Unimplemented]);

// A piece has at most 256 KiB: what takes longer is a network that swallows everything without a word.
const timeoutMs = 20_000;

/**
 * Follows the log of one attempt of a stage while something shows it: by short requests, when the stream that all tabs
 * share tells that there is more. A request that stayed open would hold one of the six connections that a browser has.
 */
export function useStageLog(deploymentId: string, stageId: string, attempt: number): { state: LogState; raw: () => Blob } {
  const transport = useTransport();
  const { follower, bell } = useMemo(() => {
    const client = createClient(DeploymentService, transport);
    const bell = new Bell();
    const follower = new LogFollower((offset, signal) => client.readStageLog({ deploymentId, stageId, attempt, offset }, { signal, timeoutMs }), {
      fatal: (e) => final.has(ConnectError.from(e).code),
      more: (signal) => bell.wait(signal),
    });
    return { follower, bell };
  }, [transport, deploymentId, stageId, attempt]);
  const listen = useListen();
  useEffect(() => listen((changes) => (!changes || changes.some((c) => c.streamId === deploymentId)) && bell.ring()), [listen, bell, deploymentId]);
  useEffect(() => {
    return runWhileSeen(follower, document);
  }, [follower]);
  const state = useSyncExternalStore(follower.state.subscribe, follower.state.get);
  return { state, raw: () => follower.raw() };
}
