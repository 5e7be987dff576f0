import { useLingui } from "@lingui/react/macro";
import { Check, Copy } from "lucide-react";
import { useState } from "react";

/** Copies a text and says that it did. */
export function CopyButton({ text, label }: { text: string | (() => string); label?: string }) {
  const { t } = useLingui();
  const [done, setDone] = useState(false);
  // Browsers give the clipboard to pages over TLS and of this machine only.
  if (!("clipboard" in navigator)) return null;
  const copy = async () => {
    await navigator.clipboard.writeText(typeof text === "string" ? text : text());
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <button
      type="button"
      onClick={() => void copy()}
      aria-label={label ? undefined : t`Copy`}
      title={t`Copy`}
      className="text-muted hover:text-fg hover:bg-sunken inline-flex shrink-0 items-center gap-1 rounded p-1 whitespace-nowrap"
    >
      {done ? <Check aria-hidden size={13} className="text-ok" /> : <Copy aria-hidden size={13} />}
      {label && <span>{label}</span>}
      <span aria-live="polite" className="sr-only">
        {done ? t`Copied` : ""}
      </span>
    </button>
  );
}
