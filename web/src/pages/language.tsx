import { useLingui } from "@lingui/react/macro";
import { Languages } from "lucide-react";
import { locales, setLocale } from "../i18n";

const names = { en: "English", ja: "日本語" } as const;

/** Switches the language; every language is named in its own words. */
export function LanguageSwitch() {
  const { t, i18n } = useLingui();
  return (
    <label className="text-muted inline-flex items-center gap-1">
      <Languages aria-hidden size={15} />
      <span className="sr-only">{t`Language`}</span>
      <select
        value={i18n.locale}
        onChange={(e) => {
          const next = locales.find((l) => l === e.target.value);
          if (next) void setLocale(next);
        }}
        className="bg-panel text-fg h-7 rounded border-none text-xs"
      >
        {locales.map((l) => (
          <option key={l} value={l} lang={l}>
            {names[l]}
          </option>
        ))}
      </select>
    </label>
  );
}
