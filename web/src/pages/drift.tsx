import { useQuery } from "@connectrpc/connect-query";
import { Trans } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { type Application, ApplicationService } from "../gen/penstock/v1/application_pb";
import { Banner, Failure, Loading } from "../ui/bits";
import { Difference } from "../ui/diff";
import { Ago } from "../ui/time";

/** What somebody else changed of what was deployed; nothing without a drift. */
export function DriftBanner({ app }: { app: Application }) {
  const { drift } = app;
  if (!drift) return null;
  return (
    <Banner
      tone="warn"
      title={<Trans>Somebody else changed what is live</Trans>}
      actions={
        app.lastGood && (
          <Link to="/deployments/$id" params={{ id: app.lastGood.deploymentId }} className="link">
            <Trans>What was deployed</Trans>
          </Link>
        )
      }
    >
      <p className="font-mono text-xs">{drift.summary}</p>
      <p className="text-muted mb-2">
        <Trans>
          Seen <Ago at={drift.at} />. From what was deployed to what is live; values of the environment are hidden.
        </Trans>
      </p>
      <Found app={app} />
    </Banner>
  );
}

function Found({ app }: { app: Application }) {
  const got = useQuery(ApplicationService.method.getDrift, { application: app.id });
  if (got.isPending) return <Loading lines={2} />;
  if (got.error) return <Failure error={got.error} retry={() => void got.refetch()} />;
  return <Difference of={got.data} name={`${app.name}-drift`} />;
}
