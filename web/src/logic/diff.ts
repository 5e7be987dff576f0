export type DiffMark = "add" | "remove" | "change" | "none";

export interface DiffLine {
  mark: DiffMark;
  text: string;
}

/** Lines of a rendered difference: they begin with +, - or ~; everything else is a remark. */
export function diffLines(text: string): DiffLine[] {
  const lines = text.replace(/\n$/, "").split("\n");
  if (lines.length === 1 && lines[0] === "") return [];
  return lines.map((line) => {
    const first = line[0];
    return { mark: first === "+" ? "add" : first === "-" ? "remove" : first === "~" ? "change" : "none", text: line };
  });
}

export function diffCounts(lines: readonly DiffLine[]): { add: number; remove: number; change: number } {
  const count = (mark: DiffMark) => lines.filter((l) => l.mark === mark).length;
  return { add: count("add"), remove: count("remove"), change: count("change") };
}

/** One line of a difference: as it is shown inline, and what stands on either side. */
export interface DiffRow extends DiffLine {
  before?: string;
  after?: string;
}

/** Rows of a rendered difference. What changed reads "path: old → new": each side gets its value. */
export function rowsOf(lines: readonly DiffLine[]): DiffRow[] {
  return lines.map((l) => {
    if (l.mark === "none") return { ...l, before: l.text, after: l.text };
    if (l.mark === "add") return { ...l, after: l.text };
    if (l.mark === "remove") return { ...l, before: l.text };
    const colon = l.text.indexOf(": ");
    const arrow = l.text.indexOf(" → ", colon);
    if (colon < 0 || arrow < 0) return { ...l, before: l.text, after: l.text };
    const path = l.text.slice(0, colon + 2);
    return { ...l, before: l.text.slice(0, arrow), after: path + l.text.slice(arrow + 3) };
  });
}
