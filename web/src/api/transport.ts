import type { Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";

/** The transport to the server that served this page; the session travels as its cookie. */
export async function makeTransport(): Promise<Transport> {
  return createConnectTransport({ baseUrl: window.location.origin, useHttpGet: false });
}
