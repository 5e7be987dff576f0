import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const names = ["chromium", "chromium-browser", "google-chrome"];

/** The path of the browser: the one that PENSTOCK_CHROMIUM names, or the first of the PATH; undefined when there is none. */
export function chromium(): string | undefined {
  const named = process.env["PENSTOCK_CHROMIUM"];
  if (named) return named;
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return names.flatMap((n) => folders.map((f) => join(f, n))).find(executable);
}

export function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
