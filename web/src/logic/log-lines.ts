export type Level = "DEBUG" | "INFO" | "WARN" | "ERROR";

export const levels: readonly Level[] = ["DEBUG", "INFO", "WARN", "ERROR"];

/** One line as it is shown. A record with line breaks gives several; only the first carries time. */
export interface LogLine {
  /** Position from 1 in the whole log. */
  n: number;
  at?: Date;
  level: Level;
  text: string;
  /** Name of the step that begins here. */
  group?: string;
}

/**
 * Makes lines of the bytes of a stage log. Bytes may be cut anywhere, in the middle of a character too; what is not a
 * record is shown as it is, because hiding the one line that explains a failure is worse than an ugly one.
 */
export class LogDecoder {
  private readonly utf8 = new TextDecoder();
  private rest = "";
  private count = 0;

  /** Adds bytes and gives the lines that are complete now. */
  push(data: Uint8Array): LogLine[] {
    return this.take(this.rest + this.utf8.decode(data, { stream: true }), false);
  }

  /** Gives what is left when no more bytes will come. */
  end(): LogLine[] {
    return this.take(this.rest + this.utf8.decode(), true);
  }

  private take(text: string, last: boolean): LogLine[] {
    const parts = text.split("\n");
    this.rest = last ? "" : (parts.pop() ?? "");
    return parts.filter((p) => p.trim() !== "").flatMap((p) => this.record(p));
  }

  private record(line: string): LogLine[] {
    const r = parse(line);
    return r.text.split("\n").map((text, i) => {
      this.count++;
      return { n: this.count, level: r.level, text, ...(i === 0 && r.at ? { at: r.at } : {}), ...(i === 0 && r.group ? { group: r.group } : {}) };
    });
  }
}

function parse(line: string): { at?: Date; level: Level; text: string; group?: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { level: "INFO", text: plain(line) };
  }
  if (typeof value !== "object" || value === null || !("m" in value)) return { level: "INFO", text: plain(line) };
  const t = "t" in value && typeof value.t === "string" ? new Date(value.t) : undefined;
  const at = t && !Number.isNaN(t.getTime()) ? t : undefined;
  const group = "g" in value && typeof value.g === "string" ? plain(value.g) : undefined;
  return { level: levelOf("l" in value ? value.l : undefined), text: plain(String(value.m)), ...(at ? { at } : {}), ...(group ? { group } : {}) };
}

function levelOf(word: unknown): Level {
  const w = String(word).toUpperCase();
  if (w === "WARNING") return "WARN";
  return levels.find((l) => l === w) ?? "INFO";
}

// Colours of a terminal say nothing here, and other control characters could draw over the page's own words.
// oxlint-disable-next-line no-control-regex
const escapes = /\u001b\[[0-9;?]*[A-Za-z]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[\u0000-\u0008\u000b-\u001f\u007f]/g;

function plain(text: string): string {
  return text.replace(escapes, (m) => (m === "\u000d" ? "" : m.length === 1 && m !== "\u001b" ? "\ufffd" : ""));
}

/** What of a log is shown. */
export interface LogFilter {
  /** The least level. */
  level: Level;
  /** Part of the text, any case and width; empty shows all. */
  query: string;
}

export function fold(text: string): string {
  return text.normalize("NFKC").toLowerCase();
}

/** The lines that explain a failure: the last errors, or the last lines when none is marked as an error. */
export function tailForFailure(lines: readonly LogLine[], count: number): readonly LogLine[] {
  const errors = lines.filter((l) => l.level === "ERROR");
  return (errors.length > 0 ? errors : lines).slice(-count);
}

/** Whether the view follows the end of the log, and how many lines came while it did not. */
export interface Follow {
  following: boolean;
  unseen: number;
}

export type FollowInput = { type: "lines"; added: number } | { type: "scrolled"; atEnd: boolean } | { type: "resume" };

/** Scrolling up stops following at once; arriving at the end, or the button, goes on. */
export function follow(f: Follow, input: FollowInput): Follow {
  switch (input.type) {
    case "lines":
      return f.following || input.added === 0 ? f : { following: false, unseen: f.unseen + input.added };
    case "scrolled":
      if (input.atEnd) return f.following ? f : { following: true, unseen: 0 };
      return f.following ? { following: false, unseen: 0 } : f;
    case "resume":
      return { following: true, unseen: 0 };
  }
}
