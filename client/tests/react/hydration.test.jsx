import { hydrateRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { act } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AuthProvider, SocketProvider, useAuth, useWebSocket } from "../../src/react/index.js";
import { Page } from "./page.jsx";

let page;
beforeEach(() => void (page = new Page()));
afterEach(() => page.close());

function Shown() {
  return <p>{`${useAuth().status} ${useWebSocket().state}`}</p>;
}

test("what a server rendered is taken over without a complaint, and then lives", async () => {
  page.user();
  const tree = (
    <AuthProvider baseUrl="http://service.test/auth">
      <SocketProvider url="ws://service.test/ws">
        <Shown />
      </SocketProvider>
    </AuthProvider>
  );
  const container = document.createElement("div");
  container.innerHTML = renderToString(tree);
  expect(container.textContent).toBe("loading idle");
  const complaints = vi.spyOn(console, "error");
  const onRecoverableError = vi.fn();
  let root;
  await act(async () => void (root = hydrateRoot(container, tree, { onRecoverableError })));
  await page.pass(1);
  await page.does(() => page.sockets.last.open());
  expect(container.textContent).toBe("authenticated open");
  expect(complaints).not.toHaveBeenCalled();
  expect(onRecoverableError).not.toHaveBeenCalled();
  await act(async () => root.unmount());
});
