import { TransportProvider } from "@connectrpc/connect-query";
import { i18n } from "@lingui/core";
import { I18nProvider } from "@lingui/react";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { makeTransport } from "#transport";
import { makeQueryClient } from "./api/query-client";
import { readLocale, setLocale } from "./i18n";
import { makeRouter } from "./router";
import { readTheme, setTheme } from "./theme";
import "./styles.css";

setTheme(readTheme());
const [transport] = await Promise.all([makeTransport(), setLocale(readLocale())]);
const queryClient = makeQueryClient(() => signIn());
const router = makeRouter({ queryClient, transport });

/** Goes to the login and comes back to where the session ended. */
function signIn(): void {
  if (router.state.location.pathname === "/login") return;
  void router.navigate({ to: "/login", search: { to: router.state.location.href } });
}

const root = document.getElementById("root");
if (!root) throw new Error("the page has no element #root");
createRoot(root).render(
  <StrictMode>
    <I18nProvider i18n={i18n}>
      <TransportProvider transport={transport}>
        <QueryClientProvider client={queryClient}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </TransportProvider>
    </I18nProvider>
  </StrictMode>,
);
