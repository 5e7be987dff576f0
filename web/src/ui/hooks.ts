import { useEffect } from "react";
import { titleOf } from "../logic/search";

/** Names the tab after what it shows. */
export function useTitle(...parts: (string | undefined)[]): void {
  const title = titleOf(...parts);
  useEffect(() => {
    document.title = title;
    return () => {
      document.title = "Penstock";
    };
  }, [title]);
}

/** Gives the tab an icon for a state, so that one can be found among many. */
export function useFavicon(state: "run" | "ok" | "bad" | "idle" | undefined): void {
  useEffect(() => {
    const link = document.querySelector<HTMLLinkElement>("link[rel=icon]");
    if (!link || !state) return undefined;
    link.href = state === "idle" ? "/favicon.svg" : `/favicon-${state}.svg`;
    return () => {
      link.href = "/favicon.svg";
    };
  }, [state]);
}
