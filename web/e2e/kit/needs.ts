import { chromium, executable } from "./chromium.ts";
import { program } from "./demo.ts";

/** Says before the first test what is missing: without a browser or a program nothing passes in silence. */
export default function needs(): void {
  const browser = chromium();
  if (!browser || !executable(browser)) {
    throw new Error("no browser is installed, so the pages were not tested: apt-get install chromium, or name one in PENSTOCK_CHROMIUM");
  }
  if (!executable(program)) throw new Error(`${program} is not there: make build, or name a program in PENSTOCK_BIN`);
}
