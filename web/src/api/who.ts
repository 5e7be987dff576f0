import { useQuery } from "@connectrpc/connect-query";
import { ProjectService, type WhoAmIResponse } from "../gen/penstock/v1/project_pb";
import type { Who } from "../logic/may";

type Known = "projectId" | "serverVersion" | "cursor";

const nobody: Who & Pick<WhoAmIResponse, Known> = { name: "", role: "", rights: [], projectId: "", serverVersion: "", cursor: "" };

/** Who is signed in; the shell shows no page before it knows. */
export function useWho(): Who & Pick<WhoAmIResponse, Known> {
  return useQuery(ProjectService.method.whoAmI, {}, { staleTime: Infinity }).data ?? nobody;
}
