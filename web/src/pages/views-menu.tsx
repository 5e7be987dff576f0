import { Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { Bookmark, ChevronDown, Trash2 } from "lucide-react";
import { useState } from "react";
import { usePreferences } from "../api/preferences";
import { Failure } from "../ui/bits";
import { Button } from "../ui/button";
import { Popover } from "../ui/popover";

/** The reader's saved views, and the one on the screen to be saved under a name. The link of a view is its address. */
export function ViewsMenu({ path }: { path: string }) {
  const { t } = useLingui();
  const { views, save, remove } = usePreferences();
  const [name, setName] = useState("");
  const here = views.find((v) => v.path === path);
  return (
    <Popover
      label={t`Saved views`}
      button={
        <>
          <Bookmark aria-hidden size={14} className={here ? "text-accent fill-current" : "text-muted"} />
          <span className="max-w-40 truncate">{here ? here.name : <Trans>Views</Trans>}</span>
          <ChevronDown aria-hidden size={13} className="text-muted" />
        </>
      }
    >
      {views.length > 0 ? (
        <ul className="max-h-72 overflow-y-auto py-1">
          {views.map((v) => (
            <li key={v.name} className="hover:bg-sunken flex items-center gap-1 pr-1">
              <Link to={v.path} aria-current={v === here ? "page" : undefined} className="min-w-0 flex-1 px-3 py-1.5 break-words aria-[current]:font-semibold">
                {v.name}
              </Link>
              <button type="button" className="tool" title={t`Delete the view ${v.name}`} aria-label={t`Delete the view ${v.name}`} onClick={() => remove.mutate({ name: v.name })}>
                <Trash2 aria-hidden size={14} />
              </button>
            </li>
          ))}
        </ul>
      ) : (
        <p className="text-muted px-3 py-2">
          <Trans>No view is saved yet. Set filters and an order, then give them a name.</Trans>
        </p>
      )}
      <form
        className="border-line flex gap-2 border-t p-2"
        onSubmit={(e) => {
          e.preventDefault();
          save.mutate({ view: { name: name.trim(), path } }, { onSuccess: () => setName("") });
        }}
      >
        <input value={name} onChange={(e) => setName(e.target.value)} required maxLength={80} aria-label={t`Name of the view`} placeholder={t`Name of the view`} className="field min-w-0 flex-1" />
        <Button type="submit" busy={save.isPending}>
          <Trans>Save</Trans>
        </Button>
      </form>
      {(save.error ?? remove.error) && <Failure error={save.error ?? remove.error} />}
    </Popover>
  );
}
