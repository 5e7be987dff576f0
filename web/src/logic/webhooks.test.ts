import { i18n } from "@lingui/core";
import { describe, expect, it } from "vitest";
import { deliveryTold, hostOf, newSecret } from "./webhooks";

describe("webhooks", () => {
  it("says of every answer what it means, and of an unknown one that something failed", () => {
    const told = (status: number, woken = 0) => {
      const { tone, text } = deliveryTold({ status, woken });
      return `${tone}: ${i18n._(text)}`;
    };
    expect(told(202, 1)).toMatch(/^ok: accepted/);
    expect(told(202)).toMatch(/^warn: .*no connected agent/);
    expect(told(401)).toMatch(/^bad: refused/);
    const all = [200, 202, 400, 401, 413, 415, 500].map((s) => told(s));
    expect(new Set(all).size).toBe(all.length);
    expect(told(599)).toBe(told(500));
  });
  it("makes secrets with all their chance", () => {
    expect(newSecret()).toMatch(/^[A-Z2-7]{26}$/);
    expect(newSecret()).not.toBe(newSecret());
    expect(newSecret((b) => b.map((_, i) => i * 9))).toBe("AJS3ENW7IR2DMV6HQZCLU5GPYB");
  });
  it("names hosts as they do, and a new one by its own word", () => {
    expect(hostOf("gitlab").name).toBe("GitLab");
    expect(hostOf("codeberg").name).toBe("codeberg");
  });
});
