/** Kinds of applications as the file spells them, and what people call them. */
export const kinds: readonly { kind: string; name: string }[] = [
  { kind: "ECSApp", name: "Amazon ECS" },
  { kind: "LambdaApp", name: "AWS Lambda" },
  { kind: "KubernetesApp", name: "Kubernetes" },
  { kind: "CloudRunApp", name: "Cloud Run" },
  { kind: "TerraformApp", name: "Terraform" },
];

/** The name of a kind; an unknown one is its own name. */
export function kindName(kind: string): string {
  return kinds.find((k) => k.kind === kind)?.name ?? kind;
}

/** The end of an id, which tells it from others: ids begin with the time they were made at. */
export function shortId(id: string): string {
  return id.slice(-8);
}

/** A new id for a request: a repeat of the request has the same effect once. */
export function requestId(): string {
  // randomUUID exists only where the page came over TLS or from this machine.
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}
