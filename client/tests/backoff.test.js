import { describe, expect, it } from "vitest";

import { Backoff } from "../src/backoff.js";
import { seeded } from "./fakes.js";

const DRAWS = 10_000;

/** Many draws of the delay behind so many others, sorted. */
function draws(attempt) {
  const random = seeded(attempt + 1);
  const all = Array.from({ length: DRAWS }, () => {
    const backoff = new Backoff({ random });
    for (let before = 0; before < attempt; before++) backoff.next();
    return backoff.next();
  });
  return all.sort((a, b) => a - b);
}

describe("the backoff", () => {
  it("has ceilings from 0.5 s, doubling to 30 s and never more", () => {
    const backoff = new Backoff({ random: () => 1 });
    const ceilings = Array.from({ length: 9 }, () => backoff.next());
    expect(ceilings).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  it.each([
    [0, 500],
    [1, 1000],
    [3, 8 * 500],
    [6, 30_000],
    [40, 30_000],
  ])("is spread evenly over [0, ceiling): delay %i over %i ms, by 10,000 draws", (attempt, ceiling) => {
    const sorted = draws(attempt);
    expect(sorted[0]).toBeGreaterThanOrEqual(0);
    expect(sorted.at(-1)).toBeLessThanOrEqual(ceiling);
    const mean = sorted.reduce((sum, delay) => sum + delay, 0) / DRAWS;
    expect(Math.abs(mean / ceiling - 0.5)).toBeLessThan(0.015); // five deviations of such a mean
    for (const quantile of [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99]) {
      expect(Math.abs(sorted[quantile * DRAWS] / ceiling - quantile)).toBeLessThan(0.025);
    }
    // Kolmogorov-Smirnov, at a level of one in a thousand; rounding to milliseconds takes its part.
    const distance = Math.max(...sorted.map((delay, index) => Math.abs(delay / ceiling - (index + 0.5) / DRAWS)));
    expect(distance).toBeLessThan(1.95 / Math.sqrt(DRAWS) + 1 / ceiling);
  });

  it("jitters the first delay, too: ten thousand clients do not come back together", () => {
    const inTenths = Array(10).fill(0);
    for (const delay of draws(0)) inTenths[Math.min(9, Math.floor(delay / 50))] += 1;
    expect(Math.max(...inTenths)).toBeLessThan(DRAWS / 8);
    expect(Math.min(...inTenths)).toBeGreaterThan(DRAWS / 13);
  });

  it("begins anew after a reset, and counts since then", () => {
    const backoff = new Backoff({ random: () => 1 });
    backoff.next();
    backoff.next();
    expect(backoff.attempts).toBe(2);
    backoff.reset();
    expect(backoff.attempts).toBe(0);
    expect(backoff.next()).toBe(500);
  });
});
