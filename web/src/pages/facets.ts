import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";
import type { Facet } from "../gen/penstock/v1/common_pb";
import { kindName } from "../logic/kinds";
import { type Look, deploymentLooks, healthLooks, look, syncLooks } from "../logic/status";

import type { FacetChoice } from "../ui/filters";
type Say = (m: MessageDescriptor) => string;

const looks: Readonly<Record<string, Readonly<Record<string, Look>>>> = { sync_state: syncLooks, health: healthLooks, display: deploymentLooks, status: deploymentLooks };

const triggers: Readonly<Record<string, MessageDescriptor>> = { ON_COMMIT: msg`Commit`, ON_COMMAND: msg`Command`, ON_OUT_OF_SYNC: msg`Out of sync`, ON_CHAIN: msg`Chain` };

/** The choices of a filter as the server counted them, in the reader's words. */
export function facetChoices(facets: readonly Facet[], name: string, say: Say): FacetChoice[] {
  const words = (value: string, title: string): string => {
    const known = looks[name];
    if (known) return say(look(known, value).label);
    if (name === "kind") return kindName(value);
    if (name === "enabled") return say(value === "true" ? msg`enabled` : msg`disabled`);
    if (name === "trigger") return triggers[value] ? say(triggers[value]) : value;
    return title || value;
  };
  return (facets.find((f) => f.name === name)?.values ?? []).map((v) => ({ value: name === "enabled" ? (v.value === "true" ? "yes" : "no") : v.value, label: words(v.value, v.title), count: v.count }));
}
