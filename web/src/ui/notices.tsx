import { useLingui } from "@lingui/react/macro";
import { X } from "lucide-react";
import { type ReactNode, createContext, useContext, useState, useSyncExternalStore } from "react";
import { Store } from "../logic/store";

interface Notice {
  id: number;
  text: string;
}

/** Short messages about what a person has just done; the last three stay until they are closed or outlived. */
class Notices {
  readonly list = new Store<readonly Notice[]>([]);
  private count = 0;

  readonly say = (text: string): void => {
    const id = ++this.count;
    this.list.set([...this.list.get().slice(-2), { id, text }]);
    setTimeout(() => this.close(id), 8000);
  };

  readonly close = (id: number): void => this.list.set(this.list.get().filter((n) => n.id !== id));
}

const Context = createContext(new Notices());

/** Says something at the edge of the page. */
export function useNotice(): (text: string) => void {
  return useContext(Context).say;
}

export function NoticeProvider({ children }: { children: ReactNode }) {
  const [notices] = useState(() => new Notices());
  return (
    <Context value={notices}>
      {children}
      <NoticeList notices={notices} />
    </Context>
  );
}

function NoticeList({ notices }: { notices: Notices }) {
  const { t } = useLingui();
  const list = useSyncExternalStore(notices.list.subscribe, notices.list.get);
  return (
    <div aria-live="polite" className="fixed right-4 bottom-4 z-20 flex max-w-sm flex-col gap-2">
      {list.map((n) => (
        <div key={n.id} className="panel border-accent flex items-start gap-3 border-l-4 px-4 py-3 shadow-lg">
          <span className="flex-1">{n.text}</span>
          <button type="button" aria-label={t`Close`} onClick={() => notices.close(n.id)} className="text-muted hover:text-fg">
            <X aria-hidden size={15} />
          </button>
        </div>
      ))}
    </div>
  );
}
