import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { i18n } from "@lingui/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Change, ChangeSchema } from "../gen/penstock/v1/project_pb";
import { refuse } from "../../mock/world";
import { isTransient, isUnauthenticated, tell } from "./errors";
import { Invalidator, staleAfter } from "./invalidate";
import { type Page, runWhileSeen } from "./visibility";
import { WatchClient } from "./watch-client";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Message = { cursor: string; changes: Change[]; reset: boolean };
const change = (streamKind: string, streamId: string, type = "X") => create(ChangeSchema, { streamKind, streamId, type, applicationId: "a1" });
const message = (cursor: string, changes: Change[] = [], reset = false): Message => ({ cursor, changes, reset });

/** A server whose streams are scripted: each takes messages until it is cut. */
class Server {
  readonly cursors: string[] = [];
  private waiting: ((m: Message | Error) => void)[] = [];
  private ready: (Message | Error)[] = [];
  up = true;

  open = async function* (this: Server, cursor: string, signal: AbortSignal): AsyncGenerator<Message> {
    this.cursors.push(cursor);
    if (!this.up) throw new ConnectError("down", Code.Unavailable);
    while (!signal.aborted) {
      const next = this.ready.shift() ?? (await new Promise<Message | Error>((resolve) => {
        this.waiting.push(resolve);
        signal.addEventListener("abort", () => resolve(new Error("aborted")));
      }));
      if (next instanceof Error) throw next;
      yield next;
    }
  }.bind(this);

  send(m: Message | Error): void {
    const to = this.waiting.shift();
    if (to) to(m);
    else this.ready.push(m);
  }
}

function client(server: Server, more: Partial<ConstructorParameters<typeof WatchClient>[0]> = {}) {
  const heard: string[] = [];
  const watch = new WatchClient({
    open: server.open,
    handlers: {
      onChanges: (list) => heard.push(...list.map((c) => `${c.streamKind}:${c.streamId}`)),
      onReset: () => heard.push("reset"),
      onUnauthenticated: () => heard.push("unauthenticated"),
    },
    isUnauthenticated,
    random: () => 1,
    ...more,
  });
  return { watch, heard };
}

