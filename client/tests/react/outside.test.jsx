import { renderToString } from "react-dom/server";
import { describe, expect, test } from "vitest";
import {
  AuthProvider,
  SocketProvider,
  useAuth,
  useConnectionState,
  useEvent,
  useSocket,
  useWebSocket,
} from "../../src/react/index.js";

/** What is thrown when a component that uses this hook is rendered. */
function thrownBy(useIt, wrap = (inner) => inner) {
  function User() {
    useIt();
    return null;
  }
  return () => renderToString(wrap(<User />));
}

const inAuth = (inner) => <AuthProvider>{inner}</AuthProvider>;

describe("a hook outside of its provider says what is missing", () => {
  test("the session", () => {
    expect(thrownBy(useAuth)).toThrow('useAuth needs an <AuthProvider> above it: <AuthProvider baseUrl="/auth">');
    expect(thrownBy(() => useSocket("http://service.test"))).toThrow("useSocket needs an <AuthProvider> above it");
    const lost = (inner) => <SocketProvider url="ws://service.test/ws">{inner}</SocketProvider>;
    expect(thrownBy(() => {}, lost)).toThrow("SocketProvider needs an <AuthProvider> above it");
  });

  test("the socket", () => {
    expect(thrownBy(useWebSocket, inAuth)).toThrow("useWebSocket needs a <SocketProvider> above it");
    expect(thrownBy(() => useEvent("message", () => {}), inAuth)).toThrow("useEvent needs a <SocketProvider>");
    expect(thrownBy(useConnectionState, inAuth)).toThrow("useConnectionState needs a <SocketProvider>");
  });

  test("the address", () => {
    const nowhere = (inner) => inAuth(<SocketProvider>{inner}</SocketProvider>);
    expect(thrownBy(() => {}, nowhere)).toThrow('SocketProvider needs an address: <SocketProvider url="ws://');
  });
});
