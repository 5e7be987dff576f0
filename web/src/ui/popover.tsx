import { type FocusEvent, type KeyboardEvent, type ReactNode, useId, useRef, useState } from "react";

interface Props {
  /** Name of what opens. */
  label: string;
  /** What the button shows. */
  button: ReactNode;
  children: ReactNode;
}

const stops = "input, button, a[href], select";

/**
 * A button that opens something small below it. The arrow keys move inside, Escape closes it and goes back to the button,
 * and it closes when the focus goes elsewhere.
 */
export function Popover({ label, button, children }: Props) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const move = (by: 1 | -1) => {
    const all = [...(box.current?.querySelectorAll<HTMLElement>(stops) ?? [])];
    const now = all.findIndex((e) => e === document.activeElement);
    all[Math.min(all.length - 1, Math.max(0, now + by))]?.focus();
  };
  const onKeyDown = (e: KeyboardEvent) => {
    if (e.key === "Escape" && open) {
      e.stopPropagation();
      setOpen(false);
      opener.current?.focus();
    } else if (open && (e.key === "ArrowDown" || e.key === "ArrowUp") && !(e.target instanceof HTMLSelectElement)) {
      e.preventDefault();
      move(e.key === "ArrowDown" ? 1 : -1);
    }
  };
  const onBlur = (e: FocusEvent<HTMLDivElement>) => {
    // A press on something that takes no focus, such as a label, leaves it open.
    if (e.relatedTarget instanceof Node && !e.currentTarget.contains(e.relatedTarget)) setOpen(false);
  };
  return (
    // oxlint-disable-next-line jsx-a11y/no-static-element-interactions -- it only hears what its parts do
    <div className="relative" onKeyDown={onKeyDown} onBlur={onBlur}>
      <button
        ref={opener}
        type="button"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={() => setOpen(!open)}
        className="border-edge bg-panel hover:bg-sunken inline-flex h-8 max-w-full items-center gap-1.5 rounded-md border px-2.5 whitespace-nowrap"
      >
        {button}
      </button>
      {open && (
        <>
          <div aria-hidden className="fixed inset-0 z-10" onClick={() => setOpen(false)} />
          <div ref={box} id={id} role="group" aria-label={label} className="panel fixed inset-x-4 z-20 mt-1 shadow-xl sm:absolute sm:inset-x-auto sm:left-0 sm:w-72">
            {children}
          </div>
        </>
      )}
    </div>
  );
}
