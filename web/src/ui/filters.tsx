import { useLingui } from "@lingui/react/macro";
import { Search } from "lucide-react";
import { useEffect, useState } from "react";

/** A text filter that speaks when the reader pauses, never while an input method composes. */
export function TextFilter({ label, value, onChange, main, placeholder }: { label: string; value: string; onChange: (v: string) => void; main?: boolean; placeholder?: string }) {
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
    const timer = setTimeout(() => onChange(text.normalize("NFKC")), 250);
    return () => clearTimeout(timer);
  }, [text, composing, value, onChange]);
  return (
    <label className="relative">
      <span className="sr-only">{label}</span>
      {main && <Search aria-hidden size={14} className="text-muted pointer-events-none absolute top-2.5 left-2.5" />}
      <input
        type="search"
        value={text}
        placeholder={placeholder ?? label}
        {...(main ? { "data-filter": "" } : {})}
        onChange={(e) => setText(e.target.value)}
        onCompositionStart={() => setComposing(true)}
        onCompositionEnd={() => setComposing(false)}
        className={`field w-60 ${main ? "pl-8" : ""}`}
      />
    </label>
  );
}

interface Choice {
  value: string;
  label: string;
}

/** One choice of a few; none means all. */
export function SelectFilter({ label, value, choices, onChange }: { label: string; value: string; choices: readonly Choice[]; onChange: (v: string) => void }) {
  const { t } = useLingui();
  return (
    <label className="inline-flex items-center gap-1.5">
      <span className="text-muted text-xs">{label}</span>
      <select value={value} onChange={(e) => onChange(e.target.value)} className="field">
        <option value="">{t`all`}</option>
        {choices.map((c) => (
          <option key={c.value} value={c.value}>
            {c.label}
          </option>
        ))}
      </select>
    </label>
  );
}
