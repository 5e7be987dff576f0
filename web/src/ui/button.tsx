import { useLingui } from "@lingui/react";
import type { ButtonHTMLAttributes, ReactNode } from "react";
import { useId } from "react";
import type { Verdict } from "../logic/may";

type Kind = "primary" | "plain" | "danger" | "quiet";

const kinds: Readonly<Record<Kind, string>> = {
  primary: "bg-accent text-accent-fg border-transparent hover:brightness-110",
  plain: "bg-panel text-fg border-edge hover:bg-sunken",
  danger: "bg-panel text-bad border-bad hover:bg-bad-soft",
  quiet: "text-muted border-transparent hover:text-fg hover:bg-sunken",
};

interface Props extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "disabled"> {
  kind?: Kind;
  /** Whether it may be pressed; if not, the reason is told to everybody who comes near. */
  verdict?: Verdict;
  busy?: boolean;
  children: ReactNode;
}

/** A button that stays reachable when it may not be pressed, so that the reason can be read with keyboard and reader too. */
export function Button({ kind = "plain", verdict, busy, children, onClick, className = "", type = "button", ...rest }: Props) {
  const { _ } = useLingui();
  const id = useId();
  const why = verdict && !verdict.ok ? _(verdict.why) : undefined;
  const off = why !== undefined || busy;
  return (
    <>
      <button
        {...rest}
        type={type}
        aria-disabled={off || undefined}
        aria-describedby={why ? id : undefined}
        aria-busy={busy || undefined}
        title={why ?? rest.title}
        onClick={(e) => {
          if (off) e.preventDefault();
          else onClick?.(e);
        }}
        className={`inline-flex h-8 items-center justify-center gap-1.5 rounded-md border px-3 font-medium whitespace-nowrap aria-disabled:cursor-not-allowed aria-disabled:opacity-55 aria-disabled:hover:brightness-100 ${kinds[kind]} ${className}`}
      >
        {children}
      </button>
      {why && (
        <span id={id} hidden>
          {why}
        </span>
      )}
    </>
  );
}
