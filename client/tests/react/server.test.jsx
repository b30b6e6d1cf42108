// @vitest-environment node

import { StrictMode } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, expect, test, vi } from "vitest";
import {
  AuthProvider,
  SocketProvider,
  useAuth,
  useConnectionState,
  useEvent,
  useSocket,
  useWebSocket,
} from "../../src/react/index.js";

afterEach(() => vi.unstubAllGlobals());

function Page() {
  const { status, user } = useAuth();
  const { state, lastError } = useWebSocket();
  const { isConnected, socket, connection } = useSocket("http://service.test");
  const { cause } = useConnectionState();
  useEvent("message", () => {});
  useEvent("message", () => {}, connection);
  return <p>{[status, user, state, lastError, isConnected, socket, cause].map(String).join(" ")}</p>;
}

test("on a server the hooks say loading and idle, and nothing is opened, asked or touched", () => {
  const touched = [];
  const touching = (name) =>
    class {
      constructor() {
        touched.push(name);
      }
    };
  for (const name of ["WebSocket", "BroadcastChannel"]) vi.stubGlobal(name, touching(name));
  vi.stubGlobal("fetch", () => touched.push("fetch"));
  vi.stubGlobal("setTimeout", () => touched.push("setTimeout"));
  expect(typeof window + typeof document).toBe("undefinedundefined");
  const complaints = vi.spyOn(console, "error");
  const html = renderToString(
    <StrictMode>
      <AuthProvider baseUrl="http://service.test/auth">
        <SocketProvider url="ws://service.test/ws">
          <Page />
        </SocketProvider>
      </AuthProvider>
    </StrictMode>,
  );
  expect(html).toBe("<p>loading null idle null false null asked</p>");
  expect(touched).toEqual([]);
  expect(complaints).not.toHaveBeenCalled();
});
