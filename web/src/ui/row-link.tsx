import { useRouter } from "@tanstack/react-router";
import type { ComponentPropsWithoutRef, MouseEvent } from "react";

/** The pages that rows lead to. */
export type RowTarget = { to: "/applications/$id"; params: { id: string }; search?: { from: string } } | { to: "/deployments/$id"; params: { id: string } };

type Props = Omit<ComponentPropsWithoutRef<"a">, "href" | "onClick" | "onMouseEnter"> & { leadsTo: RowTarget };

/**
 * A link of a row of a list. The router's own Link works its address out again whenever the page's address changes, which
 * for the hundred and fifty links of a list cost more than their rows; these lead to the same place whatever the address is.
 */
export function RowLink({ leadsTo, children, ...rest }: Props) {
  const router = useRouter();
  const { to, params } = leadsTo;
  const from = leadsTo.to === "/applications/$id" ? leadsTo.search?.from : undefined;
  const href = rowHref(router.options.stringifySearch, to, params.id, from);
  const onClick = (e: MouseEvent) => {
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    e.preventDefault();
    void router.navigate(goal(to, params.id, from));
  };
  return (
    <a {...rest} href={href} onClick={onClick} onMouseEnter={() => void router.preloadRoute(goal(to, params.id, from))}>
      {children}
    </a>
  );
}

/** The same address as the router's own, which takes a hundred times as long to build it: it looks at every route and its parameters. */
export function rowHref(stringify: (search: Record<string, unknown>) => string, to: RowTarget["to"], id: string, from: string | undefined): string {
  return to.replace("$id", encodeURIComponent(id)) + (from === undefined ? "" : stringify({ from }));
}

function goal(to: RowTarget["to"], id: string, from: string | undefined) {
  return to === "/applications/$id" ? { to, params: { id }, search: from === undefined ? {} : { from } } : { to, params: { id } };
}
