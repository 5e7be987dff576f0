import type { DescMessage, DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { createQueryOptions } from "@connectrpc/connect-query";
import type { QueryClient } from "@tanstack/react-query";
import {
  Outlet,
  type RouterHistory,
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import { isUnauthenticated } from "./api/errors";
import { ApplicationService } from "./gen/penstock/v1/application_pb";
import { DeploymentService } from "./gen/penstock/v1/deployment_pb";
import { ProjectService } from "./gen/penstock/v1/project_pb";
import { applicationsRequest, deploymentsRequest } from "./logic/lists";
import { applicationSearch, applicationsSearch, compareSearch, deploymentSearch, deploymentsSearch } from "./logic/search";
import { Missing, RouteFailure } from "./pages/route-failure";
import { Shell } from "./pages/shell";
import { Loading } from "./ui/bits";

interface Context {
  queryClient: QueryClient;
  transport: Transport;
}

/** Sends a request whose answer the page will look for; what comes of it is the page's to show. */
function ask<I extends DescMessage, O extends DescMessage>({ queryClient, transport }: Context, method: DescMethodUnary<I, O>, request: MessageInitShape<I>): void {
  void queryClient.prefetchQuery(createQueryOptions(method, request, { transport }));
}

const root = createRootRouteWithContext<Context>()({ component: Outlet, notFoundComponent: Missing });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (raw: Record<string, unknown>): { to?: string } => (typeof raw["to"] === "string" ? { to: raw["to"] } : {}),
  component: lazyRouteComponent(() => import("./pages/login"), "LoginPage"),
});

const app = createRoute({
  getParentRoute: () => root,
  id: "app",
  component: Shell,
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queryClient.ensureQueryData(createQueryOptions(ProjectService.method.whoAmI, {}, { transport: context.transport }));
    } catch (error) {
      if (isUnauthenticated(error)) throw redirect({ to: "/login", search: { to: location.href } });
      throw error;
    }
  },
});

const home = createRoute({
  getParentRoute: () => app,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/applications" });
  },
});

const applications = createRoute({
  getParentRoute: () => app,
  path: "/applications",
  validateSearch: applicationsSearch,
  // Asked for while the page's own code is still on its way.
  loaderDeps: ({ search }) => search,
  loader: ({ context, deps }) => ask(context, ApplicationService.method.listApplications, applicationsRequest(deps)),
  component: lazyRouteComponent(() => import("./pages/applications"), "ApplicationsPage"),
});

const application = createRoute({
  getParentRoute: () => app,
  path: "/applications/$id",
  validateSearch: applicationSearch,
  component: lazyRouteComponent(() => import("./pages/application"), "ApplicationPage"),
});

const deployments = createRoute({
  getParentRoute: () => app,
  path: "/deployments",
  validateSearch: deploymentsSearch,
  loaderDeps: ({ search }) => search,
  loader: ({ context, deps }) => ask(context, DeploymentService.method.listDeployments, deploymentsRequest(deps)),
  component: lazyRouteComponent(() => import("./pages/deployments"), "DeploymentsPage"),
});

const deployment = createRoute({
  getParentRoute: () => app,
  path: "/deployments/$id",
  validateSearch: deploymentSearch,
  component: lazyRouteComponent(() => import("./pages/deployment"), "DeploymentPage"),
});

const compare = createRoute({
  getParentRoute: () => app,
  path: "/compare",
  validateSearch: compareSearch,
  component: lazyRouteComponent(() => import("./pages/compare"), "ComparePage"),
});

const agents = createRoute({
  getParentRoute: () => app,
  path: "/agents",
  component: lazyRouteComponent(() => import("./pages/agents"), "AgentsPage"),
});

const keys = createRoute({
  getParentRoute: () => app,
  path: "/keys",
  component: lazyRouteComponent(() => import("./pages/keys"), "KeysPage"),
});

const webhooks = createRoute({
  getParentRoute: () => app,
  path: "/webhooks",
  component: lazyRouteComponent(() => import("./pages/webhooks"), "WebhooksPage"),
});

const tree = root.addChildren([login, app.addChildren([home, applications, application, deployments, deployment, compare, agents, keys, webhooks])]);

/** All pages and their addresses. */
export function makeRouter(context: Context, history?: RouterHistory) {
  return createRouter({
    routeTree: tree,
    context,
    defaultPreload: "intent",
    scrollRestoration: true,
    defaultPendingComponent: Loading,
    defaultErrorComponent: RouteFailure,
    defaultNotFoundComponent: Missing,
    ...(history ? { history } : {}),
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
