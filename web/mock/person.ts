import { Code } from "@connectrpc/connect";
import type { CreateAPIKeyRequest, RevokeAPIKeyRequest, SaveViewRequest, SearchRequest, SetFavouriteRequest } from "../src/gen/penstock/v1/project_pb.ts";
import { type World, refuse } from "./world.ts";

/** What belongs to one person or to scripts: favourites, views, search, keys. */
export function personHandlers(world: World, guard: () => void, may: (right: string) => void) {
  const preferences = () => ({ preferences: { favourites: [...world.favourites], views: world.views.map((v) => ({ ...v })) } });
  return {
    search(req: SearchRequest) {
      guard();
      return { hits: req.query.length < 2 ? [] : hits(world, req.query.toLowerCase()).slice(0, req.limit || 20) };
    },
    getPreferences() {
      guard();
      return preferences();
    },
    setFavourite(req: SetFavouriteRequest) {
      may("preference:write");
      world.favourites = world.favourites.filter((id) => id !== req.applicationId);
      if (req.favourite) world.favourites.push(req.applicationId);
      return preferences();
    },
    saveView(req: SaveViewRequest) {
      may("preference:write");
      const { name = "", path = "" } = req.view ?? {};
      if (!name || !path.startsWith("/")) throw refuse(Code.InvalidArgument, "a view has a name and a path that begins with /");
      world.views = [...world.views.filter((v) => v.name !== name), { name, path }].toSorted((a, b) => a.name.localeCompare(b.name));
      return preferences();
    },
    deleteView(req: { name: string }) {
      may("preference:write");
      world.views = world.views.filter((v) => v.name !== req.name);
      return preferences();
    },
    listAPIKeys() {
      may("key:read");
      return { keys: world.keys.map((k) => ({ ...k })) };
    },
    createAPIKey(req: CreateAPIKeyRequest) {
      may("key:write");
      const expiresAt = world.now((req.days || 90) * 86400);
      world.keys.unshift({ id: `key-${world.keys.length + 1}`, name: req.name, role: req.role, createdAt: world.now(), expiresAt, expired: false });
      return { key: "psk_Vq3mT8wYzB1nK6rJ4cX9dF2gH5sL7pQa", expiresAt };
    },
    revokeAPIKey(req: RevokeAPIKeyRequest) {
      may("key:write");
      world.keys = world.keys.filter((k) => k.id !== req.keyId);
      return {};
    },
  };
}

function hits(world: World, query: string) {
  const has = (...texts: string[]) => texts.some((t) => t.toLowerCase().includes(query));
  const { applications, deployments, agents } = world.data;
  return [
    ...applications
      .filter((a) => has(a.name, a.path))
      .map((a) => ({ kind: "application", id: a.id, name: a.name, projectId: a.projectId, environment: a.labels["env"] ?? "", provider: a.provider, platform: a.kind, detail: a.path, status: a.lastDeploymentDisplay, health: a.health, applicationId: a.id })),
    ...agents.filter((a) => has(a.name)).map((a) => ({ kind: "agent", id: a.id, name: a.name, projectId: "demo", status: a.processes.some((p) => p.online) ? "online" : "offline" })),
    ...deployments
      .filter((d) => has(d.applicationName, d.id, d.trigger?.commit?.hash ?? ""))
      .map((d) => ({ kind: "deployment", id: d.id, name: d.applicationName, projectId: d.projectId, detail: d.trigger?.commit?.subject ?? "", status: d.display, at: d.triggeredAt, applicationId: d.applicationId })),
  ];
}
