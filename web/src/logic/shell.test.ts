import { describe, expect, it } from "vitest";
import { chooseLocale } from "../i18n";
import { KeySequence, type Press, moveIndex } from "./keys";
import { applicationsSearch, deploymentSearch, faviconOf, labelsOf, returnPath, titleOf } from "./search";

describe("KeySequence", () => {
  const keys = () => new KeySequence(new Set(["?", "/", "j", "g a", "g d"]));
  const press = (key: string, more: Partial<Press> = {}): Press => ({ key, ctrlKey: false, metaKey: false, altKey: false, isComposing: false, typing: false, ...more });

  it("knows single keys and sequences", () => {
    const k = keys();
    expect(k.press(press("?"), 0)).toBe("?");
    expect(k.press(press("g"), 0)).toBeUndefined();
    expect(k.press(press("a"), 500)).toBe("g a");
  });
  it("forgets the first key in time, and after another one", () => {
    const k = keys();
    k.press(press("g"), 0);
    expect(k.press(press("a"), 5000)).toBeUndefined();
    k.press(press("g"), 0);
    expect(k.press(press("j"), 1)).toBe("j");
    expect(k.press(press("a"), 2)).toBeUndefined();
  });
  it("never takes what is typed, composed or meant for the browser", () => {
    const k = keys();
    expect(k.press(press("/", { typing: true }), 0)).toBeUndefined();
    expect(k.press(press("j", { isComposing: true }), 0)).toBeUndefined();
    expect(k.press(press("j", { ctrlKey: true }), 0)).toBeUndefined();
  });
  it("bears the shift key in between, and full-width letters", () => {
    const k = keys();
    k.press(press("g"), 0);
    k.press(press("Shift"), 1);
    expect(k.press(press("ａ"), 2)).toBe("g a");
  });
});

it("moves in a list and stays at its ends", () => {
  expect([moveIndex(-1, 1, 3), moveIndex(-1, -1, 3), moveIndex(2, 1, 3), moveIndex(0, -1, 3), moveIndex(0, 1, 0)]).toEqual([0, 2, 2, 0, -1]);
});

describe("the URL", () => {
  it("keeps what it knows and drops the rest", () => {
    expect(applicationsSearch({ q: "ｃｈｅｃｋ", sync: "", other: "x", kind: ["a"] })).toEqual({ q: "check" });
    expect(applicationsSearch({ q: 42 })).toEqual({ q: "42" });
    expect(deploymentSearch({ stage: "s1", attempt: "2", tab: "plan" })).toEqual({ stage: "s1", attempt: 2, tab: "plan" });
    expect(deploymentSearch({ attempt: "-1", tab: "nothing" })).toEqual({});
  });
  it("reads labels", () => {
    expect(labelsOf("env=prod, team = web,=x,alone,url=a=b")).toEqual({ env: "prod", team: "web", url: "a=b" });
    expect(labelsOf(undefined)).toEqual({});
  });
  it.each([
    ["/deployments/d1?tab=plan", "/deployments/d1?tab=plan"],
    ["//evil.example", "/applications"],
    ["/\\evil.example", "/applications"],
    ["https://evil.example", "/applications"],
    ["/login?to=/x", "/applications"],
    [undefined, "/applications"],
  ])("goes from the login at %s to %s", (raw, path) => expect(returnPath(raw)).toBe(path));
});

it("names and marks the tab by what happened", () => {
  expect(titleOf("Failed", undefined, "checkout")).toBe("Failed · checkout · Penstock");
  expect([faviconOf("SUCCESS", "SUCCESS"), faviconOf("ROLLED_BACK", "CANCELLED"), faviconOf("RUNNING", "RUNNING"), faviconOf("CANCELLED", "CANCELLED")]).toEqual(["ok", "bad", "run", "idle"]);
});

describe("the language", () => {
  it("is the URL's, then the chosen one, then the browser's", () => {
    expect(chooseLocale("?lang=ja", "en", ["en"])).toBe("ja");
    expect(chooseLocale("", "ja", ["en-US"])).toBe("ja");
    expect(chooseLocale("", null, ["fr", "ja-JP", "en"])).toBe("ja");
    expect(chooseLocale("?lang=xx", null, ["fr"])).toBe("en");
  });
});
