import { useQuery } from "@connectrpc/connect-query";
import { ProjectService } from "../gen/penstock/v1/project_pb";
import type { Rules } from "../logic/may";

/** What the project asks of answers to approvals; undefined until it is known, and the server decides anyway. */
export function useApprovalRules(): Rules | undefined {
  return useQuery(ProjectService.method.getProject, {}).data?.project;
}
