import { useLingui } from "@lingui/react/macro";
import { type LucideIcon, Monitor, Moon, Sun } from "lucide-react";
import { useState } from "react";
import { type Theme, readTheme, setTheme, themes } from "../theme";

const icons: Readonly<Record<Theme, LucideIcon>> = { auto: Monitor, light: Sun, dark: Moon };

/** Switches between light, dark and what the browser prefers. */
export function ThemeSwitch() {
  const { t } = useLingui();
  const [theme, set] = useState(readTheme);
  const names: Readonly<Record<Theme, string>> = { auto: t`As the browser`, light: t`Light`, dark: t`Dark` };
  const Icon = icons[theme];
  return (
    <label className="text-muted inline-flex items-center gap-1">
      <Icon aria-hidden size={15} />
      <span className="sr-only">{t`Theme`}</span>
      <select
        value={theme}
        onChange={(e) => {
          const next = themes.find((x) => x === e.target.value);
          if (!next) return;
          setTheme(next);
          set(next);
        }}
        className="bg-panel text-fg h-7 rounded-md border-none text-xs"
      >
        {themes.map((x) => (
          <option key={x} value={x}>
            {names[x]}
          </option>
        ))}
      </select>
    </label>
  );
}
