import { ArrowDown, ArrowUp } from "lucide-react";
import type { ReactNode } from "react";
import { sortOf } from "../logic/lists";

/** The head of a column by which the server can sort. */
export function SortHead({ sort, column, onSort, children }: { sort: string | undefined; column: string; onSort: () => void; children: ReactNode }) {
  const direction = sortOf(sort, column);
  return (
    <th scope="col" className="th" aria-sort={direction}>
      <button type="button" onClick={onSort} className="hover:text-fg inline-flex min-h-6 items-center gap-1 font-medium">
        {children}
        {direction === "ascending" && <ArrowUp aria-hidden size={12} />}
        {direction === "descending" && <ArrowDown aria-hidden size={12} />}
      </button>
    </th>
  );
}
