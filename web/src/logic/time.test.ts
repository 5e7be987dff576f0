import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { between, clock, exact, formatDuration, relative, toDate } from "./time";

const now = new Date("2026-11-23T13:00:00Z");
const ago = (s: number) => new Date(now.getTime() - s * 1000);

describe("formatDuration", () => {
  it.each([
    [0, "0ms"],
    [-5, "0ms"],
    [450, "450ms"],
    [999.6, "1000ms"],
    [1000, "1s"],
    [4210, "4.2s"],
    [9949, "9.9s"],
    [9950, "10s"],
    [59_400, "59s"],
    [60_000, "1m"],
    [150_000, "2m 30s"],
    [3_599_600, "1h"],
    [3_900_000, "1h 5m"],
    [86_400_000 * 3 + 3_600_000 * 4, "3d 4h"],
  ])("says %d ms as %s", (ms, text) => expect(formatDuration(ms, "en")).toBe(text));

  it("speaks Japanese", () => expect(formatDuration(150_000, "ja")).toBe("2分30秒"));
});

describe("relative", () => {
  it.each([
    [0.4, "now"],
    [8, "8 seconds ago"],
    [59.7, "1 minute ago"],
    [3599, "1 hour ago"],
    [7200, "2 hours ago"],
    [86_400, "yesterday"],
    [86_400 * 90, "3 months ago"],
    [86_400 * 800, "2 years ago"],
    [-90, "in 2 minutes"],
  ])("says %d s before as %s", (s, text) => expect(relative(ago(s), now, "en")).toBe(text));

  it("speaks Japanese", () => expect(relative(ago(7200), now, "ja")).toBe("2 時間前"));
});

it("gives the exact instant in a zone and in UTC", () => {
  expect(exact(now, "en-GB", "Asia/Tokyo")).toBe("23/11/2026, 22:00:00 GMT+9 · 2026-11-23T13:00:00.000Z");
  expect(clock(now, "en", "Asia/Tokyo")).toBe("22:00:00");
});

it("takes a timestamp that was never set for no instant", () => {
  expect(toDate(undefined)).toBeUndefined();
  expect(toDate({ $typeName: "google.protobuf.Timestamp", seconds: 0n, nanos: 0 })).toBeUndefined();
  expect(toDate(timestampFromDate(now))).toEqual(now);
});

it("never measures a negative time", () => {
  expect(between(now, ago(3))).toBe(0);
  expect(between(ago(3), now)).toBe(3000);
  expect(between(undefined, now)).toBeUndefined();
});
