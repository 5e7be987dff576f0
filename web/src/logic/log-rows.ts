import { type LogFilter, type LogLine, fold, levels } from "./log-lines";

/** One row of the view: a line, and how many lines are folded into it. */
export interface LogRow {
  line: LogLine;
  /** Lines of the step that begins here, when it begins one. */
  size?: number;
  closed?: boolean;
}

interface Group {
  row: LogRow;
  closed: boolean;
}

/**
 * Which lines of a log are shown, in order. Lines that are added later are looked at once: a filter or a fold that changes
 * begins anew, anything else goes on where it was.
 */
export class LogRows {
  private rows: LogRow[] = [];
  private seen = 0;
  private group?: Group;
  private key = "";

  /** The rows of the first `count` lines. The result grows in place; `closed` holds the numbers of folded lines. */
  take(lines: readonly LogLine[], count: number, filter: LogFilter, closed: ReadonlySet<number>): readonly LogRow[] {
    const query = fold(filter.query.trim());
    const key = `${filter.level} ${[...closed].join()} ${query}`;
    if (key !== this.key || count < this.seen) {
      this.rows = [];
      this.seen = 0;
      this.group = undefined;
      this.key = key;
    }
    const least = levels.indexOf(filter.level);
    for (; this.seen < count; this.seen++) {
      const line = lines[this.seen];
      if (line) this.add(line, query, least, closed);
    }
    return this.rows;
  }

  private add(line: LogLine, query: string, least: number, closed: ReadonlySet<number>): void {
    // What is searched for is shown wherever it is, so nothing is folded then.
    const searching = query !== "" || least > 0;
    if (searching) {
      if (levels.indexOf(line.level) >= least && (query === "" || fold(line.text).includes(query))) this.rows.push({ line });
      return;
    }
    if (line.group) {
      const row = { line, size: 0, closed: closed.has(line.n) };
      this.group = { row, closed: row.closed };
      this.rows.push(row);
      return;
    }
    if (this.group) this.group.row.size = (this.group.row.size ?? 0) + 1;
    if (!this.group?.closed) this.rows.push({ line });
  }
}

/** The row that shows a line, or the fold that hides it; -1 when the filter hides it. */
export function rowOf(rows: readonly LogRow[], n: number): number {
  const after = rows.findIndex((r) => r.line.n > n);
  const at = (after < 0 ? rows.length : after) - 1;
  const row = rows[at];
  return row && (row.line.n === n || row.closed) ? at : -1;
}
