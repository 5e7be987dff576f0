import { Trans } from "@lingui/react/macro";

/** A note that stays in the record with the decision it belongs to. */
export function NoteField({ value, onChange, required }: { value: string; onChange: (v: string) => void; required?: boolean }) {
  return (
    <label className="mt-4 block">
      <span className="mb-1 block font-medium">
        <Trans>Note</Trans>{" "}
        <span className="text-muted font-normal">
          {required ? <Trans>needed; stays in the record</Trans> : <Trans>stays in the record</Trans>}
        </span>
      </span>
      <textarea required={required} value={value} onChange={(e) => onChange(e.target.value)} rows={2} maxLength={600} className="field h-auto w-full py-1.5" />
    </label>
  );
}
