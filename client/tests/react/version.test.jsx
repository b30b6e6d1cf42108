import { version } from "react";
import { version as domVersion } from "react-dom";
import { expect, test } from "vitest";

test("these tests run with the React that they are meant for", () => {
  const major = process.env.REACT_MAJOR ?? "19";
  expect([version, domVersion].map((one) => one.split(".")[0])).toEqual([major, major]);
});
