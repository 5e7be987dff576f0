import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { ChevronDown, Search, X } from "lucide-react";
import { type KeyboardEvent, useEffect, useState } from "react";
import { Popover } from "./popover";

/** A text filter that speaks when the reader pauses or presses Enter, never while an input method composes. */
export function TextFilter({ label, value, onChange, placeholder }: { label: string; value: string; onChange: (v: string) => void; placeholder?: string }) {
  const [text, setText] = useState(value);
  const [composing, setComposing] = useState(false);
  const [from, setFrom] = useState(value);
  if (from !== value) {
    // The URL changed under us: by the back button, for instance.
    setFrom(value);
    setText(value);
  }
  useEffect(() => {
    if (composing || text === value) return undefined;
    const timer = setTimeout(() => onChange(text.normalize("NFKC")), 200);
    return () => clearTimeout(timer);
  }, [text, composing, value, onChange]);
  const onKeyDown = (e: KeyboardEvent<HTMLInputElement>) => {
    if (e.key === "Enter" && !composing && text !== value) onChange(text.normalize("NFKC"));
  };
  return (
    <label className="relative w-full sm:w-64">
      <span className="sr-only">{label}</span>
      <Search aria-hidden size={14} className="text-muted pointer-events-none absolute top-2.5 left-2.5" />
      <input
        type="search"
        value={text}
        placeholder={placeholder ?? label}
        data-filter=""
        onChange={(e) => setText(e.target.value)}
        onKeyDown={onKeyDown}
        onCompositionStart={() => setComposing(true)}
        onCompositionEnd={() => setComposing(false)}
        className="field w-full pl-8"
      />
    </label>
  );
}

/** One choice of a filter, with how many rows it would give. */
export interface FacetChoice {
  value: string;
  label: string;
  count: number;
}

interface FacetProps {
  label: string;
  choices: readonly FacetChoice[];
  chosen: readonly string[];
  onToggle: (value: string) => void;
  onClear: () => void;
}

/** A filter of which several choices can hold: a button that opens a list of them, with their counts. */
export function FacetFilter({ label, choices, chosen, onToggle, onClear }: FacetProps) {
  const { t } = useLingui();
  // What the URL asks for is shown even when nothing is left of it.
  const gone = chosen.filter((c) => choices.every((x) => x.value !== c)).map((value) => ({ value, label: value, count: 0 }));
  const all = [...choices, ...gone];
  const name = all.find((c) => c.value === chosen[0])?.label;
  return (
    <Popover
      label={label}
      button={
        <>
          <span className={chosen.length > 0 ? "" : "text-muted"}>{label}</span>
          {chosen.length > 0 && <span className="bg-accent-soft text-accent max-w-40 truncate rounded-sm px-1.5 text-xs font-medium">{chosen.length === 1 ? name : <Plural value={chosen.length} other="# chosen" />}</span>}
          <ChevronDown aria-hidden size={13} className="text-muted" />
        </>
      }
    >
      {all.length === 0 ? (
        <p className="text-muted px-3 py-2">
          <Trans>Nothing to choose from.</Trans>
        </p>
      ) : (
        <ul className="max-h-72 overflow-y-auto py-1">
          {all.map((c) => (
            <li key={c.value}>
              <label className="hover:bg-sunken flex cursor-pointer items-center gap-2 px-3 py-1">
                <input type="checkbox" checked={chosen.includes(c.value)} onChange={() => onToggle(c.value)} />
                <span className="min-w-0 flex-1 break-all">{c.label}</span>
                <span className="text-muted text-xs tabular-nums">{c.count}</span>
              </label>
            </li>
          ))}
        </ul>
      )}
      {chosen.length > 0 && (
        <button type="button" onClick={onClear} aria-label={t`Clear ${label}`} className="text-muted hover:text-fg border-line flex w-full items-center gap-1.5 border-t px-3 py-1.5 text-xs">
          <X aria-hidden size={13} />
          <Trans>Clear</Trans>
        </button>
      )}
    </Popover>
  );
}

/** A filter that is on or off. */
export function ToggleFilter({ label, on, onChange }: { label: string; on: boolean; onChange: (on: boolean) => void }) {
  return (
    <button
      type="button"
      aria-pressed={on}
      onClick={() => onChange(!on)}
      className="border-edge bg-panel hover:bg-sunken aria-pressed:bg-accent-soft aria-pressed:text-accent inline-flex h-8 items-center rounded-md border px-2.5 whitespace-nowrap"
    >
      {label}
    </button>
  );
}