describe("WatchClient", () => {
  it("reads everything once when it begins, then only what changed", async () => {
    const server = new Server();
    const { watch, heard } = client(server);
    void watch.start();
    server.send(message("c1"));
    await vi.advanceTimersByTimeAsync(0);
    expect(watch.state.get()).toMatchObject({ connected: true, stale: false });
    server.send(message("c2", [change("deployment", "d1")]));
    await vi.advanceTimersByTimeAsync(0);
    expect(heard).toEqual(["reset", "deployment:d1"]);
    watch.stop();
  });

  it("reads nothing again when it begins where the first answer was", async () => {
    const server = new Server();
    const { watch, heard } = client(server, { cursor: "c0" });
    void watch.start();
    server.send(message("c0"));
    server.send(message("c1", [change("deployment", "d1")]));
    await vi.advanceTimersByTimeAsync(0);
    expect(server.cursors).toEqual(["c0"]);
    expect(heard).toEqual(["deployment:d1"]);
    watch.stop();
  });

  it("goes on behind the last cursor after a loss and reads nothing again", async () => {
    const server = new Server();
    const { watch, heard } = client(server);
    void watch.start();
    server.send(message("c7"));
    await vi.advanceTimersByTimeAsync(0);
    server.send(new ConnectError("gone", Code.Unavailable));
    await vi.advanceTimersByTimeAsync(0);
    expect(watch.state.get().connected).toBe(false);
    await vi.advanceTimersByTimeAsync(500);
    server.send(message("c7"));
    server.send(message("c8", [change("application", "a1")]));
    await vi.advanceTimersByTimeAsync(0);
    expect(server.cursors).toEqual(["", "c7"]);
    expect(heard).toEqual(["reset", "application:a1"]);
    watch.stop();
  });

  it("tells who listens of every change, and of every moment at which one may have been missed", async () => {
    const server = new Server();
    const { watch } = client(server);
    const told: string[] = [];
    const stop = watch.listen((changes) => told.push(changes?.map((c) => `${c.type} ${c.streamId}`).join() ?? "anything"));
    void watch.start();
    server.send(message("c1"));
    server.send(message("c2", [change("deployment", "d1", "LOG")]));
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toEqual(["anything", "anything", "LOG d1"]);
    server.send(new ConnectError("gone", Code.Unavailable));
    await vi.advanceTimersByTimeAsync(500);
    server.send(message("c2"));
    await vi.advanceTimersByTimeAsync(0);
    expect(told.slice(3)).toEqual(["anything", "anything"]);
    stop();
    server.send(message("c3", [change("deployment", "d1", "LOG")]));
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toHaveLength(5);
    watch.stop();
  });

  it("reads everything again when the server says so", async () => {
    const server = new Server();
    const { watch, heard } = client(server);
    void watch.start();
    server.send(message("c1"));
    server.send(message("c9", [], true));
    await vi.advanceTimersByTimeAsync(0);
    expect(heard).toEqual(["reset", "reset"]);
    watch.stop();
  });

  it("tries with growing pauses and tells within ten seconds", async () => {
    const server = new Server();
    server.up = false;
    const { watch } = client(server);
    void watch.start();
    await vi.advanceTimersByTimeAsync(7_900);
    // at 0, 0.5, 1.5, 3.5 and 7.5 s
    expect(server.cursors).toHaveLength(5);
    expect(watch.state.get().stale).toBe(false);
    await vi.advanceTimersByTimeAsync(200);
    expect(watch.state.get()).toMatchObject({ stale: true, connected: false });
    server.up = true;
    server.send(message("c1"));
    await vi.advanceTimersByTimeAsync(8_000);
    expect(watch.state.get()).toMatchObject({ stale: false, connected: true });
    watch.stop();
  });

  it("remembers when it was last up", async () => {
    const server = new Server();
    vi.setSystemTime(new Date("2026-11-23T13:00:00Z"));
    const { watch } = client(server);
    void watch.start();
    server.send(message("c1"));
    await vi.advanceTimersByTimeAsync(5_000);
    server.up = false;
    server.send(new ConnectError("gone", Code.Unavailable));
    await vi.advanceTimersByTimeAsync(30_000);
    expect(watch.state.get()).toMatchObject({ stale: true, lastAt: new Date("2026-11-23T13:00:00Z") });
    watch.stop();
  });

  it("ends when the session is over", async () => {
    const server = new Server();
    const { watch, heard } = client(server);
    const over = watch.start();
    server.send(new ConnectError("who?", Code.Unauthenticated));
    await over;
    expect(heard).toEqual(["unauthenticated"]);
    expect(server.cursors).toHaveLength(1);
  });

  it("gives up a stream that says nothing, tells within ten seconds, and goes on where it was", async () => {
    const server = new Server();
    vi.setSystemTime(new Date("2026-11-23T13:00:00Z"));
    const { watch } = client(server);
    void watch.start();
    server.send(message("c1"));
    for (let i = 0; i < 4; i++) {
      await vi.advanceTimersByTimeAsync(5_000);
      server.send(message("c1"));
    }
    await vi.advanceTimersByTimeAsync(0);
    expect(watch.state.get()).toMatchObject({ stale: false, connected: true });
    expect(server.cursors).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(9_900);
    expect(watch.state.get()).toMatchObject({ stale: true, connected: false, lastAt: new Date("2026-11-23T13:00:20Z") });
    expect(server.cursors).toEqual(["", "c1"]);
    watch.stop();
  });

  it("opens nothing more after stop", async () => {
    const server = new Server();
    server.up = false;
    const { watch } = client(server);
    void watch.start();
    await vi.advanceTimersByTimeAsync(100);
    watch.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.cursors).toHaveLength(1);
    expect(watch.state.get().stale).toBe(false);
  });
});

