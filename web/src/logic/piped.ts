/** What the snippet for a new agent needs to know. */
export interface PipedFacts {
  projectId: string;
  agentId: string;
  key: string;
  /** Of the server as this page reached it. */
  origin: string;
}

/** A file of kind Piped that is ready to paste, but for the repositories and the provider, which only the reader knows. */
export function pipedFile(f: PipedFacts): string {
  const url = new URL(f.origin);
  // host:port means TLS to an agent; a server on this machine without it is named by its URL.
  const address = url.protocol === "https:" ? `${url.hostname}:${url.port || "443"}` : url.origin;
  return `apiVersion: pipecd.dev/v1beta1
kind: Piped
spec:
  projectID: ${f.projectId}
  pipedID: ${f.agentId}
  pipedKeyData: ${base64(f.key)}
  apiAddress: ${address}
  webAddress: ${url.origin}
  syncInterval: 10s
  repositories:
    - repoId: main
      remote: https://git.example.com/team/deploy.git
      branch: main
  platformProviders:
    - name: ecs
      type: ECS
      config:
        region: ap-northeast-1
`;
}

function base64(text: string): string {
  return btoa(String.fromCodePoint(...new TextEncoder().encode(text)));
}
