import { createConnectQueryKey, useMutation, useQuery, useTransport } from "@connectrpc/connect-query";
import { useQueryClient } from "@tanstack/react-query";
import { ApplicationService } from "../gen/penstock/v1/application_pb";
import { type Preferences, ProjectService } from "../gen/penstock/v1/project_pb";

const { getPreferences, setFavourite, saveView, deleteView } = ProjectService.method;

// The same while nothing is known, so that nothing is drawn again for it.
const none: readonly string[] = [];

/** The reader's favourites and saved views, and what changes them. */
export function usePreferences() {
  const queries = useQueryClient();
  const transport = useTransport();
  const got = useQuery(getPreferences, {}, { staleTime: Infinity });
  // Every change answers with all of them.
  const onSuccess = async ({ preferences }: { preferences?: Preferences }) => {
    queries.setQueryData(createConnectQueryKey({ schema: getPreferences, input: {}, transport, cardinality: "finite" }), { $typeName: "penstock.v1.GetPreferencesResponse" as const, preferences });
    await queries.invalidateQueries({ queryKey: createConnectQueryKey({ schema: ApplicationService.method.listApplications, input: { favourites: true }, cardinality: undefined }) });
  };
  const star = useMutation(setFavourite, { onSuccess });
  const save = useMutation(saveView, { onSuccess });
  const remove = useMutation(deleteView, { onSuccess });
  return { favourites: got.data?.preferences?.favourites ?? none, views: got.data?.preferences?.views ?? [], star, save, remove };
}