describe("what a change makes old", () => {
  const names = (kind: string, type: string) => staleAfter(change(kind, "x1", type)).map((s) => `${s.method.name}${s.input ? JSON.stringify(s.input) : ""}`);
  it("is nothing for a log", () => expect(names("deployment", "LOG")).toEqual([]));
  it("is only the deployment for a wait", () => expect(names("deployment", "WAITING")).toEqual(['GetDeployment{"deploymentId":"x1"}']));
  it("is the live state of one application", () => expect(names("application", "LIVE")).toContain('GetLiveState{"applicationId":"a1"}'));
  it("is nothing for a stream of a newer server", () => expect(names("weather", "RAIN")).toEqual([]));

  it("is read again at once, then together", async () => {
    const invalidateQueries = vi.fn(async () => undefined);
    const inv = new Invalidator({ invalidateQueries }, 100);
    const wait = () => inv.changes([change("deployment", "d1", "WAITING")]);
    wait();
    expect(invalidateQueries).toHaveBeenCalledTimes(1);
    for (let i = 0; i < 20; i++) wait();
    await vi.advanceTimersByTimeAsync(99);
    expect(invalidateQueries).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(invalidateQueries).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(invalidateQueries).toHaveBeenCalledTimes(2);
    wait();
    expect(invalidateQueries).toHaveBeenCalledTimes(3);
    inv.stop();
  });

  it("waits for the answers of the round before, but not for ever", async () => {
    const answers: (() => void)[] = [];
    const invalidateQueries = vi.fn(() => new Promise<void>((resolve) => answers.push(resolve)));
    const inv = new Invalidator({ invalidateQueries }, 100, 5_000);
    const wait = () => inv.changes([change("deployment", "d1", "WAITING")]);
    wait();
    wait();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(invalidateQueries).toHaveBeenCalledTimes(1);
    answers[0]?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(invalidateQueries).toHaveBeenCalledTimes(2);
    wait();
    await vi.advanceTimersByTimeAsync(4_999);
    expect(invalidateQueries).toHaveBeenCalledTimes(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(invalidateQueries).toHaveBeenCalledTimes(3);
    answers[1]?.(); // of a round that nobody waits for any more
    wait();
    await vi.advanceTimersByTimeAsync(200);
    expect(invalidateQueries).toHaveBeenCalledTimes(3);
    inv.stop();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(invalidateQueries).toHaveBeenCalledTimes(3);
  });
});

describe("runWhileSeen", () => {
  function scene() {
    const page = Object.assign(new EventTarget(), { visibilityState: "visible" as DocumentVisibilityState });
    const runner = { start: vi.fn(async () => undefined), stop: vi.fn() };
    const show = (state: DocumentVisibilityState) => {
      page.visibilityState = state;
      page.dispatchEvent(new Event("visibilitychange"));
    };
    return { page: page as unknown as Page, runner, show };
  }

  it("gives the connection up a while after the tab is out of sight", async () => {
    const { page, runner, show } = scene();
    const end = runWhileSeen(runner, page, { grace: 1000 });
    show("hidden");
    await vi.advanceTimersByTimeAsync(900);
    expect(runner.stop).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(200);
    expect(runner.stop).toHaveBeenCalledTimes(1);
    show("visible");
    expect(runner.start).toHaveBeenCalledTimes(2);
    end();
    expect(runner.stop).toHaveBeenCalledTimes(2);
  });

  it("keeps it when the reader is back in time", async () => {
    const { page, runner, show } = scene();
    const end = runWhileSeen(runner, page, { grace: 1000 });
    show("hidden");
    show("visible");
    await vi.advanceTimersByTimeAsync(5000);
    expect(runner.start).toHaveBeenCalledTimes(1);
    expect(runner.stop).not.toHaveBeenCalled();
    end();
  });

  it("glimpses while out of sight", async () => {
    const { page, runner, show } = scene();
    const end = runWhileSeen(runner, page, { grace: 1000, glimpseEvery: 10_000, glimpseFor: 500 });
    show("hidden");
    await vi.advanceTimersByTimeAsync(1000 + 2 * 10_500 + 10);
    expect(runner.start).toHaveBeenCalledTimes(3);
    expect(runner.stop).toHaveBeenCalledTimes(3);
    end();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(runner.start).toHaveBeenCalledTimes(3);
  });
});

describe("errors", () => {
  const title = (e: unknown) => i18n._(tell(e).title);
  it("are told by what they mean, with the server's own words", () => {
    const e = refuse(Code.FailedPrecondition, "the deployment has moved on", "STALE_VIEW", "d1");
    expect(title(e)).toContain("moved on while you were looking");
    expect(tell(e).detail).toBe("the deployment has moved on");
    expect(title(new ConnectError("x", Code.NotFound))).toBe("There is no such thing");
    expect(title(new Error("boom"))).toBe("Something went wrong");
  });
  it("say that the server cannot be reached when fetch does", () => {
    expect(title(ConnectError.from(new TypeError("Failed to fetch")))).toBe("The server cannot be reached");
  });
  it("are tried again only when that can help", () => {
    expect(isTransient(new ConnectError("x", Code.Unavailable))).toBe(true);
    expect(isTransient(new ConnectError("x", Code.PermissionDenied))).toBe(false);
  });
});
