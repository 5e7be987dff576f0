import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { createConnectQueryKey, useQuery } from "@connectrpc/connect-query";
import { msg } from "@lingui/core/macro";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { type AskResponse, DecisionService } from "../gen/penstock/v1/decision_pb";
import type { Verdict } from "../logic/may";
import { Banner, CommitRef, Failure, Loading, Why } from "../ui/bits";
import { Button } from "../ui/button";
import { Difference } from "../ui/diff";

interface Asked {
  application: string;
  commit?: string;
  strategy?: string;
}

interface Foresight {
  /** What would happen, or why that cannot be shown. */
  view: ReactNode;
  /** Whether a person may decide: what would change was shown, or they said that they go on without. */
  verdict: Verdict;
}

const notYet: Verdict = { ok: false, why: msg`Wait until the changes are shown, or go on without them` };

/** Asks the agent what a deployment would do. Nobody decides before the answer is there, or was waived in so many words. */
export function useForesight({ application, commit = "", strategy = "AUTO" }: Asked): Foresight {
  const [waived, setWaived] = useState(false);
  const queries = useQueryClient();
  const input = { application, commit, strategy, kind: "PLAN" };
  const got = useQuery(DecisionService.method.ask, input, { staleTime: 60_000, retry: false, refetchOnWindowFocus: false, gcTime: 0 });
  const again = () => void queries.invalidateQueries({ queryKey: createConnectQueryKey({ schema: DecisionService.method.ask, cardinality: "finite", input }) });
  const shown = got.data !== undefined && !got.data.refused && !got.isFetching;
  const view = (
    <Shown
      answer={got.data}
      error={got.error}
      busy={got.isFetching}
      waived={waived}
      onWaive={() => setWaived(true)}
      onAgain={again}
    />
  );
  return { view, verdict: shown || waived ? { ok: true } : notYet };
}

interface ShownProps {
  answer: AskResponse | undefined;
  error: unknown;
  busy: boolean;
  waived: boolean;
  onWaive: () => void;
  onAgain: () => void;
}

function Shown({ answer, error, busy, waived, onWaive, onAgain }: ShownProps) {
  const waive = waived ? (
    <span className="text-muted">
      <Trans>You go on without having seen the changes.</Trans>
    </span>
  ) : (
    <Button onClick={onWaive}>
      <Trans>Go on without</Trans>
    </Button>
  );
  if (busy) {
    return (
      <div>
        <p className="flex flex-wrap items-center gap-3">
          <Trans>The agent compares the commit with what is live; nothing is written.</Trans> {waive}
        </p>
        <Loading lines={3} />
      </div>
    );
  }
  if (error) {
    return (
      <>
        <Failure error={error} retry={onAgain} />
        <div className="mt-2">{waive}</div>
      </>
    );
  }
  if (!answer) return null;
  if (answer.refused) {
    return (
      <Banner
        tone="warn"
        title={<Trans>What would change cannot be shown</Trans>}
        actions={
          <>
            <Button onClick={onAgain}>
              <Trans>Ask again</Trans>
            </Button>
            {waive}
          </>
        }
      >
        <Why reason={answer.refused} />
      </Banner>
    );
  }
  return <Answer answer={answer} onAgain={onAgain} />;
}

function Answer({ answer, onAgain }: { answer: AskResponse; onAgain: () => void }) {
  const { i18n } = useLingui();
  const { plan } = answer;
  const forward = answer.stages.filter((s) => !s.rollback);
  const at = (t: Timestamp | undefined) => t && i18n.date(timestampDate(t), { timeStyle: "medium" });
  return (
    <div className="space-y-3">
      {answer.blocked && (
        <Banner tone="bad" title={<Trans>The deployment would stop before its first stage</Trans>}>
          <Why reason={answer.blocked} />
        </Banner>
      )}
      <p>
        <CommitRef commit={answer.commit} />
      </p>
      {plan && (
        <p>
          <strong>{plan.strategy === "QUICK_SYNC" ? <Trans>Quick sync</Trans> : <Trans>Pipeline</Trans>}</strong>: <Why reason={plan.why} />
        </p>
      )}
      {forward.length > 0 && (
        <ol className="list-decimal pl-5">
          {forward.map((s) => (
            <li key={s.id}>
              {s.name} <span className="text-muted">{s.display}</span>
            </li>
          ))}
        </ol>
      )}
      {plan && plan.notes.length > 0 && (
        <ul className="list-disc pl-5">
          {plan.notes.map((n) => (
            <li key={`${n.code} ${n.text}`}>
              <Why reason={n} />
            </li>
          ))}
        </ul>
      )}
      {answer.firstDeploy ? (
        <p>
          <Trans>Nothing is live yet: everything is new.</Trans>
        </p>
      ) : (
        <Difference of={answer} name={answer.commit?.hash.slice(0, 7)} />
      )}
      <p className="text-muted text-xs">
        <Trans>Live against the commit, as the agent saw it at {at(answer.answeredAt)}</Trans>{" "}
        <button type="button" className="link" onClick={onAgain}>
          <Trans>Look again</Trans>
        </button>
      </p>
    </div>
  );
}
