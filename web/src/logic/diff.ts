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
