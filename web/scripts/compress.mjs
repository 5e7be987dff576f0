// Writes .br and .gz beside every text file of the bundle and prints what a first visit loads, so that a page that grows
// past its budget is seen by the one who makes it grow. Files that are imported later count only for their own line.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const dist = new URL("../dist/", import.meta.url).pathname;
const budget = 200; // KiB, gzip, of the first load
const kib = (bytes) => bytes / 1024;
const line = (name, raw, gz, br) => console.log(`${name.padEnd(52)} ${kib(raw).toFixed(1).padStart(8)} ${kib(gz).toFixed(1).padStart(8)} ${kib(br).toFixed(1).padStart(8)}`);

// Vite empties the folder; this file keeps it in git, so that the Go package compiles before any bundle exists.
writeFileSync(join(dist, ".keep"), "");

const index = readFileSync(join(dist, "index.html"), "utf8");
const first = { raw: 0, gz: 0, br: 0 };
console.log(`${"file".padEnd(52)} ${"KiB".padStart(8)} ${"gzip".padStart(8)} ${"brotli".padStart(8)}`);
for (const file of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  const path = join(file.parentPath, file.name);
  if (!file.isFile() || !/\.(js|css|html|svg|json|txt)$/.test(file.name)) continue;
  const data = readFileSync(path);
  const gz = gzipSync(data, { level: 9 });
  const br = brotliCompressSync(data, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: data.length } });
  if (gz.length < data.length) writeFileSync(`${path}.gz`, gz);
  if (br.length < data.length) writeFileSync(`${path}.br`, br);
  const name = relative(dist, path);
  line(name, data.length, gz.length, br.length);
  if (name === "index.html" || index.includes(name)) {
    first.raw += data.length;
    first.gz += gz.length;
    first.br += br.length;
  }
}
line("first load, without the words of one language", first.raw, first.gz, first.br);
if (kib(first.gz) > budget) {
  console.error(`the first load is over its budget of ${budget} KiB`);
  process.exit(1);
}
