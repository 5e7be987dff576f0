import { Trans, useLingui } from "@lingui/react/macro";
import { ChevronRight, ChevronsLeft } from "lucide-react";
import { Button } from "./button";

/** Goes through the pages of a list; the browser's back button is the way to the page before. */
export function Pager({ first, next, go }: { first: boolean; next: string; go: (token: string | undefined) => void }) {
  const { t } = useLingui();
  if (first && !next) return null;
  return (
    <nav aria-label={t`Pages of the list`} className="flex justify-end gap-2 px-3 py-2">
      {!first && (
        <Button kind="quiet" onClick={() => go(undefined)}>
          <ChevronsLeft aria-hidden size={15} />
          <Trans>First page</Trans>
        </Button>
      )}
      {next && (
        <Button kind="quiet" onClick={() => go(next)}>
          <Trans>Next page</Trans>
          <ChevronRight aria-hidden size={15} />
        </Button>
      )}
    </nav>
  );
}
