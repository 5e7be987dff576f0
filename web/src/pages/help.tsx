import { Trans, useLingui } from "@lingui/react/macro";
import { Button } from "../ui/button";
import { Dialog, DialogButtons } from "../ui/dialog";

/** Lists the keys. */
export function HelpDialog({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const keys: [string, string][] = [
    ["?", t`show the keys`],
    ["/", t`go to the filter`],
    ["j k", t`next or previous row of a list`],
    ["Enter", t`open the row`],
    ["g a", t`go to the applications`],
    ["g d", t`go to the deployments`],
    ["g g", t`go to the agents`],
    ["Esc", t`close a dialog`],
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
