/** What the tests read of the API's JSON. */
export interface Deployment {
  id: string;
  status: string;
  display: string;
  applicationId: string;
  stages: { id: string; name: string; type: string; status?: string; rollback?: boolean }[];
}

interface Application {
  id: string;
  name: string;
  lastDeploymentId?: string;
}

/** The API as a script uses it: JSON over POST. */
export class Api {
  constructor(
    private readonly url: string,
    private readonly token: string,
  ) {}

  async call<T>(method: string, body: object): Promise<T> {
    const res = await fetch(`${this.url}/penstock.v1.${method}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${this.token}` },
      body: JSON.stringify(body),
    });
    if (!res.ok) throw new Error(`${method}: ${res.status} ${await res.text()}`);
    return (await res.json()) as T;
  }

  /** The deployment of v2, when it has a stage that matches; waits for both. */
  async deployment(has: (d: Deployment) => boolean, within = 90_000): Promise<Deployment> {
    const end = Date.now() + within;
    let seen = "nothing";
    while (Date.now() < end) {
      const { deployments = [] } = await this.call<{ deployments?: Deployment[] }>("DeploymentService/ListDeployments", { page: { pageSize: 1 } });
      const d = deployments[0];
      if (d && has(d)) return d;
      seen = d ? `${d.display}: ${d.stages?.map((s) => `${s.name} ${s.status}`).join(", ")}` : seen;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    throw new Error(`no such deployment within ${within} ms; last seen: ${seen}`);
  }

  /** The lines of a stage's log: a stream of enveloped messages, read to its end. */
  async log(deploymentId: string, stageId: string): Promise<string[]> {
    const body = new TextEncoder().encode(JSON.stringify({ deploymentId, stageId }));
    const envelope = new Uint8Array(5 + body.length);
    new DataView(envelope.buffer).setUint32(1, body.length);
    envelope.set(body, 5);
    const res = await fetch(`${this.url}/penstock.v1.DeploymentService/ReadStageLog`, {
      method: "POST",
      headers: { "Content-Type": "application/connect+json", "Connect-Protocol-Version": "1", Authorization: `Bearer ${this.token}` },
      body: envelope,
    });
    const all = Buffer.from(await res.arrayBuffer());
    let text = "";
    for (let at = 0; at < all.length; ) {
      const end = at + 5 + all.readUInt32BE(at + 1);
      // The last message says how the stream ended.
      if ((all[at] ?? 0) === 0) text += Buffer.from((JSON.parse(all.subarray(at + 5, end).toString()) as { data?: string }).data ?? "", "base64").toString();
      at = end;
    }
    return text
      .split("\n")
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { m: string }).m);
  }

  async application(name: string): Promise<Application> {
    const { application } = await this.call<{ application: Application }>("ApplicationService/GetApplication", { application: name });
    return application;
  }

  /** A key of a role that has less than admin's rights. */
  async key(role: string): Promise<string> {
    const { key } = await this.call<{ key: string }>("ProjectService/CreateAPIKey", { requestId: crypto.randomUUID(), name: `e2e ${role}`, role, days: 1 });
    return key;
  }
}

/** It has a stage of this name, in whatever state. */
export const has = (name: string) => (d: Deployment): boolean => (d.stages ?? []).some((s) => s.name === name);

/** A stage of this name runs. */
export const runs = (name: string) => (d: Deployment): boolean => (d.stages ?? []).some((s) => s.name === name && s.status === "RUNNING");
