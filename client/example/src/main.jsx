import { AuthProvider, SocketProvider } from "@wsservice/client/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.jsx";
import { AUTH, WEBSOCKET } from "./service.js";
import "./style.css";

createRoot(/** @type {HTMLElement} */ (document.getElementById("root"))).render(
  <StrictMode>
    <AuthProvider baseUrl={AUTH}>
      <SocketProvider url={WEBSOCKET}>
        <App />
      </SocketProvider>
    </AuthProvider>
  </StrictMode>,
);
