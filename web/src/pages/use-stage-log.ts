import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { useTransport } from "@connectrpc/connect-query";
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { runWhileSeen } from "../api/visibility";
import { DeploymentService } from "../gen/penstock/v1/deployment_pb";
import { LogFollower, type LogState } from "../logic/log-follower";

const final = new Set([Code.NotFound, Code.PermissionDenied, Code.Unauthenticated, Code.InvalidArgument, Code.Unimplemented]);

/** Follows the log of one attempt of a stage while something shows it. */
export function useStageLog(deploymentId: string, stageId: string, attempt: number): { state: LogState; raw: () => Blob } {
  const transport = useTransport();
  const follower = useMemo(() => {
    const client = createClient(DeploymentService, transport);
    return new LogFollower((offset, signal) => client.readStageLog({ deploymentId, stageId, attempt, offset, follow: true }, { signal }), {
      fatal: (e) => final.has(ConnectError.from(e).code),
    });
  }, [transport, deploymentId, stageId, attempt]);
  useEffect(() => {
    return runWhileSeen(follower, document);
  }, [follower]);
  const state = useSyncExternalStore(follower.state.subscribe, follower.state.get);
  return { state, raw: () => follower.raw() };
}
