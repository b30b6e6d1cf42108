import { defineConfig } from "vitest/config";

export default defineConfig({
  // Not below node_modules, which may be a link into a cache that others use, too.
  cacheDir: ".vite",
  esbuild: { jsx: "automatic" },
  test: {
    projects: [
      // The core touches no page: what it needs of one is faked, test by test.
      { extends: true, test: { name: "core", environment: "node", include: ["tests/*.test.js"] } },
      { extends: true, test: { name: "react", environment: "jsdom", include: ["tests/react/**/*.test.jsx"] } },
    ],
  },
});
