import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const react = { extends: true, test: { name: "react", environment: "jsdom", include: ["tests/react/**/*.test.jsx"] } };

// The same tests with the oldest React: `npm install` in tests/react-18 brings it.
const oldPackages = fileURLToPath(new URL("tests/react-18/node_modules", import.meta.url));
const oldReact = {
  ...react,
  resolve: {
    alias: [{ find: /^(react|react-dom|@testing-library\/react)(?=$|\/)/, replacement: `${oldPackages}/$1` }],
  },
  test: { ...react.test, name: "react-18", env: { REACT_MAJOR: "18" } },
};

export default defineConfig({
  // Not below node_modules, which may be a link into a cache that others use, too.
  cacheDir: ".vite",
  esbuild: { jsx: "automatic" },
  test: {
    projects: [
      // The core touches no page: what it needs of one is faked, test by test.
      { extends: true, test: { name: "core", environment: "node", include: ["tests/*.test.js"] } },
      react,
      ...(existsSync(oldPackages) ? [oldReact] : []),
    ],
  },
});
