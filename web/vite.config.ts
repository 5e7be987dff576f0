import { fileURLToPath } from "node:url";
import { lingui, linguiTransformerBabelPreset } from "@lingui/vite-plugin";
import babel from "@rolldown/plugin-babel";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// PENSTOCK_API names a running server for `npm run dev`; `npm run dev:mock` needs none.
const api = process.env["PENSTOCK_API"] ?? "http://127.0.0.1:8080";

// The transformer is chosen below, with the reason.
process.env["LINGUI_SUPPRESS_BABEL_WARNING"] = "1";

export default defineConfig(({ mode }) => ({
  plugins: [
    react(),
    lingui({ failOnMissing: mode === "production", failOnCompileError: true }),
    // By Babel, because npm leaves the native transformer out where the machine's own Node is older than 22.
    babel({ presets: [linguiTransformerBabelPreset()] }),
    tailwindcss(),
  ],
  resolve: {
    alias: { "#transport": mode === "mock" ? at("./mock/transport.ts") : at("./src/api/transport.ts") },
  },
  server: { host: "127.0.0.1", proxy: { "^/penstock\\.v1\\.": { target: api } } },
  build: { target: "es2022", assetsInlineLimit: 0, reportCompressedSize: false },
  test: { environment: "jsdom", setupFiles: ["./mock/setup.ts"], testTimeout: 30_000, include: ["src/**/*.test.{ts,tsx}", "mock/**/*.test.ts"], css: { include: [/styles\.css/] } },
}));
