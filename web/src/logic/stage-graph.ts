import type { StageView, Timeline } from "./timeline";

/** How one gets to a stage: from the left, from the row above, by turning back; the first stage has no way to it. */
export type Edge = "none" | "along" | "down" | "turn";

/** Where a stage is drawn, in cells from 0; every stage has exactly one. */
export interface Node {
  view: StageView;
  column: number;
  row: number;
  edge: Edge;
  /** The way to it was taken, is being taken, or lies ahead. */
  walked: boolean;
}

export interface Graph {
  columns: number;
  nodes: Node[];
  /** Row of the first stage of the way back; undefined when it is not drawn. */
  backRow?: number;
  /** The stage that the way back begins at. */
  turnedAt?: StageView;
}

/** Smallest width of a box and the gap between two, in pixels at the usual size of text. */
const boxWidth = 168;
const boxGap = 28;

/** How many boxes fit beside each other. */
export function columnsFor(width: number): number {
  return Math.max(1, Math.floor((width + boxGap) / (boxWidth + boxGap)));
}

/**
 * Puts the stages of a deployment into rows. Rows are filled evenly, so that seven stages stand as four and three and not
 * as six and one. The way back has rows of its own and begins below the stage that it turned at when it fits there.
 */
export function stageGraph({ forward, back, turned }: Timeline, fit: number, showBack: boolean): Graph {
  const rows = Math.max(1, Math.ceil(forward.length / fit));
  const columns = Math.max(1, Math.min(fit, Math.ceil(forward.length / rows)), showBack ? Math.min(fit, back.length) : 1);
  const nodes = place(forward, columns, 0, 0);
  if (!showBack || back.length === 0) return { columns, nodes };
  const last = nodes.findLastIndex((n) => n.view.startedAt !== undefined);
  const at = turned ? nodes[last] : undefined;
  const backRow = (nodes[nodes.length - 1]?.row ?? -1) + 1;
  const below = at && at.row === backRow - 1 && at.column + back.length <= columns ? at.column : 0;
  const way = place(back, columns, backRow, below).map((n, i): Node => (i === 0 ? { ...n, edge: "turn", walked: turned } : n));
  return { columns, nodes: [...nodes, ...way], backRow, turnedAt: at?.view };
}

function place(views: readonly StageView[], columns: number, row: number, indent: number): Node[] {
  return views.map((view, i) => ({
    view,
    column: (i + indent) % columns,
    row: row + Math.floor((i + indent) / columns),
    edge: i === 0 ? "none" : (i + indent) % columns === 0 ? "down" : "along",
    walked: view.startedAt !== undefined,
  }));
}
