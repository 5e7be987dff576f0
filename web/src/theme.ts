export const themes = ["auto", "light", "dark"] as const;
/** Light, dark, or what the browser prefers. */
export type Theme = (typeof themes)[number];

const stored = "penstock.theme";

/** The theme that was kept; anything else is the browser's own. */
export function chooseTheme(kept: string | null): Theme {
  return themes.find((t) => t === kept) ?? "auto";
}

/** The reader's choice, kept by this browser. */
export function readTheme(): Theme {
  try {
    return chooseTheme(localStorage.getItem(stored));
  } catch {
    return "auto"; // storage can be forbidden; then the choice lasts as long as the page
  }
}

/** Shows a theme and keeps the choice. */
export function setTheme(theme: Theme): void {
  const root = document.documentElement;
  if (theme === "auto") root.removeAttribute("data-theme");
  else root.dataset["theme"] = theme;
  try {
    localStorage.setItem(stored, theme);
  } catch {
    // see readTheme
  }
}
