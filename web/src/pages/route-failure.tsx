import { Trans } from "@lingui/react/macro";
import { type ErrorComponentProps, Link, useRouter } from "@tanstack/react-router";
import { Empty, Failure } from "../ui/bits";

/** Shown in place of a page that could not be shown. */
export function RouteFailure({ error }: ErrorComponentProps) {
  const router = useRouter();
  return (
    <div className="p-4">
      <Failure error={error} retry={() => void router.invalidate()} />
    </div>
  );
}

/** Shown for an address that leads nowhere. */
export function Missing() {
  return (
    <main>
      <h1 className="sr-only">Penstock</h1>
      <Empty>
        <Trans>There is no page at this address.</Trans>{" "}
        <Link to="/applications" className="link underline">
          <Trans>Applications</Trans>
        </Link>
      </Empty>
    </main>
  );
}
