import { type RefObject, useEffect, useState } from "react";
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

/** The width of an element in pixels as it changes; `first` until it was measured. */
export function useWidth(ref: RefObject<HTMLElement | null>, first: number): number {
  const [width, setWidth] = useState(first);
  useEffect(() => {
    const e = ref.current;
    if (!e || typeof ResizeObserver === "undefined") return undefined;
    const observer = new ResizeObserver(() => setWidth(e.clientWidth));
    observer.observe(e);
    return () => observer.disconnect();
  }, [ref]);
  return width;
}
