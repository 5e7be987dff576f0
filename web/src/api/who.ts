import { useQuery } from "@connectrpc/connect-query";
import { ProjectService, type WhoAmIResponse } from "../gen/penstock/v1/project_pb";
import type { Who } from "../logic/may";

const nobody: Who & Pick<WhoAmIResponse, "projectId" | "serverVersion"> = { name: "", role: "", rights: [], projectId: "", serverVersion: "" };

/** Who is signed in; the shell shows no page before it knows. */
export function useWho(): Who & Pick<WhoAmIResponse, "projectId" | "serverVersion"> {
  return useQuery(ProjectService.method.whoAmI, {}, { staleTime: Infinity }).data ?? nobody;
}
