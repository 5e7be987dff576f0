import { useMutation } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { ProjectService } from "../gen/penstock/v1/project_pb";
import { returnPath } from "../logic/search";
import { Failure } from "../ui/bits";
import { Button } from "../ui/button";
import { useTitle } from "../ui/hooks";
import { LanguageSwitch } from "./language";

const route = getRouteApi("/login");

/** The one thing to do on this page is to type. */
const focus = (field: HTMLInputElement | null) => field?.focus();

/** Signs in and goes to where the reader wanted to be. */
export function LoginPage() {
  const { t } = useLingui();
  useTitle(t`Sign in`);
  const { to } = route.useSearch();
  const router = useRouter();
  const queries = useQueryClient();
  const login = useMutation(ProjectService.method.login, {
    onSuccess: async () => {
      queries.clear();
      router.history.push(returnPath(to));
    },
  });
  return (
    <main className="flex min-h-screen items-center justify-center p-4">
      <div className="panel w-full max-w-sm p-7 shadow-sm">
        <div className="mb-6 flex items-center justify-between">
          <h1 className="flex items-center gap-2.5 text-xl font-semibold">
            <img src="/favicon.svg" alt="" width={28} height={28} />
            Penstock
          </h1>
          <LanguageSwitch />
        </div>
        <form
          className="space-y-4"
          onSubmit={(e) => {
            e.preventDefault();
            const form = new FormData(e.currentTarget);
            login.mutate({ username: String(form.get("username")), password: String(form.get("password")) });
          }}
        >
          <label className="block">
            <span className="mb-1 block font-medium">
              <Trans>User name</Trans>
            </span>
            <input ref={focus} name="username" autoComplete="username" required className="field w-full" />
          </label>
          <label className="block">
            <span className="mb-1 block font-medium">
              <Trans>Password</Trans>
            </span>
            <input name="password" type="password" autoComplete="current-password" required className="field w-full" />
          </label>
          {login.error && <Failure error={login.error} />}
          <Button type="submit" kind="primary" busy={login.isPending} className="w-full">
            <Trans>Sign in</Trans>
          </Button>
        </form>
      </div>
    </main>
  );
}
