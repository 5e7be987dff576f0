import { i18n } from "@lingui/core";

export const locales = ["en", "ja"] as const;
export type Locale = (typeof locales)[number];

const stored = "penstock.locale";

/** The language of the reader: the URL's, then the one chosen before, then the browser's. */
export function chooseLocale(search: string, kept: string | null, preferred: readonly string[]): Locale {
  const find = (word: string | null | undefined) => locales.find((l) => word?.toLowerCase().startsWith(l));
  return find(new URLSearchParams(search).get("lang")) ?? find(kept) ?? preferred.map(find).find((l) => l !== undefined) ?? "en";
}

/** The language now. */
export function readLocale(): Locale {
  return chooseLocale(window.location.search, keep(), navigator.languages);
}

function keep(): string | null {
  try {
    return localStorage.getItem(stored);
  } catch {
    return null; // storage can be forbidden; then the choice lasts as long as the page
  }
}

/** Loads the words of a language and shows them. */
export async function setLocale(locale: Locale): Promise<void> {
  const { messages } = locale === "ja" ? await import("./locales/ja.po") : await import("./locales/en.po");
  i18n.loadAndActivate({ locale, messages });
  document.documentElement.lang = locale;
  try {
    localStorage.setItem(stored, locale);
  } catch {
    // see keep
  }
}
