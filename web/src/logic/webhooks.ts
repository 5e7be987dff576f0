import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";
import type { WebhookDelivery } from "../gen/penstock/v1/project_pb";
import type { Tone } from "./status";

/** Git hosts as they call themselves, and what they call the place for the secret. */
const hosts: Readonly<Record<string, { name: string; secret: string }>> = {
  github: { name: "GitHub", secret: "Secret" },
  gitlab: { name: "GitLab", secret: "Secret token" },
  bitbucket: { name: "Bitbucket", secret: "Secret" },
  gitea: { name: "Gitea", secret: "Secret" },
  forgejo: { name: "Forgejo", secret: "Secret" },
};

export function hostOf(host: string): { name: string; secret: string } {
  return hosts[host] ?? { name: host, secret: "Secret" };
}

/** What became of a delivery, and what to do about it. */
export function deliveryTold(d: Pick<WebhookDelivery, "status" | "woken">): { tone: Tone; text: MessageDescriptor } {
  switch (d.status) {
    case 202:
      if (d.woken > 0) return { tone: "ok", text: msg`accepted: an agent looked at the branch` };
      return { tone: "warn", text: msg`accepted, but no connected agent has this repository and branch: compare remote and branch in its file` };
    case 200:
      return { tone: "ok", text: msg`understood: a ping, or an event of no use here` };
    case 400:
      return { tone: "bad", text: msg`no push event of this host: compare the URL` };
    case 401:
      return { tone: "bad", text: msg`refused: the secret is wrong or missing` };
    case 413:
      return { tone: "warn", text: msg`larger than 1 MiB: the commit is found by the next look at git` };
    case 415:
      return { tone: "bad", text: msg`not application/json: choose that content type at the host` };
    default:
      return { tone: "bad", text: msg`the server failed; its log says why` };
  }
}

/** A new secret: 26 letters and digits of base 32, 130 bits of chance. */
export function newSecret(random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array = (b) => crypto.getRandomValues(b)): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  return Array.from(random(new Uint8Array(26)), (b) => letters[b % 32]).join("");
}
