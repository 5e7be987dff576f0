import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Api } from "./api.ts";

/** The program under test. */
export const program = process.env["PENSTOCK_BIN"] ?? fileURLToPath(new URL("../../../bin/penstock", import.meta.url));

const patience = 60_000;

interface Options {
  scenario: "canary" | "bad-start" | "bad-release" | "approval";
  /** How long the canary keeps its share, as Go spells durations. */
  wait?: string;
}

/** A demo of its own: server, agent, local cloud and git, on ports that were free. */
export class Demo {
  private output = "";

  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
    readonly password: string,
    readonly repository: string,
    readonly api: Api,
  ) {}

  static async start({ scenario, wait = "4s" }: Options): Promise<Demo> {
    const child = spawn(program, ["demo", "--listen", "127.0.0.1:0", "--scenario", scenario, "--wait", wait, "--profile", "ideal", "--rate", "20"], { stdio: ["ignore", "pipe", "pipe"] });
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", () => process.off("exit", kill));
    let output = "";
    const facts = await new Promise<RegExpMatchArray>((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`the demo did not print its address in time:\n${output}`)), patience);
      const read = (chunk: Buffer) => {
        output += chunk.toString();
        const m = /page\s+(?<url>\S+)\s+user admin\s+password (?<password>\S+)[^]*repository\s+(?<repository>\S+)[^]*PENSTOCK_TOKEN=(?<token>\S+)\n/.exec(output);
        if (!m) return;
        clearTimeout(limit);
        resolve(m);
      };
      child.stdout?.on("data", read);
      child.stderr?.on("data", read);
      child.once("exit", (code) => reject(new Error(`the demo ended with ${code}:\n${output}`)));
    });
    const { url = "", password = "", repository = "", token = "" } = facts.groups ?? {};
    const demo = new Demo(child, url, password, repository, new Api(url, token));
    const keep = (chunk: Buffer) => {
      demo.output = (demo.output + chunk.toString()).slice(-8000);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    return demo;
  }

  /** Ends it and everything it started. */
  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const over = once(this.child, "exit");
    this.child.kill("SIGINT");
    const limit = setTimeout(() => this.child.kill("SIGKILL"), 15_000);
    await over;
    clearTimeout(limit);
  }

  /** The end of what it printed, for a message. */
  words(): string {
    return this.output;
  }
}
