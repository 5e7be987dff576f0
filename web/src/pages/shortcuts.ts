import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { KeySequence, moveIndex } from "../logic/keys";

const bindings = new Set(["?", "/", "j", "k", "g a", "g d", "g g"]);

/** Whether an element takes text, so that a key pressed in it is a letter and nothing else. */
function takesText(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

function moveRow(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")];
  const current = rows.findIndex((r) => r === document.activeElement);
  rows[moveIndex(current, by, rows.length)]?.focus();
}

/** The keys that work on every page. A list marks the link of each row with data-row, its filter with data-filter. */
export function useShortcuts(onHelp: () => void): void {
  const navigate = useNavigate();
  useEffect(() => {
    const keys = new KeySequence(bindings);
    const onKey = (e: KeyboardEvent) => {
      if (document.querySelector("dialog[open]")) return;
      const { key, ctrlKey, metaKey, altKey, isComposing } = e;
      const hit = keys.press({ key, ctrlKey, metaKey, altKey, isComposing, typing: takesText(e.target) }, Date.now());
      if (!hit) return;
      e.preventDefault();
      if (hit === "?") onHelp();
      else if (hit === "/") document.querySelector<HTMLElement>("[data-filter]")?.focus();
      else if (hit === "j") moveRow(1);
      else if (hit === "k") moveRow(-1);
      else if (hit === "g a") void navigate({ to: "/applications" });
      else if (hit === "g d") void navigate({ to: "/deployments" });
      else if (hit === "g g") void navigate({ to: "/agents" });
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [navigate, onHelp]);
}
