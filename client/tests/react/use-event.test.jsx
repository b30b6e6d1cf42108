import { useState } from "react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { useEvent, useWebSocket } from "../../src/react/index.js";
import { Page, Probe, session } from "./page.jsx";

let page;
beforeEach(() => void (page = new Page()));
afterEach(() => page.close());

describe("useEvent", () => {
  function Counter({ name = "message", step = 1, log }) {
    const [count, setCount] = useState(0);
    useEvent(name, (data) => {
      log?.push([step, count, data]);
      setCount(count + step);
    });
    return <output>{count}</output>;
  }

  test("the newest closure is called, and nothing subscribes anew", async () => {
    page.user();
    const listens = vi.fn();
    const seen = {};
    const log = [];
    function Watched() {
      const { connection } = useWebSocket();
      if (!connection.watched) {
        connection.watched = true;
        const listen = connection.listen.bind(connection);
        connection.listen = (...args) => (listens(), listen(...args));
      }
      return null;
    }
    const inner = (step) => (
      <>
        <Watched />
        <Counter step={step} log={log} />
        <Probe into={seen} />
      </>
    );
    const { rerender, container } = await page.show(inner(1));
    await page.does(() => page.sockets.last.open());
    await page.does(() => page.sockets.last.receive({ event: "message", data: "a" }));
    await page.does(() => page.sockets.last.receive({ event: "message", data: "b" }));
    rerender(inner(10));
    await page.does(() => page.sockets.last.receive({ event: "message", data: "c" }));
    expect(log).toEqual([
      [1, 0, "a"],
      [1, 1, "b"],
      [10, 2, "c"],
    ]);
    expect(container.querySelector("output").textContent).toBe("12");
    expect(listens).toHaveBeenCalledTimes(1);
  });

  test("events go to the handlers of their name only", async () => {
    page.user();
    const seen = { a: [], b: [], message: [] };
    function Listener() {
      useEvent("a", (data) => seen.a.push(data));
      useEvent("b", (data) => seen.b.push(data));
      useEvent("message", (data) => seen.message.push(data));
      return null;
    }
    await page.show(<Listener />);
    await page.does(() => page.sockets.last.open());
    page.sockets.last.receive({ event: "a", data: 1 }).receive({ event: "status", data: 2 }).receive("plain");
    page.sockets.last.receive({ event: "b", data: 3 });
    expect(seen).toEqual({ a: [1], b: [3], message: ["plain"] });
  });

  test("welcome tells who this connection is", async () => {
    page.user();
    const seen = [];
    function Listener() {
      useEvent("welcome", ({ id, recovered }) => seen.push([id, recovered]));
      return null;
    }
    await page.show(<Listener />);
    await page.does(() => page.sockets.last.open());
    const { expiresAt } = session();
    const data = { session: null, id: "c1", offset: null, recovered: false, reason: "off", expiresAt };
    page.sockets.last.receive({ event: "welcome", data });
    expect(seen).toEqual([["c1", false]]);
  });

  test("another name is another subscription, and an unmounted component hears nothing", async () => {
    page.user();
    const log = [];
    const { rerender } = await page.show(<Counter name="a" log={log} />);
    await page.does(() => page.sockets.last.open());
    rerender(<Counter name="b" log={log} />);
    await page.does(() => page.sockets.last.receive({ event: "a", data: 1 }));
    await page.does(() => page.sockets.last.receive({ event: "b", data: 2 }));
    rerender(null);
    await page.does(() => page.sockets.last.receive({ event: "b", data: 3 }));
    expect(log).toEqual([[1, 0, 2]]);
  });

  test("a handler that throws breaks neither the connection nor the other handlers", async () => {
    page.user();
    const thrown = [];
    const log = [];
    function Broken() {
      useEvent("message", () => {
        throw new Error("in a handler");
      });
      return null;
    }
    const seen = {};
    await page.show(
      <>
        <Broken />
        <Counter log={log} />
        <Probe into={seen} />
      </>,
    );
    await page.does(() => page.sockets.last.open());
    await page.does(() => {
      // Where the emitter reports it, as an uncaught error of the page.
      const spy = vi.spyOn(globalThis, "queueMicrotask").mockImplementationOnce((report) => {
        thrown.push(report);
      });
      page.sockets.last.receive({ event: "message", data: 1 });
      spy.mockRestore();
    });
    expect(log).toEqual([[1, 0, 1]]);
    expect(thrown[0]).toThrow("in a handler");
    expect(seen.socket.state).toBe("open");
  });
});
