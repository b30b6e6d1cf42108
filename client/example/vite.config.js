import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  plugins: [react()],
  // Not below node_modules, which may hold links into a cache that others use, too.
  cacheDir: ".vite",
  // The client is a link to the folder above, from where these would not be found, or found twice.
  resolve: { dedupe: ["react", "react-dom", "socket.io-client"] },
  // The service must allow this origin, so the port is not another one if it is taken. Its own host is
  // "localhost", too: cookies are sent between ports of one host.
  server: { host: "localhost", port: 5173, strictPort: true },
  preview: { host: "localhost", port: 5173, strictPort: true },
});
