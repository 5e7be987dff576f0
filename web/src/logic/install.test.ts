import { expect, it } from "vitest";
import { installCommands, places } from "./install";
import { pipedFile } from "./piped";

const file = pipedFile({ projectId: "p", agentId: "a-1", key: "psa_secret$HOME`x`", origin: "https://cd.example.com" });

it.each(places)("puts the whole file in place, untouched by the shell: %s", (place) => {
  const commands = installCommands(place, file, "0.1.0");
  expect(commands).toContain(`<<'PIPED'\n${file}PIPED\n`);
  expect(commands.split("PIPED\n").length).toBe(2);
});

it("names the version of the server", () => {
  expect(installCommands("kubernetes", file, "0.1.0")).toContain("penstock:0.1.0");
  expect(installCommands("kubernetes", file, "")).toContain("penstock:latest");
});
