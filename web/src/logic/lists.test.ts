import { describe, expect, it } from "vitest";
import { applicationsRequest, choicesText, filtered, listOf, listText, nextSort, reordered, steady, toggled } from "./lists";

describe("the choices of a filter", () => {
  it("are added and removed", () => {
    expect(toggled(["A"], "B")).toEqual(["A", "B"]);
    expect(toggled(["A", "B"], "A")).toEqual(["B"]);
    expect(choicesText(toggled(["A"], "A"))).toBeUndefined();
  });
  it("hold one value of a label", () => {
    expect(toggled(["env=prod", "team=web"], "env=stage", true)).toEqual(["team=web", "env=stage"]);
  });
});

it("asks for what the URL says", () => {
  expect(applicationsRequest({ q: "shop", sync: "SYNCED,OUT_OF_SYNC", label: "env=prod", enabled: "no", star: "yes", sort: "-last_deployment", after: "t" })).toMatchObject({
    page: { pageSize: 50, pageToken: "t" },
    query: "shop",
    syncStates: ["SYNCED", "OUT_OF_SYNC"],
    labels: { env: "prod" },
    enabled: false,
    favourites: true,
    sort: "-last_deployment",
  });
  expect(applicationsRequest({}).enabled).toBeUndefined();
});

it("carries a list in another URL", () => {
  const list = { q: "a&b=c", label: "env=prod,team=web", sort: "-health" as const };
  expect(listOf(listText(list))).toEqual(list);
  expect(listOf("sort=evil&x=1&q=a")).toEqual({ q: "a" });
  expect(listOf(undefined)).toBeUndefined();
  expect([filtered({ sort: "name", after: "x" }), filtered({ q: "a" })]).toEqual([false, true]);
});

describe("rows that change while they are read", () => {
  const rows = (ids: string) => [...ids].map((id) => ({ id }));
  const ids = (list: { id: string }[]) => list.map((r) => r.id).join("");
  it.each([
    ["abc", "cab", "abc"],
    ["abc", "ac", "ac"],
    ["abc", "xabc", "xabc"],
    ["abc", "cxab", "abcx"],
    ["abc", "abxyc", "abxyc"],
    ["", "ab", "ab"],
  ])("known %s, answered %s, shown %s", (known, answered, shown) => expect(ids(steady([...known], rows(answered)))).toBe(shown));
  it("are told to be in another order", () => {
    expect(reordered(rows("ab"), rows("ba"))).toBe(true);
    expect(reordered(rows("ab"), rows("ab"))).toBe(false);
  });
});

it("turns a column round, then lets it go", () => {
  expect([nextSort(undefined, "health"), nextSort("health", "health"), nextSort("-health", "health")]).toEqual(["health", "-health", undefined]);
  expect([nextSort(undefined, "last", "-last"), nextSort("-last", "last", "-last"), nextSort("last", "last", "-last")]).toEqual(["-last", "last", undefined]);
});
