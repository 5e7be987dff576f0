import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { isTransient, isUnauthenticated } from "./errors";

/** The cache of answers. Freshness comes from the stream of changes, so nothing is polled and nothing grows old by itself. */
export function makeQueryClient(onUnauthenticated: () => void): QueryClient {
  const onError = (error: unknown) => {
    if (isUnauthenticated(error)) onUnauthenticated();
  };
  return new QueryClient({
    queryCache: new QueryCache({ onError }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      queries: { staleTime: 30_000, retry: (count, error) => count < 3 && isTransient(error), refetchOnWindowFocus: false },
      mutations: { retry: false },
    },
  });
}
