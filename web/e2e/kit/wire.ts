import { type Server, type Socket, connect, createServer } from "node:net";

/** A wire between browser and server that can be cut, or go silent without a word, and be mended. */
export class Wire {
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  private state: "open" | "cut" | "silent" = "open";

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(target: string): Promise<Wire> {
    const { hostname, port } = new URL(target);
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("the wire has no address");
    const wire = new Wire(server, `http://127.0.0.1:${address.port}`);
    server.on("connection", (near) => wire.take(near, connect(Number(port), hostname)));
    return wire;
  }

  /** Ends every connection and refuses new ones. */
  cut(): void {
    this.state = "cut";
    this.drop();
  }

  /** Keeps every connection and passes nothing on: a network that swallows packets. */
  silence(): void {
    this.state = "silent";
    for (const [near, far] of this.pairs) {
      near.unpipe(far);
      far.unpipe(near);
      near.pause();
      far.pause();
    }
  }

  mend(): void {
    if (this.state === "silent") this.drop();
    this.state = "open";
  }

  async end(): Promise<void> {
    this.drop();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private take(near: Socket, far: Socket): void {
    const pair = [near, far] as const;
    const drop = () => {
      near.destroy();
      far.destroy();
      this.pairs.delete(pair);
    };
    near.on("error", drop).on("close", drop);
    far.on("error", drop).on("close", drop);
    if (this.state === "cut") {
      drop();
      return;
    }
    this.pairs.add(pair);
    if (this.state === "open") {
      near.pipe(far);
      far.pipe(near);
    }
  }

  private drop(): void {
    for (const [near, far] of this.pairs) {
      near.destroy();
      far.destroy();
    }
    this.pairs.clear();
  }
}
