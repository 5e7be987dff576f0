import { Trans, useLingui } from "@lingui/react/macro";
import { Button } from "../ui/button";
import { Dialog, DialogButtons } from "../ui/dialog";

/** Lists the keys. */
export function HelpDialog({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const keys: [string, string][] = [
    ["?", t`show the keys`],
    ["/", t`go to the filter`],
    ["Ctrl K", t`find an application, a deployment, an agent or an action`],
    ["Enter", t`in the filter: go to the first row; on a row: open it`],
    ["j k", t`next or previous row of a list`],
    ["n p", t`next or previous application of the list that you came from`],
    ["g a", t`go to the applications`],
    ["g d", t`go to the deployments`],
    ["g g", t`go to the agents`],
    ["g k", t`go to the API keys`],
    ["Esc", t`close a dialog, or leave a field`],
  ];
  return (
    <Dialog title={t`Keys`} onClose={onClose}>
      <dl className="grid grid-cols-[6rem_1fr] gap-y-2">
        {keys.map(([key, what]) => (
          <div key={key} className="contents">
            <dt>
              {key.split(" ").map((k) => (
                <kbd key={k} className="bg-sunken border-line mr-1 rounded border px-1.5 font-mono text-xs">
                  {k}
                </kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <DialogButtons>
        <Button onClick={onClose}>
          <Trans>Close</Trans>
        </Button>
      </DialogButtons>
    </Dialog>
  );
}
