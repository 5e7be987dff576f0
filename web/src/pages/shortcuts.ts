import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { KeySequence, moveIndex } from "../logic/keys";

const bindings = new Set(["?", "/", "j", "k", "n", "p", "g a", "g d", "g g", "g k"]);

/** Whether an element takes text, so that a key pressed in it is a letter and nothing else. */
function takesText(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement && ["checkbox", "radio", "button"].includes(target.type)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

function moveRow(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>("[data-row]")];
  const current = rows.findIndex((r) => r === document.activeElement);
  rows[moveIndex(current, by, rows.length)]?.focus();
}

/** Focuses the first row as soon as the list that was just asked for is there; a list that is loading is marked busy. */
function firstRow(tries = 40): void {
  const row = document.querySelector<HTMLElement>("[data-row]");
  const busy = document.querySelector("[aria-busy=true]") !== null;
  if (row && !busy) row.focus();
  else if (tries > 0) setTimeout(() => firstRow(tries - 1), 50);
}

/** In the filter Enter goes to what it found and Escape leaves it; both are no letters. */
function inFilter(e: KeyboardEvent): void {
  if (!(e.target instanceof HTMLElement) || !("filter" in e.target.dataset) || e.isComposing) return;
  if (e.key === "Enter") setTimeout(firstRow, 0);
  else if (e.key === "Escape") e.target.blur();
}

/** The keys that work on every page. A list marks the link of each row with data-row, its filter with data-filter; links to neighbours with data-walk. */
export function useShortcuts({ onHelp, onFind }: { onHelp: () => void; onFind: () => void }): void {
  const navigate = useNavigate();
  useEffect(() => {
    const keys = new KeySequence(bindings);
    const actions: Readonly<Record<string, () => void>> = {
      "?": onHelp,
      "/": () => document.querySelector<HTMLElement>("[data-filter]")?.focus(),
      j: () => moveRow(1),
      k: () => moveRow(-1),
      n: () => document.querySelector<HTMLElement>("[data-walk=next]")?.click(),
      p: () => document.querySelector<HTMLElement>("[data-walk=previous]")?.click(),
      "g a": () => void navigate({ to: "/applications" }),
      "g d": () => void navigate({ to: "/deployments" }),
      "g g": () => void navigate({ to: "/agents" }),
      "g k": () => void navigate({ to: "/keys" }),
    };
    const onKey = (e: KeyboardEvent) => {
      if (document.querySelector("dialog[open]")) return;
      const { key, ctrlKey, metaKey, altKey, shiftKey, isComposing } = e;
      if ((ctrlKey || metaKey) && !altKey && !shiftKey && key.toLowerCase() === "k") {
        e.preventDefault();
        onFind();
        return;
      }
      inFilter(e);
      const act = actions[keys.press({ key, ctrlKey, metaKey, altKey, isComposing, typing: takesText(e.target) }, Date.now()) ?? ""];
      if (!act) return;
      e.preventDefault();
      act();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [navigate, onHelp, onFind]);
}
